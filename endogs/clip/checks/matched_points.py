"""Points found in both views of a pair."""

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
RATIO = 0.75
"""A match must be this much better than the second best (Lowe 2004)."""


def even_contrast(grey: Grey) -> Grey:
    """Grey (H, W) with its local contrast evened out, so that dark tissue is matched too."""
    import cv2

    return np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(grey), np.uint8)


def matched_points(left: Grey, right: Grey) -> NDArray[np.float32]:
    """Matching points (P, 4) as x, y in the left and x, y in the right view, by SIFT, each other's best match.

    OpenCV's pixel centres, at integers.
    """
    import cv2

    sift = cv2.SIFT.create(nfeatures=800)
    points, descriptors = zip(*(sift.detectAndCompute(view, None) for view in (left, right)), strict=True)  # type: ignore[call-overload]
    if any(d is None or len(d) < 2 for d in descriptors):
        return np.empty((0, 4), np.float32)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    best = [
        {
            pair[0].queryIdx: pair[0].trainIdx
            for pair in matcher.knnMatch(descriptors[a], descriptors[b], k=2)
            if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance
        }
        for a, b in ((0, 1), (1, 0))
    ]
    mutual = [(i, j) for i, j in best[0].items() if best[1].get(j) == i]
    rows = [(*points[0][i].pt, *points[1][j].pt) for i, j in mutual]
    return np.asarray(rows, np.float32).reshape(-1, 4)
