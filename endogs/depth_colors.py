"""Depth as colours: turbo, near blue and far red, over a range that stays fixed for a clip."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray


def robust_range(depths: Iterable[NDArray[np.float32]]) -> tuple[float, float]:
    """The 2nd and 98th percentile of the known (> 0) values of depth maps (H, W); (0, 1) when there are none.

    Every fourth row and column is looked at, which is plenty for a percentile.
    """
    values = [depth[::4, ::4] for depth in depths]
    known = np.concatenate([value[np.isfinite(value) & (value > 0)] for value in values]) if values else np.zeros(0)
    if known.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(known, [2, 98])
    return float(low), float(max(high, low * 1.01))


def color_depth(depth: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """RGB uint8 (H, W, 3) of a depth map (H, W): turbo from `low` to `high`, black where unknown (0)."""
    known = np.isfinite(depth) & (depth > 0)
    level = np.clip((np.where(known, depth, low) - low) / max(high - low, 1e-9) * 255 + 0.5, 0, 255).astype(np.uint8)
    colors = cv2.applyColorMap(level, cv2.COLORMAP_TURBO)[..., ::-1]
    return np.asarray(colors * known[..., None], np.uint8)
