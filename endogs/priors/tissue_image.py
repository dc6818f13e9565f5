"""Frames with the instruments painted over, for optical flow: beside an instrument it would see the instrument move."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.pull_push import filled


def tissue_image(image: NDArray[np.uint8], tissue_mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey frame (H, W) uint8 whose pixels outside the mask (H, W), and those next to them, continue what is around.

    Flow is matched in patches and smoothed, so an instrument drags the tissue within a dozen pixels of it along; this
    halves the error of the flow there. Under a mask that is larger than the instrument the flow gets worse instead, so
    it serves to see how tissue moves beside the instruments, not to warp images.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if tissue_mask.all() or not tissue_mask.any():
        return grey.astype(np.uint8)
    # The outermost pixels are mixed with the instrument. Zero means unknown to `filled`, so black is lifted by one.
    sure = cv2.erode(tissue_mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    known = np.where(sure, grey.astype(np.float32) + 1, 0)
    return np.clip(filled(known) - 0.5, 0, 255).astype(np.uint8)
