"""How far away corners are, from depth that is given or from the right view of a pair."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.disparity import disparity_range, matched_disparity
from endogs.priors.motion.flow import one_opencv_thread
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import correlation
from endogs.tracking.luma import Look

Array = NDArray[np.float64]
EDGE = 0.08
"""Spread of the depths around a corner, by their mean, from which it lies on an edge and has no depth."""
ROW = 1.0
"""Pixels by which a corner's row may differ in a rectified pair."""


def given_depth(look: Look, depth: NDArray[np.float32], pixels: Array, config: TrackingConfig) -> tuple[Array, Array]:
    """1/z (n,) of pixels (n, 2) of the looking view in a z-depth map (H, W) of the frame, 0 = unknown, and weights.

    The weight (n,) is pixels of noise per unit of 1/z; 0 at edges of depth and where a neighbour is unknown.
    """
    if not len(pixels):
        return np.zeros(0), np.zeros(0)
    at = pixels / look.scale - 0.5
    reach = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]) / look.scale
    around = (at[:, None] + reach).astype(np.float32)
    values = cv2.remap(depth, around[..., 0], around[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    low, high = values.min(1), values.max(1)
    known = (low > 0) & (high - low < EDGE * (high + low) / 2)
    corner = at.astype(np.float32)[:, None]
    with np.errstate(divide="ignore"):
        inverse = np.where(depth > 0, 1 / np.maximum(depth, 1e-12), 0).astype(np.float32)
    value = cv2.remap(inverse, corner[..., 0], corner[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = np.where(known, value[:, 0], 0).astype(np.float64)
    weight = np.where(found > 0, config.noise / (config.depth_noise * np.maximum(found, 1e-12)), 0)
    return found, np.asarray(weight, np.float64)


def pair_depth(look: Look, right: Look, baseline: float, pixels: Array, config: TrackingConfig) -> tuple[Array, Array]:
    """The same from the right view: matched densely, then each corner's disparity to a fraction of a pixel.

    `baseline` is in world units. Corners on the edge of a depth, whose row does not match, or that look different in
    both views have weight 0.
    """
    nothing = np.zeros(len(pixels)), np.zeros(len(pixels))
    if not len(pixels):
        return nothing
    with one_opencv_thread():  # what is matched depends on their number
        span = disparity_range([(look.grey, right.grey)])
        if span is None:
            return nothing
        dense = matched_disparity(look.grey, right.grey, *span)
    column = np.clip(pixels[:, 0].astype(int), 1, look.width - 2)
    row = np.clip(pixels[:, 1].astype(int), 1, look.height - 2)
    around = np.stack([dense[row + y, column + x] for y in (-1, 0, 1) for x in (-1, 0, 1)], 1)
    rough = np.median(around, 1)
    flat = np.ptp(around, axis=1) < np.maximum(1.0, EDGE * rough)
    known = np.isfinite(around).all(1) & flat & (rough > 0.5)
    if not known.any():
        return nothing
    guess = pixels - np.c_[np.where(known, rough, 0), np.zeros(len(pixels))]
    start, first = (np.ascontiguousarray(x - 0.5, np.float32).reshape(-1, 1, 2) for x in (pixels, guess))
    side = (config.window, config.window)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)
    fine, found, _ = cv2.calcOpticalFlowPyrLK(
        look.grey,
        right.grey,
        start,
        first.copy(),
        winSize=side,
        maxLevel=0,
        criteria=stop,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    there = np.asarray(fine, np.float64).reshape(-1, 2) + 0.5
    disparity = pixels[:, 0] - there[:, 0]
    known &= (np.asarray(found).ravel() > 0) & (np.abs(there[:, 1] - pixels[:, 1]) < ROW)
    known &= (np.abs(disparity - rough) < 1.5) & (disparity > 0.5) & right.inside(there, 2)
    known &= correlation(look, right, pixels, there, config.patch) > config.correlation
    strength = look.K[0, 0] * baseline
    inverse = np.where(known, disparity / strength, 0)
    return inverse, np.where(known, config.noise * strength / config.disparity_noise, 0.0)


class Depths:
    """How far corners of one frame are, where each frame says so; this one says nothing."""

    def always(self, pixels: Array) -> tuple[Array, Array]:
        """1/z and its weight, both (n,), where it costs nothing."""
        return np.zeros(len(pixels)), np.zeros(len(pixels))

    def keyframe(self, pixels: Array) -> tuple[Array, Array]:
        """The same where it may take some milliseconds."""
        return self.always(pixels)


class FrameDepths(Depths):
    """Depth of one frame's corners, from a map or from the right view."""

    def __init__(
        self,
        look: Look,
        depth: NDArray[np.float32] | None,
        right: Callable[[], Look] | None,
        baseline: float | None,
        config: TrackingConfig,
    ) -> None:
        self._look, self._depth, self._right, self._baseline = look, depth, right, baseline
        self._config = config

    def always(self, pixels: Array) -> tuple[Array, Array]:
        """From the depth map, if there is one."""
        if self._depth is None:
            return super().always(pixels)
        return given_depth(self._look, self._depth, pixels, self._config)

    def keyframe(self, pixels: Array) -> tuple[Array, Array]:
        """From the depth map, else by matching the right view."""
        if self._depth is not None or self._right is None or self._baseline is None:
            return self.always(pixels)
        return pair_depth(self._look, self._right(), self._baseline, pixels, self._config)
