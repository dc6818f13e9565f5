"""Colours of tissue continued to where something hides it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.pull_push import filled

COARSE = 4
"""Pixels of the picture in one of those that are continued: what was never seen has no details."""


def continued_colors(image: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """A uint8 RGB image (H, W, 3) that continues the colours of `image` on `tissue` (H, W) smoothly everywhere.

    None where there is no tissue.
    """
    height, width = tissue.shape
    size = max(1, width // COARSE), max(1, height // COARSE)
    share = cv2.resize(tissue.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    known = share > 0.5
    if not known.any():
        return None
    shown = cv2.resize(image * tissue[..., None].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    # Zero means unknown to `filled`, so black is lifted by one.
    planes = [
        filled(np.where(known, shown[..., c] / np.maximum(share, 0.5) + 1, 0).astype(np.float32)) for c in range(3)
    ]
    smooth = cv2.resize(np.stack(planes, -1) - 1, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(smooth + 0.5, 0, 255).astype(np.uint8)
