"""Multi-scale structural similarity.

Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity for image quality assessment", 2003.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.metrics import SSIM_C1, SSIM_C2, SSIM_RADIUS, SSIM_SIGMA, Image, Mask, zeroed

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (the paper's calibration)."""
SMALLEST_SIDE = (2 * SSIM_RADIUS) * 2 ** (len(SCALE_WEIGHTS) - 1)
"""Above this many pixels the window fits into the coarsest scale."""

Array = NDArray[np.float32]


def ms_ssim(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> float:
    """MS-SSIM of the images times the mask, mean over the channels; NaN where a side has SMALLEST_SIDE pixels or less.

    Gaussian window 11x11, sigma 1.5, only where it lies inside; images are halved by 2x2 means, odd sides after
    repeating their last line. Means that are negative count as 0.
    """
    x, y = (zeroed(image, tissue_mask) for image in (prediction, target))
    if min(x.shape[:2]) <= SMALLEST_SIDE:
        return float("nan")
    product = np.ones(x.shape[2])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, contrast = _comparison(x, y)
        similarity = luminance * contrast if scale == len(SCALE_WEIGHTS) - 1 else contrast
        product *= np.maximum(similarity.mean((0, 1), dtype=np.float64), 0) ** weight
    return float(product.mean())


def _comparison(x: Array, y: Array) -> tuple[Array, Array]:
    """Luminance, and contrast times structure, (H - 10, W - 10, 3)."""
    taps = np.exp(-0.5 * np.square(np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1) / SSIM_SIGMA))
    taps = (taps / taps.sum()).astype(np.float32)
    inside = slice(SSIM_RADIUS, -SSIM_RADIUS)

    def blur(image: Array) -> Array:
        return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, taps, taps), np.float32)[inside, inside]

    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y, np.square(mean_x) + np.square(mean_y)
    covariance = blur(x * y) - product
    variances = blur(np.square(x) + np.square(y)) - squares
    luminance = (2 * product + np.float32(SSIM_C1)) / (squares + np.float32(SSIM_C1))
    contrast = (2 * covariance + np.float32(SSIM_C2)) / (variances + np.float32(SSIM_C2))
    return np.asarray(luminance, np.float32), np.asarray(contrast, np.float32)


def _halved(image: Array) -> Array:
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, -1).mean((1, 3)), np.float32)
