"""Depth that came with the clip (stereo, a depth sensor, a renderer)."""

from typing import TYPE_CHECKING

import numpy as np

from endogs.errors import InputError
from endogs.priors.prediction import DepthPrediction

if TYPE_CHECKING:
    from endogs.clip import Clip


class GivenDepth:
    """The clip's own depth maps, in world units; confidence 1 where the depth is known."""

    def predict(self, clip: "Clip", i: int) -> DepthPrediction:
        """The given depth of frame `i`, kind `metric`. Raises InputError when the clip carries no depth."""
        depth = clip.depth(i)
        if depth is None:
            raise InputError(f"{clip.source}: the clip has no depth maps; use --depth photometric")
        known = np.isfinite(depth) & (depth > 0)
        value = np.where(known, depth, 0).astype(np.float32)
        return DepthPrediction(value, "metric", (known & clip.tissue_mask(i)).astype(np.float32))
