"""A frame as the instrument network is shown it: cameras differ in how strongly they colour, tissue less so."""

import cv2
import numpy as np
from numpy.typing import NDArray

USUAL_SATURATION = 0.45
"""(largest - smallest) / largest of red, green and blue that tissue gets."""
LEAST, MOST = 0.75, 2.0
"""Factors on a frame's colours are kept within this range."""
COLORLESS = 0.08
"""A frame below this saturation is grey by itself; its noise is not made colourful."""
RANK = 0.6
"""Tissue's saturation is read at this rank among a frame's pixels: steel, of which there may be much, has less."""


def usual_colors(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A uint8 RGB image (h, w, 3) in about [-1, 1], its colours moved away from or towards grey.

    A pale picture of tissue becomes as red as others are, and grey things in it stay grey. Pixels too dark or too
    bright to have a colour do not count.
    """
    values = image.astype(np.float32)
    sample = cv2.blur(image, (3, 3))[1::4, 1::4].reshape(-1, 3).astype(np.float32)
    largest = sample.max(1)
    colored = (largest > 35) & (largest < 245)
    factor = 1.0
    if np.count_nonzero(colored) > 0.05 * len(sample):
        saturation = np.quantile(1 - sample[colored].min(1) / largest[colored], RANK)
        if saturation > COLORLESS:
            factor = float(np.clip(USUAL_SATURATION / saturation, LEAST, MOST))
    # Twenty times faster than a mean along so short an axis.
    grey = ((values[..., 0] + values[..., 1] + values[..., 2]) / np.float32(3))[..., None]
    return np.asarray((grey + np.float32(factor) * (values - grey)) / np.float32(127.5) - np.float32(1), np.float32)
