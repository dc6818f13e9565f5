"""The wall of a colon at rest: haustra between crescent-shaped folds that three taeniae divide."""

import copy
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.phantom.colon.centreline import Centreline, make_centreline
from endogs.phantom.config import Phantom
from endogs.phantom.pattern import closed_noise
from endogs.phantom.surface import Surface

Array = NDArray[np.float64]

CELLS = 0.42, 1.0
"""Millimetres of the smallest and largest grid cells; between them as wide as CELL_PIXELS pixels of the near wall."""
CELL_PIXELS = 1.6
CLEARANCE = 6.5
"""Millimetres that are left free around the camera's path."""
WIDEST = 40.0
"""Radius, mm, of the widest colon that is made: a caecum."""
SECTOR = 2 * math.pi / 3
"""Between two taeniae."""
SPACING = (15.0, 30.0)
"""Millimetres from ring to ring of folds."""


@dataclass(frozen=True)
class Fold:
    """A crescent between two taeniae."""

    along: float
    """Place along the centreline, mm."""
    angle: float
    """Of its middle, radians."""
    half_width: float
    """Radians to where it ends."""
    height: float
    """Of its middle, mm."""
    tilt: float
    """Millimetres along the centreline per radian: no fold stands straight across."""
    thickness: float
    """Length over which its flanks fall by e, mm."""


@dataclass(frozen=True)
class Tube(Surface):
    """A closed sheet: rows along the centreline, columns around it, the last column being the first again."""

    centreline: Centreline
    radius: float
    """Mean radius between the folds, mm."""
    inward: Array
    """(R, C, 3) unit vectors to the centreline."""
    unrolled: NDArray[np.float32]
    """(R, C) how far along the wall each point is, mm: over the folds, so that nothing drawn on it is stretched."""

    closed = True


def make_tube(config: Phantom, places: Array, rng: np.random.Generator) -> Tube:
    """A colon at rest around the camera's places (N, 3), mm.

    It is as wide as --radius says, or as the path needs. Raises InputError where that would be wider than a colon.
    """
    line_rng, fold_rng, noise_rng = rng.spawn(3)
    cell = min(max(CELL_PIXELS * 0.8 * config.radius / config.focal, CELLS[0]), CELLS[1])
    again = copy.deepcopy(line_rng)
    line = make_centreline(places, cell, line_rng)
    height = 2 * config.folds
    strays = float(line.distance(places).max())
    needed = strays + CLEARANCE + 1.15 * height + 1.3 * config.breathing + config.wave
    if needed > max(WIDEST, config.radius):
        room = WIDEST - (needed - strays)
        if room < 1 or config.trajectory is None:
            raise InputError(
                f"--folds, --breathing and --wave leave no room for a camera in the widest colon, of {WIDEST:g} mm: "
                "lower them."
            )
        scale = config.trajectory_scale * _fitting_share(places, room, again)
        raise InputError(
            f"{config.trajectory}: the camera strays {strays:.1f} mm from the middle of a colon that bends with its "
            f"path, and {room:.1f} mm are free in the widest: give --trajectory-scale {scale:.3g} or less."
        )
    radius = max(config.radius, needed)
    columns = round(2 * math.pi * radius / cell) + 1
    shape = len(line.along), columns
    extent = 2 * math.pi * radius, float(line.along[-1])
    angle = np.linspace(0, 2 * math.pi, columns)

    def noise(wavelength: float, octaves: int = 1) -> Array:
        field = closed_noise(noise_rng, extent, (shape[0], columns - 1), wavelength, octaves).astype(np.float64)
        return np.concatenate([field, field[:, :1]], 1)

    turn = 0.3 * noise(160.0)[:, :1] + fold_rng.uniform(0, SECTOR)
    local = angle[None] + turn  # angle from the first taenia
    ridge = _ridges(line.along, local, make_folds(extent[1], height, fold_rng), 0.8 * noise(24.0), 0.5 * noise(18.0))
    reach = radius * (1 + 0.045 * noise(60.0)) + 0.05 * height
    reach += 0.38 * noise(20.0) + 0.12 * noise(9.0)
    beside = np.abs((local + SECTOR / 2) % SECTOR - SECTOR / 2) * radius  # mm from the nearest taenia
    reach -= 0.9 * np.exp(-((beside / 3.2) ** 2))
    reach -= np.minimum(ridge, 0.85 * reach)
    # Both ends are closed by domes, so that no ray leaves.
    end = np.minimum(line.along, line.along[-1] - line.along) / 14.0
    reach *= np.sqrt(np.clip(1 - (1 - np.clip(end, 0, 1)) ** 2, 1e-4, 1))[:, None]
    outward = (
        np.cos(angle)[None, :, None] * line.axes[:, None, 0] + np.sin(angle)[None, :, None] * line.axes[:, None, 1]
    )
    rest = line.points[:, None] + reach[..., None] * outward
    rest[:, -1] = rest[:, 0]
    flat = np.stack(np.meshgrid(angle * radius, line.along), -1)
    crest = np.clip(ridge / max(height, 1e-6), 0, 1.2).astype(np.float32)
    return Tube(extent, flat, rest, crest, line, radius, -outward, unrolled(rest, cell))


def _fitting_share(places: Array, room: float, rng: np.random.Generator) -> float:
    """The largest share of a path, by steps of a twentieth, that strays no more than `room` mm from the middle."""
    share = 0.95
    while share > 0.001:
        line = make_centreline(share * places, 2.0, copy.deepcopy(rng))
        if line.distance(share * places).max() < 0.98 * room:
            break
        share *= 0.95
    return math.floor(share * 1000) / 1000


def unrolled(rest: Array, cell: float) -> NDArray[np.float32]:
    """(R, C) lengths in mm along the wall of a grid (R, C, 3) with rows `cell` mm apart, nearly.

    They are exact over a fold, and over several equal all around, so that neighbours do not drift apart.
    """
    from scipy.ndimage import gaussian_filter1d

    steps = np.linalg.norm(np.diff(rest, axis=0), axis=-1)
    lengths = np.concatenate([np.zeros((1, rest.shape[1])), np.cumsum(steps, 0)])
    mean = lengths.mean(1, keepdims=True)
    return (lengths - gaussian_filter1d(lengths - mean, 16.0 / cell, axis=0, mode="nearest")).astype(np.float32)


def make_folds(length: float, height: float, rng: np.random.Generator) -> list[Fold]:
    """Folds over `length` mm: rings at uneven distances, each broken at the taeniae, with folds missing and added."""
    folds = []
    at = rng.uniform(0, 10)
    while at < length:
        for sector in range(3):
            if rng.random() < 0.13:
                continue
            folds.append(_fold(at + rng.normal(0, 3.2), sector, height * rng.uniform(0.6, 1.15), rng))
            if rng.random() < 0.14:
                folds.append(_fold(at + rng.uniform(6, 11), sector, height * rng.uniform(0.25, 0.5), rng))
        at += rng.uniform(*SPACING)
    return folds


def _fold(along: float, sector: int, height: float, rng: np.random.Generator) -> Fold:
    middle = (sector + 0.5) * SECTOR + rng.normal(0, 0.1)
    wide = SECTOR / 2 * rng.uniform(0.9, 1.16)
    return Fold(along, middle, wide, height, rng.normal(0, 2.4), rng.uniform(1.5, 2.4))


def _ridges(along: Array, local: Array, folds: list[Fold], sway: Array, uneven: Array) -> Array:
    """How far the folds stand out (R, C), mm; `sway` shifts them along (R, C), `uneven` changes their height (R, C)."""
    total = np.zeros(local.shape)
    for fold in folds:
        rows = slice(*np.searchsorted(along, [fold.along - 24, fold.along + 24]))
        if rows.start == rows.stop:
            continue
        apart = (local[rows] - fold.angle + math.pi) % (2 * math.pi) - math.pi
        crescent = np.cos(np.clip(apart / fold.half_width, -1, 1) * math.pi / 2) ** 0.85
        away = along[rows, None] - fold.along - fold.tilt * apart - sway[rows]
        edge = 1.0
        sharp = np.exp(-(np.hypot(away, edge) - edge) / fold.thickness)
        broad = np.exp(-((away / 7.0) ** 2))
        stands = fold.height * (1 + 0.12 * uneven[rows]) * crescent * (0.72 * sharp + 0.28 * broad)
        total[rows] += np.maximum(stands, 0) ** 4  # a smooth maximum: folds that meet do not add up
    return np.asarray(total**0.25)
