"""White glare of wet tissue that hangs together with an instrument: grey as metal, and nowhere surely an instrument."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, grown, shrunk

BRIGHT, GREY = 200, 0.75
"""Of glare: grey levels of the brightest channel from which on it is, and the part of it that the darkest one has."""
SURE = 1.5
"""Log odds of what is surely an instrument."""
FAR, FAR_PART = 0.02, 0.25
"""How far from that glare lies, in image widths, with this part of its pixels: a shaft's own highlight is nearer."""
OPEN, NEAR = 0.5, 2
"""Part of a patch's rim that lies within so many pixels of the outside: instruments surround their highlights."""
AROUND = 2
"""Pixels around a patch that are as doubtful as it is."""


def glare_beside(image: NDArray[np.uint8], mask: Mask, odds: NDArray[np.float32]) -> Mask:
    """Pixels (H, W) of the `mask` (H, W) of a uint8 RGB image (H, W, 3) that are rather glare beside the instrument.

    Log `odds` (H, W) say how sure it is of being one.
    """
    sure = mask & (odds > SURE)
    weak = mask & ~sure
    smooth = cv2.blur(image, (3, 3))
    channels = cv2.split(smooth)
    brightest, darkest = np.maximum.reduce(channels), np.minimum.reduce(channels)
    white = weak & (brightest > BRIGHT) & (darkest > GREY * brightest)
    count, patches = cv2.connectedComponents(white.view(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros(mask.shape, bool)

    def part(of: Mask, where: Mask) -> NDArray[np.float64]:
        """Of each patch's pixels in `of`, the part that `where` has."""
        all_, those = (np.bincount(patches[pixels], minlength=count) for pixels in (of, of & where))
        return those / np.maximum(all_, 1)

    far = part(white, ~grown(sure, max(1, round(FAR * mask.shape[1]))))
    glare = (far > FAR_PART) & (part(white & ~shrunk(white, 1), grown(~mask, NEAR)) >= OPEN)
    glare[0] = False
    return grown(glare[patches], AROUND) & weak
