"""How far the pixels of a rectified pair lie apart, by semi-global matching from both views."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.matched_points import even_contrast

Grey = NDArray[np.uint8]
BLOCK = 7
COARSE_SHRINK = 4
WIDEST = 0.35
"""The largest disparity that is looked for, in widths of the image."""
AGREEMENT = 0.75
"""Pixels by which the left and the right disparity may differ."""
AGREEMENT_WIDTH = 160
"""Pixels across at which it is told whether views agree at all, as long as they have so many."""
SMOOTHING = 2.0
"""Pixels over which disparity is averaged: matching errs by a quarter of a pixel at random, tissue does not."""


def matched_disparity(left: Grey, right: Grey, lowest: int, count: int) -> NDArray[np.float32]:
    """Disparity x_left - x_right (H, W) in pixels of uint8 grey images (H, W), NaN where the views do not agree.

    `matches`, smoothed.
    """
    disparity, found = matches(left, right, lowest, count)
    return np.where(found, smoothed(disparity, found), np.nan).astype(np.float32)


def matches(left: Grey, right: Grey, lowest: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Disparity x_left - x_right (H, W) in pixels of uint8 grey images (H, W), and where (H, W) the views agree on it.

    Semi-global matching (Hirschmueller 2008, OpenCV's), from `lowest` over `count` (a multiple of 16) disparities, once
    from each view; both must agree to AGREEMENT. The images are continued on the side to which matches lie, so that the
    strip whose matches lie within the other image is matched as well.
    """
    width = left.shape[1]
    matcher = cv2.StereoSGBM.create(
        minDisparity=lowest,
        numDisparities=count,
        blockSize=BLOCK,
        P1=8 * BLOCK * BLOCK,
        P2=32 * BLOCK * BLOCK,
        uniquenessRatio=8,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )

    def matched(view: Grey, other: Grey) -> NDArray[np.float32]:
        # The widening costs time in proportion and keeps a tenth of the frame from being blind. On the other side it
        # would be matched with itself at any disparity, and spread that into the picture.
        pad = lowest + count
        wide, wide_other = (cv2.copyMakeBorder(one, 0, 0, pad, 0, cv2.BORDER_REPLICATE) for one in (view, other))
        return np.asarray(matcher.compute(wide, wide_other)[:, pad:] / 16, np.float32)

    from_left = matched(left, right)
    # Mirrored, the right view is the left one of a pair.
    from_right = matched(*(np.ascontiguousarray(view[:, ::-1]) for view in (right, left)))[:, ::-1]
    column = np.arange(width, dtype=np.float32)[None] - from_left
    inside = (column >= -0.5) & (column <= width - 0.5)
    row = np.repeat(np.arange(left.shape[0], dtype=np.float32)[:, None], width, 1)
    back = cv2.remap(np.ascontiguousarray(from_right), column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    found = inside & (from_left > max(lowest - 1, 0)) & (np.abs(back - from_left) <= AGREEMENT)
    return from_left, np.asarray(found)


def smoothed(disparity: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Gaussian means of disparity (H, W) over what is known, except where that moves it by a pixel: an edge."""
    weight = known.astype(np.float32)
    total, share = (cv2.GaussianBlur(x, (0, 0), SMOOTHING) for x in (disparity * weight, weight))
    mean = total / np.maximum(share, 1e-3)
    return np.where(np.abs(mean - disparity) < 1, mean, disparity).astype(np.float32)


def matching_grey(image: NDArray[np.uint8]) -> Grey:
    """Grey (H, W) of an RGB image (H, W, 3) with its local contrast evened out, so that dark tissue is matched too."""
    return even_contrast(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8))


def disparity_range(pairs: list[tuple[Grey, Grey]]) -> tuple[int, int] | None:
    """Lowest disparity and number of disparities (a multiple of 16), with room to move; None when nothing matches.

    From a search at a quarter of the size over all disparities up to WIDEST.
    """
    found = []
    for left, right in pairs:
        disparity = _coarse(left, right)
        found.append(disparity[np.isfinite(disparity)])
    every = np.concatenate(found)
    if every.size < 0.02 * sum(left.size for left, _ in pairs) / COARSE_SHRINK**2:
        return None
    low, high = np.percentile(every, (1, 99))
    lowest = max(0, int(0.75 * low) - 4)
    return lowest, 16 * max(1, -(-(int(1.3 * high) + 8 - lowest) // 16))


def agreement(left: Grey, right: Grey) -> float:
    """Share of a view (H, W) that finds itself in the other, with disparities up to WIDEST, at AGREEMENT_WIDTH."""
    return float(np.isfinite(_coarse(left, right, max(1.0, left.shape[1] / AGREEMENT_WIDTH))).mean())


def _coarse(left: Grey, right: Grey, shrink: float = COARSE_SHRINK) -> NDArray[np.float32]:
    """Disparity (h, w) at a part of the size of the views (H, W), in their own pixels, NaN where they disagree."""
    size = (max(16, int(left.shape[1] / shrink)), max(8, int(left.shape[0] / shrink)))
    small = [np.asarray(cv2.resize(v, size, interpolation=cv2.INTER_AREA), np.uint8) for v in (left, right)]
    count = 16 * max(1, -(-int(WIDEST * size[0]) // 16))
    return matched_disparity(small[0], small[1], 0, count) * np.float32(left.shape[1] / size[0])
