"""Pictures as bytes."""

import numpy as np
from numpy.typing import NDArray


def to_8bit(image: NDArray) -> NDArray[np.uint8]:
    """The image as uint8, rounded to the nearest level, values outside [0, 1] clipped."""
    if image.dtype == np.uint8:
        return np.asarray(image)
    return (np.clip(np.asarray(image, np.float32), 0, 1) * 255 + 0.5).astype(np.uint8)
