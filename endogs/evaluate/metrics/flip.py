"""LDR-FLIP: how strongly a viewer who flips between two images would notice their difference, per pixel, 0 to 1.

P. Andersson, J. Nilsson, T. Akenine-Moller, M. Oskarsson, K. Astrom, M. D. Fairchild, "FLIP: a difference evaluator for
alternating images", HPG 2020. Section numbers below are those of the paper.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.metrics import Image, Mask, to_8bit, zeroed

PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * np.pi / 180
"""The paper's viewer: 0.7 m in front of a screen 0.7 m wide with 3840 pixels."""
CONTRAST_SENSITIVITY = (
    ((1.0, 0.0047),),
    ((1.0, 0.0053),),
    ((34.1, 0.04), (13.5, 0.025)),
)
"""Sums of Gaussians (a, b) per opponent channel: achromatic, red-green, blue-yellow (section 4.1.1, table 1)."""
COLOR_EXPONENT, KNEE, KNEE_LEVEL = 0.7, 0.4, 0.95
"""q_c, p_c and p_t: how colour differences are spread over [0, 1] (section 4.1.3)."""
FEATURE_WIDTH, FEATURE_EXPONENT = 0.082, 0.5
"""Width of edges and points in degrees, and q_f (section 4.2)."""

Plane = NDArray[np.float32]


def flip_map(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> Plane:
    """The FLIP error (H, W) in [0, 1] of the images times the mask, for the paper's default viewing distance."""
    test, reference = (_opponent(zeroed(image, tissue_mask)) for image in (prediction, target))
    color = _color_difference(test, reference)
    feature = _feature_difference(test[..., 0], reference[..., 0])
    return np.asarray(np.power(color, 1 - feature), np.float32)


def flip(prediction: Image, target: Image, tissue_mask: Mask | None = None) -> float:
    """Mean of `flip_map` over the whole frame; the zeroed instruments count as perfect. 0 is equal."""
    return float(flip_map(prediction, target, tissue_mask).mean(dtype=np.float64))


def flip_pair(prediction: Image, target: Image, tissue_mask: Mask) -> tuple[float, float]:
    """Means of `flip_map` over the whole frame and over the tissue (NaN without any)."""
    found = flip_map(prediction, target, tissue_mask)
    inside = float(found[tissue_mask].mean(dtype=np.float64)) if tissue_mask.any() else float("nan")
    return float(found.mean(dtype=np.float64)), inside


@lru_cache(maxsize=1)
def _linear_of_level() -> Plane:
    """Linear light of the 256 levels of sRGB (IEC 61966-2-1)."""
    s = np.arange(256) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=1)
def _xyz_of_rgb() -> NDArray[np.float64]:
    """Relative to white (D65): XYZ / XYZ_white = M RGB, from the primaries of sRGB."""
    primaries = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])
    columns = np.stack([primaries[:, 0], primaries[:, 1], 1 - primaries.sum(1)])
    white = np.array([0.3127, 0.3290, 0.3583]) / 0.3290
    return columns * np.linalg.solve(columns, white) / white[:, None]


@lru_cache(maxsize=1)
def _opponent_of_xyz() -> NDArray[np.float64]:
    """YCxCz without its offset of -16, which no difference sees (section 4.1, from CIELab made linear)."""
    return np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200.0]])


def _transform(image: Plane, matrix: NDArray[np.float64]) -> Plane:
    return np.asarray(cv2.transform(image, matrix), np.float32)


def _opponent(image: Plane) -> Plane:
    """YCxCz (H, W, 3) of an sRGB image in [0, 1] that holds 8-bit levels."""
    linear = _linear_of_level()[to_8bit(image)]
    return _transform(linear, _opponent_of_xyz() @ _xyz_of_rgb())


def _filtered(plane: Plane, taps_x: Plane, taps_y: Plane) -> Plane:
    return np.asarray(cv2.sepFilter2D(plane, cv2.CV_32F, taps_x, taps_y, borderType=cv2.BORDER_REPLICATE), np.float32)


@lru_cache(maxsize=1)
def _sensitivity_taps() -> tuple[tuple[tuple[float, Plane], ...], ...]:
    """Per channel: (weight, taps) of separable Gaussians whose weighted sum is one filter of unit sum."""
    widest = max(b for channel in CONTRAST_SENSITIVITY for _, b in channel)
    radius = int(np.ceil(3 * np.sqrt(widest / (2 * np.pi**2)) * PIXELS_PER_DEGREE))
    x = np.arange(-radius, radius + 1) / PIXELS_PER_DEGREE
    channels = []
    for terms in CONTRAST_SENSITIVITY:
        taps = [np.exp(-(np.pi**2) * x**2 / b) for _, b in terms]
        heights = [a * np.sqrt(np.pi / b) * t.sum() ** 2 for (a, b), t in zip(terms, taps, strict=True)]
        parts = [(h / sum(heights), (t / t.sum()).astype(np.float32)) for h, t in zip(heights, taps, strict=True)]
        channels.append(tuple(parts))
    return tuple(channels)


def _seen(opponent: Plane) -> Plane:
    """CIELab with Hunt's adjustment of what the eye resolves of a YCxCz image (sections 4.1.1 and 4.1.2)."""
    filtered = np.zeros_like(opponent)
    for channel, parts in enumerate(_sensitivity_taps()):
        plane = np.ascontiguousarray(opponent[..., channel])
        for weight, taps in parts:
            filtered[..., channel] += np.float32(weight) * _filtered(plane, taps, taps)
    to_rgb = np.asarray(np.linalg.inv(_opponent_of_xyz() @ _xyz_of_rgb()), np.float64)
    return _hunt_lab(np.clip(_transform(filtered, to_rgb), 0, 1))


def _hunt_lab(linear: Plane) -> Plane:
    xyz = _transform(linear, _xyz_of_rgb())
    delta = 6 / 29
    f = np.where(xyz > delta**3, np.cbrt(xyz), xyz / np.float32(3 * delta**2) + np.float32(4 / 29))
    lightness = 116 * f[..., 1] - 16
    saturation = np.float32(0.01) * lightness
    a, b = 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    return np.dstack([lightness, saturation * a, saturation * b]).astype(np.float32)


def _hyab(a: Plane, b: Plane) -> Plane:
    """City-block in lightness, Euclidean in chroma (Abasi et al. 2020)."""
    difference = a - b
    chroma = np.hypot(difference[..., 1], difference[..., 2])
    return np.asarray(np.abs(difference[..., 0]) + chroma, np.float32)


@lru_cache(maxsize=1)
def _largest_difference() -> float:
    green, blue = (_hunt_lab(np.array([[color]], np.float32)) for color in ((0, 1, 0), (0, 0, 1)))
    return float(_hyab(green, blue)[0, 0]) ** COLOR_EXPONENT


def _color_difference(test: Plane, reference: Plane) -> Plane:
    power = np.power(_hyab(_seen(test), _seen(reference)), np.float32(COLOR_EXPONENT))
    largest = _largest_difference()
    knee = KNEE * largest
    low = KNEE_LEVEL / knee * power
    high = KNEE_LEVEL + (power - knee) / (largest - knee) * (1 - KNEE_LEVEL)
    return np.clip(np.where(power < knee, low, high), 0, 1)


@lru_cache(maxsize=1)
def _feature_taps() -> tuple[Plane, Plane, Plane]:
    """Gaussian, edge and point detector in one dimension; positive and negative weights sum to 1 each."""
    sigma = 0.5 * FEATURE_WIDTH * PIXELS_PER_DEGREE
    radius = int(np.ceil(3 * sigma))
    x: NDArray[np.float64] = np.arange(-radius, radius + 1, dtype=np.float64)
    gauss = np.exp(-(x**2) / (2 * sigma**2))

    def balanced(taps: NDArray[Any]) -> Plane:
        positive, negative = taps[taps > 0].sum(), -taps[taps < 0].sum()
        return np.where(taps > 0, taps / positive, taps / negative).astype(np.float32)

    return (gauss / gauss.sum()).astype(np.float32), balanced(-x * gauss), balanced((x**2 / sigma**2 - 1) * gauss)


def _feature_difference(test: Plane, reference: Plane) -> Plane:
    gauss, edge, point = _feature_taps()

    def strength(plane: Plane, taps: Plane) -> Plane:
        return np.hypot(_filtered(plane, taps, gauss), _filtered(plane, gauss, taps))

    planes = [np.ascontiguousarray(plane) / np.float32(116) for plane in (test, reference)]
    gaps = [np.abs(strength(planes[0], taps) - strength(planes[1], taps)) for taps in (edge, point)]
    return np.clip(np.power(np.maximum(*gaps) / np.float32(np.sqrt(2)), np.float32(FEATURE_EXPONENT)), 0, 1)
