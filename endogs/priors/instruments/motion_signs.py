"""Which pixels move as an instrument does, and which as the tissue: log odds where the two motions differ.

An instrument is rigid and moves by hand; the tissue around it moves otherwise, unless it is held. Where both motions
are known nearby, an affine motion each (least squares, reweighted), a pixel's own flow tells to which it belongs.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.propagation import LogOdds
from endogs.priors.motion.flow import Flow

SURE = 2.0
"""Log odds beyond which a pixel teaches the motion of its side."""
LEAST_PIXELS = 150
"""Fewer pixels teach no motion."""
SPREAD = 0.7
"""Pixels by which flow is off beside an edge, at the size of the search."""
LEAST_DIFFERENCE = 1.0
"""Pixels by which the two motions must differ at a place before they say anything there."""
MOST = 3.0
"""Log odds that motion can give."""
REACH = 0.1
"""How far from an instrument its motion is asked for, and from how far its tissue is taken, in image widths."""


def motion_log_odds(odds: LogOdds, flow: Flow, view: Mask) -> LogOdds:
    """Log odds (h, w) of a frame by its `flow` (h, w, 2) to a neighbour in time, within MOST; 0 where it says nothing.

    `odds` (h, w) is what is known so far, `view` (h, w) where there is a picture. Each patch of sure instrument is
    compared with the sure tissue around it: `(|flow - tissue|^2 - |flow - instrument|^2) / (2 SPREAD^2)`.
    """
    height, width = odds.shape
    told = np.zeros(odds.shape, np.float32)
    sure = (odds > SURE) & view
    count, labels, stats, _ = cv2.connectedComponentsWithStats(sure.view(np.uint8), connectivity=8)
    reach = max(4, round(REACH * width))
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < LEAST_PIXELS:
            continue
        box = _box(stats[label], reach, height, width)
        tool = labels[box] == label
        # Faster than to grow the tool by so much.
        away = cv2.distanceTransform((~tool).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        near = (away <= reach) & view[box]
        tissue = near & (odds[box] < -SURE)
        if np.count_nonzero(tissue) < LEAST_PIXELS:
            continue
        moved = flow[box]
        with_tool, with_tissue = (_affine_motion(moved, where) for where in (tool, tissue))
        # The difference is affine too, so it is nowhere larger than at a corner.
        corners = _squared_length((with_tool - with_tissue)[:: max(1, len(tool) - 1), :: max(1, tool.shape[1] - 1)])
        if corners.max() <= LEAST_DIFFERENCE**2:
            continue
        differs = _squared_length(with_tool - with_tissue) > LEAST_DIFFERENCE**2
        likelihood = _squared_length(moved - with_tissue) - _squared_length(moved - with_tool)
        says = np.where(near & differs, np.clip(likelihood / (2 * SPREAD**2), -MOST, MOST), 0)
        # Where two instruments are near, the louder one is heard.
        told[box] = np.where(np.abs(says) > np.abs(told[box]), says, told[box])
    return told


def _box(stats: NDArray[np.int32], reach: int, height: int, width: int) -> tuple[slice, slice]:
    left, top = stats[cv2.CC_STAT_LEFT], stats[cv2.CC_STAT_TOP]
    right, bottom = left + stats[cv2.CC_STAT_WIDTH], top + stats[cv2.CC_STAT_HEIGHT]
    rows = slice(max(0, top - reach), min(height, bottom + reach))
    return rows, slice(max(0, left - reach), min(width, right + reach))


def _squared_length(vectors: NDArray) -> NDArray:
    """Of vectors (..., 2): (...). Faster than a sum over so short an axis."""
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y


def _affine_motion(flow: Flow, where: Mask, rounds: int = 3) -> Flow:
    """The affine motion (h, w, 2) nearest to the `flow` (h, w, 2) of the pixels `where` (h, w), outliers counting less.

    Iteratively reweighted least squares with Cauchy's weights `1 / (1 + (r / SPREAD)^2)`.
    """
    height, width = where.shape
    y, x = np.nonzero(where)
    step = max(1, len(y) // 2000)
    y, x = y[::step], x[::step]
    scale = 1.0 / max(height, width)
    basis = np.stack([np.ones(len(x)), x * scale, y * scale], 1)
    values = flow[y, x].astype(np.float64)
    weight = np.ones(len(x))
    # A little is held against slopes: a patch that is small or thin tells none.
    held = np.diag([0.0, 0.05, 0.05]) * len(x) * scale
    for _ in range(rounds):
        weighted = basis * weight[:, None]
        solution = np.linalg.solve(weighted.T @ basis + held, weighted.T @ values)
        weight = 1 / (1 + _squared_length(values - basis @ solution) / SPREAD**2)
    rows, columns = np.arange(height)[:, None, None] * scale, np.arange(width)[None, :, None] * scale
    return (solution[0] + columns * solution[1] + rows * solution[2]).astype(np.float32)
