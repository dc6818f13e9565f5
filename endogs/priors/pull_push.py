"""Holes in an image, continued from around them."""

import cv2
import numpy as np
from numpy.typing import NDArray


def filled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values (H, W) > 0 with their zeros continued from around them; all zero stays all zero.

    Pull and push (Gortler et al., "The lumigraph", 1996): means of what is known over ever larger blocks, then back,
    each hole taking the finest mean that exists.
    """
    height, width = values.shape
    known = (values > 0).astype(np.float32)
    if min(height, width) == 1 or known.all() or not known.any():
        return values if not known.any() or known.all() else np.where(known > 0, values, values[known > 0].mean())
    size = (-(-width // 2), -(-height // 2))
    reach = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(values * known, size, interpolation=cv2.INTER_AREA) / np.maximum(reach, 1e-6)
    coarse = filled(np.where(reach > 0, mean, 0).astype(np.float32))
    return np.where(known > 0, values, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
