"""The tissue at rest: a folded sheet in front of the first camera, as a grid of points."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from endogs.phantom.config import Phantom
from endogs.phantom.pattern import smooth_noise

ROWS, COLUMNS = 240, 300
"""Points of the grid: cells of about half a millimetre at the usual working distance."""
TILT = 0.2
"""Slope of the sheet: its upper part is farther away."""
FOLD_DIRECTION = math.radians(62)
"""Angle of the folds' phase with the x axis: they run mostly across the image."""


@dataclass(frozen=True)
class Surface:
    """A sheet parametrized by its flat coordinates, in mm from its corner."""

    closed: ClassVar[bool] = False
    """Whether the last column is the first one again, as around a tube."""

    extent: tuple[float, float]
    """Width and height of the flat sheet, mm."""
    flat: NDArray[np.float64]
    """(R, C, 2) flat coordinates in mm, the optical axis of the first camera at 0."""
    rest: NDArray[np.float64]
    """(R, C, 3) world positions at rest, mm."""
    crease: NDArray[np.float32]
    """(R, C) 1 at the bottom of a crease between folds, 0 on their backs."""

    @cached_property
    def triangles(self) -> NDArray[np.uint32]:
        """(2 (R-1)(C-1), 3) vertex indices; cell by cell, the upper-left triangle first (see `grid_coordinates`)."""
        rows, columns = self.rest.shape[:2]
        index = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
        return np.stack([np.stack([a, b, c], -1), np.stack([d, c, b], -1)], 2).reshape(-1, 3)

    def grid_coordinates(self, triangle: NDArray, weights: NDArray) -> NDArray[np.float32]:
        """Continuous (column, row) (..., 2) of points on triangles, from the weights (..., 2) of corners 1 and 2."""
        columns = self.rest.shape[1] - 1
        cell, second = triangle // 2, (triangle % 2)[..., None] == 1
        corner = np.stack([cell % columns, cell // columns], -1).astype(np.float32)
        return corner + np.where(second, 1 - weights, weights).astype(np.float32)

    def nearest_vertex(self, flat: NDArray[np.float64]) -> tuple[int, int]:
        """(row, column) of the grid point nearest to flat coordinates (2,)."""
        row, column = np.unravel_index(np.argmin(((self.flat - flat) ** 2).sum(-1)), self.flat.shape[:2])
        return int(row), int(column)


@dataclass(frozen=True)
class Sheet:
    """The tissue's outline before it is folded."""

    half: tuple[float, float]
    """Half of the width and height, mm."""
    shape: tuple[int, int]
    """Rows and columns of the grid."""
    hollow: float
    """Curvature, 1/mm: the sheet rises towards the camera by half of this times the squared distance from the axis."""


def usual_sheet(config: Phantom) -> Sheet:
    """Wide enough that no ray of a camera at the origin, still or drifting, misses it."""
    # The upper edge of the image meets the tilted sheet at `far`. The same for a still and a moving camera, so that
    # both see the same tissue.
    across_view = math.tan(math.radians(config.view_degrees) / 2)
    far = config.distance / (1 - TILT * across_view * config.height / config.width)
    margin = 10.0 + 0.28 * config.distance
    half = far * across_view + margin, far * across_view * config.height / config.width + margin
    return Sheet(half, (ROWS, COLUMNS), 0.0)


def make_surface(config: Phantom, rng: np.random.Generator, sheet: Sheet | None = None) -> Surface:
    """The tissue at rest: tilted away at the top, with bowel-like folds, in mm; by default on the usual sheet.

    The backs of the folds are made broad and the creases narrow by moving every point down the slope (the trochoid of
    Gerstner's waves), as far as the sheet does not cut through itself.
    """
    sheet = usual_sheet(config) if sheet is None else sheet
    half, shape = sheet.half, sheet.shape
    extent = 2 * half[0], 2 * half[1]
    x, y = np.meshgrid(np.linspace(-half[0], half[0], shape[1]), np.linspace(-half[1], half[1], shape[0]))

    wander = 5.0 * smooth_noise(rng, extent, shape, 55.0, 2).astype(np.float64)
    across = x * math.cos(FOLD_DIRECTION) + y * math.sin(FOLD_DIRECTION) + wander
    along = -x * math.sin(FOLD_DIRECTION) + y * math.cos(FOLD_DIRECTION)
    wavelength = 27.0
    back = np.sqrt(np.cos(np.pi * across / wavelength) ** 2 + 0.012)  # rounded, with a crease at every zero
    # Each fold is divided by shallower constrictions, shifted from fold to fold.
    fold = np.floor(across / wavelength + 0.5)
    shift = rng.uniform(0, 40, 400)[np.clip(fold.astype(int) + 200, 0, 399)]
    bulge = np.abs(np.cos(np.pi * (along + shift + 3 * smooth_noise(rng, extent, shape, 30.0)) / 38.0))
    constriction = 0.42 * np.sqrt(bulge**2 + 0.02) * back**2
    strength = np.clip(0.9 + 0.35 * smooth_noise(rng, extent, shape, 70.0), 0.3, 1.5)
    height = config.folds * strength * (back + constriction)
    height = height - height.mean()
    height += 2.5 * smooth_noise(rng, extent, shape, 90.0) + 0.22 * smooth_noise(rng, extent, shape, 9.0, 2)

    pitch = extent[0] / (shape[1] - 1), extent[1] / (shape[0] - 1)
    slope_y, slope_x = np.gradient(height, pitch[1], pitch[0])
    curvature = max(
        np.abs(np.gradient(slope_x, pitch[0], axis=1)).max(), np.abs(np.gradient(slope_y, pitch[1], axis=0)).max()
    )
    spread = min(2.5, 0.55 / max(curvature, 1e-9))
    rest = np.stack([x - spread * slope_x, y - spread * slope_y, config.distance - TILT * y - height], -1)
    if sheet.hollow:
        rest[..., 2] -= 0.5 * sheet.hollow * (x**2 + y**2)
    crease = np.clip(1 - (back + 0.5 * constriction) * 1.35, 0, 1) * min(1.0, config.folds / 2)
    return Surface(extent, np.stack([x, y], -1), rest, crease.astype(np.float32))
