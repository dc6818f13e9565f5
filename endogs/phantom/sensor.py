"""From radiance to the picture: lens blur, vignetting, sensor noise, sRGB, 8 bits."""

import cv2
import numpy as np
from numpy.typing import NDArray

LENS_BLUR = 0.55
"""Standard deviation of the lens's point spread, pixels."""
PHOTON_NOISE, READ_NOISE = 1.3e-4, 1.5e-6
"""Variance of the linear signal: per unit of signal, and constant, at noise = 1."""


def vignette(width: int, height: int, loss: float) -> NDArray[np.float32]:
    """Factor (height, width): 1 in the middle, 1 - loss in the corners, falling with the square of the radius."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    aspect = height / width
    radius = (x[None] ** 2 + (y[:, None] * aspect) ** 2) / (1 + aspect**2)
    return (1 - loss * radius).astype(np.float32)


def encode_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """sRGB in [0, 1] of linear light, clipped to [0, 1] (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_TABLE_SIZE = 4096


def expose(
    radiance: NDArray[np.float32], falloff: NDArray[np.float32], noise: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The 8-bit sRGB picture (H, W, 3) of linear radiance (H, W, 3); 1 is white.

    `falloff` (H, W) is the vignetting, `noise` scales the standard deviation of the sensor noise.
    """
    # Clipped before the blur as well, so that a mirror-like highlight does not bloom over its neighbours.
    linear = cv2.GaussianBlur(np.minimum(radiance, 4.0), (0, 0), LENS_BLUR) * falloff[..., None]
    if noise > 0:
        deviation = np.sqrt(PHOTON_NOISE * np.maximum(linear, 0) + READ_NOISE) * np.float32(noise)
        linear = linear + deviation * rng.standard_normal(linear.shape, np.float32)
    # The curve by a table of 4096 steps in the square root, which is finer than 8 bits everywhere.
    steps = np.linspace(0, 1, _TABLE_SIZE, dtype=np.float32)
    table = np.round(encode_srgb(np.square(steps)) * 255).astype(np.uint8)
    return table[np.round(np.sqrt(np.clip(linear, 0, 1)) * (_TABLE_SIZE - 1)).astype(np.int16)]
