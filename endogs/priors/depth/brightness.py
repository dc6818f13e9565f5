"""Where an endoscope sees anything, and how bright it is there, smoothed past texture."""

import cv2
import numpy as np
from numpy.typing import NDArray

COARSE, FINE = 0.06, 0.018
"""Standard deviations of the two low-pass filters, as parts of the image's width."""


def log_linear(stray_light: float) -> NDArray[np.float32]:
    """(256,) logarithm of linear light plus `stray_light`, by 8-bit sRGB value, taken as a power of 2.2; 1 is white."""
    return np.log((np.arange(256) / 255.0) ** 2.2 + stray_light).astype(np.float32)


def view_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels (H, W) the endoscope sees: all but the black components that reach a corner of the image."""
    _, labels = cv2.connectedComponents((image.max(2) < 13).view(np.uint8))
    corners = {int(labels[y, x]) for y in (0, -1) for x in (0, -1)} - {0}
    return ~np.isin(labels, list(corners)) if corners else np.ones(labels.shape, bool)


def masked_low_pass(
    value: NDArray[np.float32], weight: NDArray[np.float32], sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normalized convolution: the Gaussian mean of `value` over `weight`, and the Gaussian mean of `weight`, (H, W).

    Computed at the resolution where sigma is about 4 px, which changes nothing visible and is ten times faster.
    """
    height, width = value.shape
    shrink = max(1, int(sigma / 4))
    size = (max(1, -(-width // shrink)), max(1, -(-height // shrink)))
    stack = np.dstack([value * weight, weight])
    small = cv2.resize(stack, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma * size[0] / width, borderType=cv2.BORDER_REFLECT_101)
    mean = small[..., 0] / np.maximum(small[..., 1], 1e-6)
    # Far from every sample both blurs vanish: take the mean of all samples there rather than 0 / 0.
    mean[small[..., 1] < 1e-5] = (stack[..., 0].sum() / max(float(stack[..., 1].sum()), 1e-6)).astype(np.float32)
    full = cv2.resize(np.dstack([mean, small[..., 1]]), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(full[..., 0], np.float32), np.asarray(full[..., 1], np.float32)
