"""Image errors, in the conventions of the field, so that a number means the same as in a paper.

Images are uint8 (H, W, 3), or float in [0, 1], which is rounded to 8 bits first, because every published number went
through PNG files. A tissue mask is bool (H, W), True = tissue.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.pictures.eight_bit import to_8bit

Image = NDArray[np.uint8] | NDArray[np.floating]
Mask = NDArray[np.bool_]

SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
PERFECT_PSNR = 100.0
"""dB given to images that are equal to the last bit, where the formula says infinity, which JSON cannot hold."""


def zeroed(image: Image, mask: Mask | None) -> NDArray[np.float32]:
    """The image (H, W, 3) in [0, 1], rounded to 8-bit levels, times the mask."""
    levels = to_8bit(image).astype(np.float32) / np.float32(255)
    return levels if mask is None else np.asarray(levels * mask[..., None], np.float32)


def psnr(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> float:
    """dB of one frame as EndoGaussian reports it: both images times the mask, mean over all H W 3 values.

    Instrument pixels count as perfect, so this exceeds `psnr_masked` by 10 log10(1 / share of tissue).
    """
    return _decibels(_squared_error(prediction, target, tissue_mask) / target.size)


def psnr_masked(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> float:
    """dB of one frame over tissue pixels alone (EndoGaussian's PSNR*); NaN where the mask is empty."""
    count = target.size if tissue_mask is None else 3 * int(np.count_nonzero(tissue_mask))
    return _decibels(_squared_error(prediction, target, tissue_mask) / count) if count else float("nan")


def ssim_map(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> NDArray[np.float32]:
    """Structural similarity (H, W, 3) of the images times the mask (Wang et al. 2004, as in 3DGS).

    Gaussian window 11x11, sigma 1.5, zeros beyond the border, K1 = .01, K2 = .03, range 1.
    """
    x, y = (zeroed(image, tissue_mask) for image in (prediction, target))
    taps = np.exp(-0.5 * np.square(np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1) / SSIM_SIGMA))
    taps = (taps / taps.sum()).astype(np.float32)

    def blur(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.sepFilter2D(image, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_CONSTANT), np.float32)

    # Two filters serve the three second moments that matter: E[(x + y)^2] and E[(x - y)^2] hold xx + yy and xy.
    mean_x, mean_y = blur(x), blur(y)
    plus, minus = blur(np.square(x + y)), blur(np.square(x - y))
    product = mean_x * mean_y
    squares = np.square(mean_x) + np.square(mean_y)
    covariance = (plus - minus) / 2 - 2 * product
    variances = (plus + minus) / 2 - squares
    top = (2 * product + np.float32(SSIM_C1)) * (covariance + np.float32(SSIM_C2))
    return np.asarray(top / ((squares + np.float32(SSIM_C1)) * (variances + np.float32(SSIM_C2))), np.float32)


def ssim(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> float:
    """Mean of `ssim_map` over the whole frame; the zeroed instruments count as perfect, as in the literature."""
    return float(ssim_map(prediction, target, tissue_mask).mean(dtype=np.float64))


def ssim_pair(prediction: Image, target: Image, tissue_mask: Mask) -> tuple[float, float]:
    """`ssim` and `ssim_masked` from one map."""
    similarity = ssim_map(prediction, target, tissue_mask)
    return float(similarity.mean(dtype=np.float64)), _mean_inside(similarity, tissue_mask)


def ssim_masked(prediction: Image, target: Image, tissue_mask: Mask) -> float:
    """Mean of `ssim_map` over the mask eroded by the window's radius, where no zeroed pixel is looked at.

    The image border does not erode. NaN where the eroded mask is empty.
    """
    return _mean_inside(ssim_map(prediction, target, tissue_mask), tissue_mask)


def _decibels(mean_squared_error: float) -> float:
    if mean_squared_error <= 0:
        return PERFECT_PSNR
    return min(PERFECT_PSNR, float(-10 * np.log10(mean_squared_error)))


def _squared_error(prediction: Image, target: Image, mask: Mask | None) -> float:
    """Sum over tissue of squared differences, in units of the range [0, 1] squared."""
    if prediction.shape != target.shape:
        raise ValueError(f"the prediction is {prediction.shape} but the target is {target.shape}")
    difference = cv2.absdiff(to_8bit(prediction), to_8bit(target))
    if mask is not None:
        difference = difference * mask[..., None]
    return float(cv2.norm(difference, cv2.NORM_L2SQR)) / 255.0**2


def _mean_inside(similarity: NDArray[np.float32], mask: Mask) -> float:
    side = 2 * SSIM_RADIUS + 1
    inside = cv2.erode(
        np.ascontiguousarray(mask).view(np.uint8),
        np.ones((side, side), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=1,
    ).view(bool)
    return float(similarity[inside].mean(dtype=np.float64)) if inside.any() else float("nan")
