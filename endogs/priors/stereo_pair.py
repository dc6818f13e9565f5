"""Whether two views are a rectified pair in the right order."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

Grey = NDArray[np.uint8]
RATIO = 0.75
"""A match must be this much better than the second best (Lowe 2004)."""
FEW = 30
"""Fewer matches over all frames looked at say nothing."""
ROWS_OFF = 0.004
"""Median distance between the rows of matching points, in heights of the image, from which a pair is not rectified."""
SWAPPED = 0.8
"""Share of matches with negative disparity from which the views are the wrong way round."""


def matched_points(left: Grey, right: Grey) -> NDArray[np.float32]:
    """Matching points (P, 4) as x, y in the left and x, y in the right view, by SIFT, each other's best match."""
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


def check_pair(pairs: list[tuple[Grey, Grey]], source: str) -> list[str]:
    """Raises InputError, naming `source`, for views that are not rectified or swapped; a note when nobody can tell."""
    matches = np.concatenate([matched_points(left, right) for left, right in pairs])
    if len(matches) < FEW:
        return ["stereo: too few points match to check that the views are a rectified pair in the right order."]
    height = pairs[0][0].shape[0]
    rows_off = np.abs(matches[:, 1] - matches[:, 3])
    if float(np.median(rows_off)) > max(1.5, ROWS_OFF * height):
        raise InputError(
            f"{source}: matching points of the left and right views lie {np.median(rows_off):.1f} rows apart, so the "
            "pair is not rectified; give rotation, translation_mm and the right camera in calibration.json, or use "
            "--depth photometric"
        )
    sure = rows_off <= max(1.5, ROWS_OFF * height)
    disparity = (matches[:, 0] - matches[:, 2])[sure]
    if np.mean(disparity < -0.5) > SWAPPED:
        raise InputError(
            f"{source}: the disparity between the views is negative (median {np.median(disparity):.1f} pixels), so "
            "left and right are swapped; exchange images/ and images_right/"
        )
    return []
