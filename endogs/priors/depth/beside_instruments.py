"""Metric depth of pixels that masks leave open: where it continues the tissue's, it is the tissue's."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.pull_push import filled

Mask = NDArray[np.bool_]
CONTINUES = 0.02
"""Part by which depth may differ from what the tissue around is continued to: instruments stand farther in front."""
SMOOTH = 1 / 160
"""Standard deviation that the continued depth is smoothed with, in image widths."""


def continuing(depth: NDArray[np.float32], tissue: Mask, doubtful: Mask) -> Mask:
    """The pixels (H, W) of `doubtful` (H, W) whose z-depth (H, W), 0 = unknown, continues that of `tissue` (H, W).

    The tissue's depth is continued by `pull_push.filled`. Without tissue of known depth there is none.
    """
    known = tissue & (depth > 0)
    if not (doubtful & (depth > 0)).any() or not known.any():
        return np.zeros(depth.shape, bool)
    around = filled(np.where(known, depth, 0).astype(np.float32))
    around = np.asarray(cv2.GaussianBlur(around, (0, 0), max(1.0, SMOOTH * depth.shape[1])), np.float32)
    return np.asarray(doubtful & (np.abs(depth - around) <= CONTINUES * around) & (depth > 0))
