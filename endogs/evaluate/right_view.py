"""The right view of a stereo clip: which of its pixels can be judged, and what the left view says about them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RightView:
    """Predictions of the right view made from the left view and its depth alone."""

    tissue_mask: NDArray[np.bool_]
    """(H, W) True where the left view sees the same point, knows its depth, and it is tissue."""
    depth_warp: NDArray[np.uint8]
    """(H, W, 3) the left view warped by its depth."""
    left_shifted: NDArray[np.uint8]
    """(H, W, 3) the left view moved sideways by the median disparity."""


def predict_right_view(
    left: NDArray[np.uint8],
    depth: NDArray[np.float32],
    tissue_mask: NDArray[np.bool_],
    focal: float,
    baseline: float,
) -> RightView:
    """The right view (uint8, (H, W, 3)) from the left one, its z-depth (H, W) and its tissue mask.

    `depth` and `baseline` are in the same units, 0 = unknown; `focal` in pixels; rectified views, so a point at column
    x of the left view is at x - focal baseline / depth of the right one. Where several left pixels fall on one right
    pixel the nearest wins; what the left view does not see stays unknown. Instruments are judged nowhere but hide what
    is behind them.
    """
    height, width = depth.shape
    disparity = np.where(depth > 0, focal * baseline / np.maximum(depth, 1e-6), 0).astype(np.float32)
    nearest = splat_disparity(disparity)
    columns = np.arange(width, dtype=np.float32) + nearest
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    known = (nearest > 0) & (columns <= width - 1)

    def lookup(image: NDArray) -> NDArray:
        return np.asarray(cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    # The whole footprint of the lookup has to be tissue of known depth.
    source = (tissue_mask & (depth > 0)).astype(np.uint8) * 255
    mask = known & (lookup(source) == 255)
    judged = tissue_mask & (depth > 0)
    shift = float(np.median(disparity[judged])) if judged.any() else 0.0
    matrix = np.array([[1, 0, -shift], [0, 1, 0]], np.float64)
    shifted = cv2.warpAffine(left, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return RightView(mask, lookup(left), np.asarray(shifted, np.uint8))


def splat_disparity(disparity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Disparity (H, W) of the right view, 0 = unknown, from that of the left view, the nearest (largest) winning.

    Every pixel writes the two whole columns around its place in the right view, which closes the gaps of surfaces that
    are wider in the right view by less than a factor of two.
    """
    height, width = disparity.shape
    seen: NDArray[np.float32] = np.zeros((height, width), np.float32)
    y, x = np.nonzero(disparity > 0)
    value = disparity[y, x]
    place = x - value
    for column in (np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)):
        inside = (column >= 0) & (column < width)
        np.maximum.at(seen, (y[inside], column[inside]), value[inside])
    return seen
