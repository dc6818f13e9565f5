"""What the colon's mucosa looks like: salmon pink, with branching vessels below a wet, finely uneven surface."""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.phantom.colon.wall import Tube
from endogs.phantom.pattern import closed_noise
from endogs.phantom.texture import Texture, blend, smooth_step
from endogs.phantom.vessels import Branch, draw, grow_trees

Field = NDArray[np.float32]

# Linear albedos (red, green, blue).
MUCOSA = np.array([0.73, 0.265, 0.16], np.float32)
PALE = np.array([0.82, 0.42, 0.27], np.float32)
FLUSHED = np.array([0.64, 0.165, 0.105], np.float32)
ARTERY = np.array([0.46, 0.075, 0.06], np.float32)
VEIN = np.array([0.36, 0.10, 0.105], np.float32)
FINEST_TEXEL = 0.075
"""Millimetres."""
COARSER = 4
"""From one level of the pyramid to the next."""


@dataclass(frozen=True)
class Mucosa(Texture):
    """A texture that closes around the tube: its last column is followed by its first."""

    texel: float
    """Millimetres."""
    unrolled: Field
    """(R, C) of the grid: how far along the texture each point is, mm."""

    @cached_property
    def levels(self) -> list[tuple[Field, Field]]:
        """Albedo and slope, at full size and twice coarser by COARSER: far walls must not sparkle."""
        levels = [(np.ascontiguousarray(self.albedo), np.ascontiguousarray(self.slope))]
        for _ in range(2):
            h, w = levels[-1][0].shape[:2]
            size = max(1, w // COARSER), max(1, h // COARSER)
            albedo, slope = (cv2.resize(values, size, interpolation=cv2.INTER_AREA) for values in levels[-1])
            levels.append((np.asarray(albedo, np.float32), np.asarray(slope, np.float32)))
        return levels

    def at(self, column: Field, row: Field, footprint: Field) -> tuple[Field, Field]:
        """Albedo (N, 3) and slope (N, 2) at coordinates (h, w) of the grid, whose last column is its first; `footprint`
        (h, w) is the width of a pixel on the tissue, mm."""
        columns = self.unrolled.shape[1]
        along = cv2.remap(self.unrolled, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        level = np.clip(np.log(np.maximum(footprint / self.texel, 1e-6)) / math.log(COARSER), 0, 2)
        total = np.zeros((*column.shape, 3), np.float32), np.zeros((*column.shape, 2), np.float32)
        for index, maps in enumerate(self.levels):
            weight = np.clip(1 - np.abs(level - index), 0, 1).astype(np.float32)[..., None]
            if not weight.any():
                continue
            h, w = maps[0].shape[:2]
            x = (column * np.float32(w / (columns - 1)) - np.float32(0.5)).astype(np.float32)
            y = np.clip(along * np.float32(h / (self.texel * len(self.albedo))) - 0.5, 0, h - 1).astype(np.float32)
            for values, sum_of in zip(maps, total, strict=True):
                sum_of += weight * cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return total[0].reshape(-1, 3), total[1].reshape(-1, 2)


def make_mucosa(tube: Tube, texel: float, rng: np.random.Generator) -> Mucosa:
    """The mucosa with texels of about `texel` mm."""
    texel = max(texel, FINEST_TEXEL)
    extent = tube.extent[0], float(tube.unrolled.max())
    shape = max(8, round(extent[1] / texel)), max(8, round(extent[0] / texel))

    def noise(wavelength: float, octaves: int = 1) -> Field:
        return closed_noise(rng, extent, shape, wavelength, octaves)

    mottle = noise(26.0, 3)
    albedo = np.broadcast_to(MUCOSA, (*shape, 3)).astype(np.float32)
    albedo = blend(albedo, PALE, 0.55 * smooth_step(mottle, -0.3, 2.2))
    albedo = blend(albedo, FLUSHED, 0.4 * smooth_step(-mottle, 0.2, 2.4))
    albedo *= (1 + 0.03 * noise(2.4, 3))[..., None]
    crest = _on_texture(tube, tube.crease, shape, extent[1])
    # Where a fold is thin less blood lies under the surface; a taenia shows as a faint pale band.
    albedo = blend(albedo, PALE, 0.5 * smooth_step(crest, 0.35, 0.95))

    def vessels(per_square_cm: float, diameter: float) -> Field:
        trees = math.ceil(per_square_cm * extent[0] * extent[1] / 100)
        return draw(_around(grow_trees(rng, extent, trees, diameter), extent[0]), extent, shape)

    fine, veins, arteries = vessels(0.22, 0.36), vessels(0.022, 0.85), vessels(0.075, 0.7)
    fading = np.clip(0.62 + 0.42 * noise(20.0), 0.08, 1) * (1 - 0.45 * smooth_step(crest, 0.3, 0.9))
    albedo = blend(albedo, ARTERY, 0.5 * fine * fading)
    albedo = blend(albedo, VEIN, 0.55 * veins * fading)
    albedo = blend(albedo, ARTERY, 0.8 * arteries * fading)
    relief: Field = 0.06 * noise(8.0) + 0.014 * noise(2.4) + 0.005 * noise(0.9) + 0.03 * veins + 0.02 * arteries
    padded = np.concatenate([relief[:, -1:], relief, relief[:, :1]], 1).astype(np.float32)
    slope_y, slope_x = np.gradient(padded, extent[1] / shape[0], extent[0] / shape[1])
    slope = np.stack([slope_x, slope_y], -1)[:, 1:-1].astype(np.float32)
    return Mucosa(np.clip(albedo, 0.01, 0.95), slope, extent[1] / shape[0], tube.unrolled)


def _on_texture(tube: Tube, values: Field, shape: tuple[int, int], length: float) -> Field:
    """Values (R, C) of the tube's grid on the unrolled sheet (shape) of `length` mm."""
    rows = np.linspace(0, length, 4 * len(values))
    columns = range(values.shape[1] - 1)
    sheet = np.stack([np.interp(rows, tube.unrolled[:, c], values[:, c]) for c in columns], -1).astype(np.float32)
    return np.asarray(cv2.resize(sheet, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32)


def _around(branches: list[Branch], period: float) -> list[Branch]:
    """The branches, with copies of those that leave the sheet at its sides, one turn farther."""
    shifted = []
    for points, diameter in branches:
        for turn in (-period, period):
            x = points[:, 0] + turn
            if x.max() > -1 and x.min() < period + 1:
                shifted.append((points + np.array([turn, 0.0]), diameter))
    return branches + shifted
