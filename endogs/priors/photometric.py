"""Depth from brightness: in an endoscope the light sits beside the camera, so near tissue is bright."""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.geometry import pixel_rays
from endogs.priors.prediction import DepthPrediction
from endogs.priors.speculars import large_clipped_mask, specular_mask
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

INTENSITY_EXPONENT = 0.35
"""p in log z = -p log I - q log|ray|. The textbook 0.5 over-ranges nearly flat laparoscopic scenes two to three times;
0.35 was the best single value over colonoscopy, laparoscopy and sinus clips with reference depth."""
RAY_EXPONENT = 1.3
"""q: vignetting and the longer way to the image's corners."""
GAMMA = 2.2
COARSE, FINE = 0.06, 0.012
"""Standard deviations of the two low-pass filters, as parts of the image's width."""
COARSE_SHARE = 0.6
NEAREST, FARTHEST = 0.35, 3.0
"""Depth is clipped to this range around its median."""


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


def photometric_depth(
    image: NDArray[np.uint8], tissue_mask: NDArray[np.bool_], K: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log z-depth (H, W), median 0 over the tissue, and its confidence (H, W), from one uint8 sRGB image (H, W, 3).

    With a light of radiance g at the camera, `I = g rho cos(theta) / (z |ray|)^2`, so
    `log z = -p log I - q log|ray| + const` for constant albedo rho; a camera's tone curve makes the slope unknown,
    hence log z is meant up to an affine map (Prados & Faugeras 2005; Batlle et al., LightDepth, 2023). I is linear red,
    which haemoglobin absorbs least (vessels nearly vanish), mixed with green where red clips.
    Log z is NaN outside the view and a smooth guess behind instruments; there the confidence is 0.
    """
    height, width = tissue_mask.shape
    view = view_mask(image)
    large = large_clipped_mask(image)
    glint = specular_mask(image)
    valid = view & erode_tissue_mask(tissue_mask, 4) & ~glint
    if not valid.any():
        valid = view & tissue_mask
    linear = (np.arange(256) / 255.0) ** GAMMA
    log_linear = np.log(linear + 1e-3).astype(np.float32)
    red, green, blue = (log_linear[image[..., c]] for c in range(3))
    clipped = np.count_nonzero((image[..., 0] > 250) & valid) / max(int(np.count_nonzero(valid)), 1)
    red_share = float(np.clip(1 - 4 * clipped, 0.3, 1))
    log_intensity = red_share * red + (1 - red_share) * green

    weight = valid.astype(np.float32)
    coarse, _ = masked_low_pass(log_intensity, weight, COARSE * width)
    fine, support = masked_low_pass(log_intensity, weight, FINE * width)
    # Under an instrument the fine filter has few samples or none: lean on the coarse one.
    fine_share = (1 - COARSE_SHARE) * np.clip(support / 0.3, 0, 1)
    smooth = coarse + fine_share * (fine - coarse)
    ray = np.linalg.norm(pixel_rays(K, width, height), axis=-1).astype(np.float32)
    log_z = -INTENSITY_EXPONENT * smooth - RAY_EXPONENT * np.log(ray)
    log_z -= np.median(log_z[valid]) if valid.any() else 0
    log_z = np.clip(log_z, np.log(NEAREST), np.log(FARTHEST)).astype(np.float32)

    # Too dark is noise, too bright is clipping; an odd colour is an odd albedo; where the two filters disagree the
    # brightness comes from texture more than from distance.
    bright = image.max(2).astype(np.float32)
    exposure = np.clip((bright - 15) / 30, 0, 1) * np.clip((262 - bright) / 20, 0.4, 1)
    chroma = cv2.resize(red - 0.5 * (green + blue), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    chroma = cv2.resize(cv2.GaussianBlur(chroma, (0, 0), 2), (width, height), interpolation=cv2.INTER_LINEAR)
    centre = np.median(chroma[valid]) if valid.any() else 0
    spread = 1.4826 * np.median(np.abs(chroma[valid] - centre)) + 0.1 if valid.any() else 1
    typical = np.exp(-0.5 * np.square(np.maximum(np.abs(chroma - centre) / spread - 1.5, 0)))
    agreement = np.exp(-np.square((fine - coarse) / 0.8))
    confidence = exposure * typical * agreement * (view & tissue_mask)
    confidence *= np.where(large, 0.3, np.where(glint, 0.1, 1))
    return np.where(view, log_z, np.nan).astype(np.float32), np.clip(confidence, 0, 1).astype(np.float32)


class PhotometricDepth:
    """The photometric prior: no weights, no stereo, about 50 ms for 640x512 on one core."""

    def predict(self, clip: "Clip", i: int) -> DepthPrediction:
        """Log z-depth up to an affine map for frame `i`, kind `logdepth`."""
        log_z, confidence = photometric_depth(clip.image(i), clip.tissue_mask(i), clip.K[i])
        return DepthPrediction(log_z, "logdepth", confidence)
