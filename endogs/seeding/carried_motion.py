"""How tissue moves where it cannot be followed: as the tissue around it does.

Between two frames the motion of what is seen is known from flow and depth. Its means over the cells of a coarse grid
are continued into the cells where an instrument hides the tissue, or where the flow cannot be trusted, by the field
that bends least: tissue is elastic, so its motion is smoother than its shape or its colour.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.seeding.smooth_fill import fill_smoothly

CELLS = 64
"""Cells along the longer side of the image, or up to twice as many."""
SAMPLES = 4
"""Pixels looked at per cell and direction."""
RELATIVE, ABSOLUTE = 0.01, 0.5
"""Forward-backward test of the flow (`endogs.priors.motion.flow.consistency_mask`): only what can be trusted is
spread."""
RIM, LARGEST_RIM = 8, 0.1
"""Margin in pixels around what is hidden, where patches of the flow see the instrument; at most this part of the
image's longer side."""
CROWD = 0.5
"""Share of a cell's samples that must be trusted for it to count."""

Grid = NDArray[np.float32]
Lookup = Callable[[NDArray, NDArray], NDArray[np.float32]]


def sample_pitch(size: tuple[int, ...]) -> int:
    """Pixels between the samples looked at in an image of (height, width)."""
    return max(1, max(size) // (CELLS * SAMPLES))


def rim_pixels(height: int, width: int) -> int:
    """Margin around what is hidden, pixels."""
    return max(1, min(RIM, round(LARGEST_RIM * max(height, width))))


def carried_motion(
    forward: NDArray[np.float32],
    backward: NDArray[np.float32],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    depths: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    largest_change: float,
) -> Grid:
    """Motion (h, w, 3) of the tissue between two frames on a coarse grid: pixels in x and y, and change of log z-depth.

    `forward`, `backward` (H, W, 2): the flow there and back; `masks`: tissue (H, W) here and there; `depths`: z-depth
    (H, W) here and there, 0 = unknown, or None where depth may not be compared (the change is then 0). Depth that
    changes by more than `largest_change` is that of something else.
    """
    height, width = masks[0].shape
    pitch = sample_pitch((height, width))
    cell = pitch * SAMPLES
    rows, columns = -(-height // cell), -(-width // cell)
    kernel = np.ones((2 * rim_pixels(height, width) + 1,) * 2, np.uint8)
    tissue, there = (cv2.erode(m.view(np.uint8), kernel) for m in masks)

    y, x = np.arange(pitch // 2, height, pitch), np.arange(pitch // 2, width, pitch)
    move = np.ascontiguousarray(forward[y[0] :: pitch, x[0] :: pitch])
    at = (np.stack(np.broadcast_arrays(x[None], y[:, None]), -1) + move).astype(np.float32)
    back = cv2.remap(backward, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    size = np.square(move).sum(-1) + np.square(back).sum(-1)
    trust = np.square(move + back).sum(-1) < RELATIVE * size + ABSOLUTE
    trust &= (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
    trust &= tissue[y[0] :: pitch, x[0] :: pitch] > 0
    trust &= cv2.remap(there, at[..., 0], at[..., 1], cv2.INTER_NEAREST) > 0

    motion = cell_means(move, trust, (rows, columns))
    if depths is None:
        rate = np.zeros((rows, columns, 1), np.float32)
    else:
        before = depths[0][y[0] :: pitch, x[0] :: pitch]
        # Bilinear, so that the slope of the tissue under a motion of less than a pixel does not count as change.
        after = cv2.remap(depths[1], at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        change = np.log(np.maximum(after, 1e-6) / np.maximum(before, 1e-6))
        compared = trust & (before > 0) & (np.abs(change) < largest_change)
        rate = cell_means(change[..., None], compared, (rows, columns))
    return np.concatenate([motion, rate], -1)


def cell_means(samples: NDArray[np.float32], trust: NDArray[np.bool_], shape: tuple[int, int]) -> Grid:
    """Means (h, w, C) over cells of SAMPLES x SAMPLES samples (a, b, C) that `trust` (a, b), continued smoothly into
    the cells where fewer than CROWD of them can be trusted."""
    rows, columns = shape
    full = np.zeros((rows * SAMPLES, columns * SAMPLES, samples.shape[-1] + 1), np.float32)
    full[: samples.shape[0], : samples.shape[1], :-1] = samples * trust[..., None]
    full[: samples.shape[0], : samples.shape[1], -1] = trust
    total = full.reshape(rows, SAMPLES, columns, SAMPLES, -1).sum((1, 3))
    count = total[..., -1:]
    known = count[..., 0] >= CROWD * SAMPLES**2
    return fill_smoothly(total[..., :-1] / np.maximum(count, 1), known)


def grid_lookup(grid: Grid, pixels: NDArray[np.float32], size: tuple[int, int], lookup: Lookup) -> NDArray[np.float32]:
    """Bilinear values (P, C) of a grid over an image of (height, width) at pixels (P, 2; centres at +0.5).

    `lookup(image, pixels)` is `endogs.seeding.observations.lookup`.
    """
    pitch = sample_pitch(size)
    return lookup(grid, (pixels / np.float32(pitch * SAMPLES)).astype(np.float32))


def dense_motion(grid: Grid, size: tuple[int, int]) -> NDArray[np.float32]:
    """The motion (H, W, 2), pixels, that a grid of `carried_motion` (h, w, 3) gives each pixel of an image of
    (height, width)."""
    cell = sample_pitch(size) * SAMPLES
    whole = cv2.resize(grid[..., :2], (grid.shape[1] * cell, grid.shape[0] * cell), interpolation=cv2.INTER_LINEAR)
    return np.asarray(whole[: size[0], : size[1]], np.float32)
