"""Beside an instrument: what is so unlike the tissue around that it is the instrument's, or its shadow or gleam."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.tissue_colors import chroma
from endogs.priors.pull_push import filled

PALER = 0.10
"""How much less red, in log ratio, than the tissue around."""
SHADE = 0.45
"""How much darker or brighter, in log brightness: a factor of 1.6."""


def unlike_tissue(image: NDArray[np.uint8], halo: Mask, tissue: Mask) -> Mask:
    """Pixels (h, w) of `halo` whose colour the surely seen `tissue` (h, w) around it does not continue to.

    `image` is (h, w, 3) uint8 RGB. The tissue's redness and brightness are continued smoothly into the halo
    (`endogs.priors.pull_push`); what is paler than that by PALER, or darker or brighter by SHADE, is unlike it.
    """
    if not halo.any() or not tissue.any():
        return np.zeros_like(halo)
    redness, _, brightness = chroma(image)
    shade = np.log(brightness + 10)
    # Zero is unknown to `filled`: redness is lifted above it.
    expected_redness = filled(np.where(tissue, redness + 10, 0).astype(np.float32)) - 10
    expected_shade = filled(np.where(tissue, shade, 0).astype(np.float32))
    unlike = (redness < expected_redness - PALER) | (np.abs(shade - expected_shade) > SHADE)
    # Single pixels are grain.
    opened = cv2.morphologyEx((unlike & halo).view(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    return opened.view(bool) & halo
