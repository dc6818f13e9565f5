"""What the tissue looks like: albedo and fine relief on its flat coordinates."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.phantom.pattern import cells, smooth_noise
from endogs.phantom.surface import Surface
from endogs.phantom.vessels import draw, grow_trees

# Linear albedos (red, green, blue).
SEROSA = np.array([0.58, 0.19, 0.155], np.float32)
PALE = np.array([0.67, 0.34, 0.275], np.float32)
CONGESTED = np.array([0.42, 0.095, 0.095], np.float32)
FAT = np.array([0.74, 0.45, 0.19], np.float32)
ARTERY = np.array([0.36, 0.045, 0.04], np.float32)
VEIN = np.array([0.24, 0.055, 0.085], np.float32)


@dataclass(frozen=True)
class Texture:
    """Maps over the flat sheet, (h, w) texels covering `Surface.extent`."""

    albedo: NDArray[np.float32]
    """(h, w, 3) linear albedo in [0, 1]."""
    slope: NDArray[np.float32]
    """(h, w, 2) derivatives of the fine relief along the flat x and y, mm per mm; the relief rises to the camera."""


def blend(base: NDArray[np.float32], color: NDArray[np.float32], amount: NDArray[np.float32]) -> NDArray[np.float32]:
    """`base` (h, w, 3) with `color` (3,) mixed in by `amount` (h, w) in [0, 1]."""
    return base + amount[..., None] * (color - base)


def smooth_step(field: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def make_texture(surface: Surface, texel: float, rng: np.random.Generator) -> Texture:
    """The tissue's texture with texels of `texel` mm, about a pixel's footprint so that it does not alias."""
    extent = surface.extent
    shape = round(extent[1] / texel), round(extent[0] / texel)

    def noise(wavelength: float, octaves: int = 1) -> NDArray[np.float32]:
        return smooth_noise(rng, extent, shape, wavelength, octaves)

    albedo = np.broadcast_to(SEROSA, (*shape, 3)).astype(np.float32)
    mottle = noise(26.0, 4)
    albedo = blend(albedo, PALE, 0.75 * smooth_step(mottle, -0.2, 1.8))
    albedo = blend(albedo, CONGESTED, 0.7 * smooth_step(-mottle, 0.1, 1.9))
    albedo *= (1 + 0.07 * noise(3.0, 4))[..., None]

    crease = cv2.resize(surface.crease, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    lobule, tint = cells(rng, extent, shape, 3.4)
    fat = smooth_step(noise(48.0, 3) + 0.5 * crease + 0.3 * (lobule - 0.5), 1.2, 2.0)
    fat_color = FAT * (0.82 + 0.3 * tint[..., None]) * (0.8 + 0.2 * lobule[..., None])
    albedo += 0.92 * fat[..., None] * (fat_color - albedo)

    # Larger vessels run as pairs of an artery and a darker vein; the finest net is arterial.
    def vessels(per_square_cm: float, diameter: float) -> NDArray[np.float32]:
        trees = math.ceil(per_square_cm * extent[0] * extent[1] / 100)
        return draw(grow_trees(rng, extent, trees, diameter), extent, shape)

    fine, veins, arteries = vessels(0.11, 0.42), vessels(0.025, 1.15), vessels(0.035, 0.8)
    fading = np.clip(0.75 + 0.3 * noise(18.0), 0.25, 1)
    albedo = blend(albedo, ARTERY, 0.6 * fine * fading * (1 - 0.6 * fat))
    albedo = blend(albedo, VEIN, 0.75 * veins * fading * (1 - 0.4 * fat))
    albedo = blend(albedo, ARTERY, 0.8 * arteries * fading * (1 - 0.3 * fat))
    # Light caught between folds bounces off red tissue: darker, and redder.
    albedo *= 1 - crease[..., None] * np.array([0.35, 0.55, 0.55], np.float32)

    # Wrinkles of the serosa: ridges of warped noise. Slopes of about 0.1 break the highlights up.
    wrinkle = -np.abs(noise(3.6, 2)) * np.clip(0.6 + 0.5 * noise(30.0), 0.05, 1.2)
    relief = 0.10 * wrinkle * (1 - fat) + 0.03 * noise(6.0, 2) + 0.012 * noise(1.4)
    relief += 0.3 * fat * lobule + 0.16 * veins + 0.10 * arteries + 0.02 * fine
    slope_y, slope_x = np.gradient(relief.astype(np.float32), extent[1] / shape[0], extent[0] / shape[1])
    return Texture(np.clip(albedo, 0.01, 0.95), np.stack([slope_x, slope_y], -1).astype(np.float32))
