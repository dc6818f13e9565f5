"""Matches of a pair that contradict the surface around them, dropped or moved onto it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.pull_push import filled

PIECE = 0.01
"""Part of the frame that a piece of surface covers at least to be believed by itself: tissue that the right eye does
not see is matched with what resembles it, in pieces."""
JOINED = 1.0
"""Pixels of disparity between neighbours of one piece, at most."""
STRAYED = 0.25
"""Logarithm of the ratio of disparities from which a small piece contradicts the large ones around it."""
REACH = 3
"""Pixels by which matching in blocks of seven widens what is near."""
STEP, STEP_SHARE = 0.8, 0.08
"""Pixels of disparity, and part of the farther one, within REACH that make an edge."""
LOOKED_AT = 3
"""Pixels across over which colours are compared on the two sides of an edge: a block would see the near side again."""

Disparity = NDArray[np.float32]
Mask = NDArray[np.bool_]


def without_strays(disparity: Disparity, known: Mask) -> Mask:
    """`known` (H, W) without small pieces whose disparity (H, W) is not that of the large pieces, continued to them.

    Where there is no large piece nothing is told apart, and all stays.
    """
    sixteenths = np.where(known, np.rint(16 * disparity), -1).astype(np.int16)
    cv2.filterSpeckles(sixteenths, -1, int(PIECE * known.size), int(16 * JOINED))
    large = sixteenths > 0
    if not large.any():
        return known
    around = filled(np.where(large, disparity, 0).astype(np.float32))
    ratio = np.where(known, disparity, around) / np.maximum(around, 1e-3)
    return np.asarray(known & (large | (np.abs(np.log(np.maximum(ratio, 1e-3))) < STRAYED)))


def with_sharp_edges(disparity: Disparity, known: Mask, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Disparity:
    """Disparity (H, W) in which what is near no longer reaches over its edge.

    Beside an edge within REACH, a pixel with the near side's disparity takes the far side's where the grey of the two
    views (H, W) agrees better with that.
    """
    square = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    near = cv2.dilate(np.where(known, disparity, 0).astype(np.float32), square)
    far = cv2.erode(np.where(known, disparity, np.inf).astype(np.float32), square)
    widened = known & (near - far > np.maximum(STEP, STEP_SHARE * far)) & (2 * disparity > near + far)
    if not widened.any():
        return disparity
    moved = np.where(widened, far, disparity).astype(np.float32)
    return np.where(widened & (_misfit(moved, left, right) < _misfit(disparity, left, right)), moved, disparity)


def _misfit(disparity: Disparity, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Disparity:
    """Mean difference (H, W), grey values, of the left view and the right one moved by disparity, over LOOKED_AT."""
    height, width = disparity.shape
    column = np.arange(width, dtype=np.float32)[None] - np.nan_to_num(disparity)
    row = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1)
    moved = cv2.remap(right, column.astype(np.float32), row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(cv2.absdiff(left, moved).astype(np.float32), (LOOKED_AT, LOOKED_AT)), np.float32)
