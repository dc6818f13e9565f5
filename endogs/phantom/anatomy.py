"""What a phantom shows: its tissue at rest, how it moves, what it looks like, and how a camera path lies in it."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.phantom.colon.mucosa import make_mucosa
from endogs.phantom.colon.wall import Tube, make_tube
from endogs.phantom.config import Phantom
from endogs.phantom.instruments import Mesh, incision, instruments_at
from endogs.phantom.motion import Pull, breath_at, make_pulls, positions_at, travelling_wave
from endogs.phantom.optics import Optics
from endogs.phantom.path import CameraPath, eyes
from endogs.phantom.surface import TILT, Sheet, Surface, make_surface
from endogs.phantom.texture import Texture, make_texture

Array = NDArray[np.float64]

HOLLOW = 1.3
"""Radius of the bowl that a moving camera's tissue lies in, as a multiple of the distance."""
LARGEST_SHEET = 420.0
"""Millimetres: half of the largest sheet that is made for a trajectory."""
CELL = 0.62
"""Millimetres of a cell of its grid, as long as it has not more than MOST_CELLS in a row."""
MOST_CELLS = 900


class Anatomy(Protocol):
    """Tissue of any kind."""

    @property
    def surface(self) -> Surface:
        """The grid at rest."""
        ...

    @property
    def reference_distance(self) -> float:
        """Where the lamp's intensity is given, mm."""
        ...

    @property
    def texture(self) -> Texture:
        """What the tissue looks like."""
        ...

    def positions(self, time: float) -> Array:
        """World positions (R, C, 3), mm, of the tissue's grid at `time` seconds."""
        ...

    def tools(self, positions: Array, time: float) -> Mesh | None:
        """The instruments when the grid is at `positions`; None without any."""
        ...

    def tool_distance(self, places: Array) -> Array:
        """(N,) mm from places (N, 3) to the nearest instrument's axis at rest; infinite without any."""
        ...

    def open_places(self, places: Array) -> Array:
        """(N, 3) places that are never in tissue, near camera places (N, 3)."""
        ...

    def notes(self) -> list[str]:
        """Sentences about what was made otherwise than asked."""
        ...

    def swing(self) -> float:
        """How far the tissue moves from its rest where no instrument holds it, at most, mm."""
        ...


@dataclass
class Abdomen:
    """A folded sheet that instruments pull."""

    config: Phantom
    surface: Surface
    pulls: list[Pull]
    texture_rng: np.random.Generator

    @property
    def reference_distance(self) -> float:
        """The working distance."""
        return self.config.distance

    @cached_property
    def texture(self) -> Texture:
        """Serosa with vessels and fat."""
        return make_texture(self.surface, self.config.distance / self.config.focal, self.texture_rng)

    def positions(self, time: float) -> Array:
        """As `endogs.phantom.motion.positions_at`."""
        return positions_at(self.config, self.surface, self.pulls, time)

    def tools(self, positions: Array, time: float) -> Mesh | None:
        """As `endogs.phantom.instruments.instruments_at`."""
        return instruments_at(self.config, self.pulls, positions, time)

    def tool_distance(self, places: Array) -> Array:
        """From straight lines between the held points and the incisions."""
        nearest = np.full(len(places), np.inf)
        for k, pull in enumerate(self.pulls):
            tip = self.surface.rest[pull.vertex]
            axis = incision(self.config, k) - tip
            share = np.clip((places - tip) @ axis / (axis @ axis), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(tip + share[:, None] * axis - places, axis=1))
        return nearest

    def open_places(self, places: Array) -> Array:
        """The middle of the path, from which the tissue is a working distance away."""
        return np.zeros_like(places)

    def notes(self) -> list[str]:
        """None."""
        return []

    def swing(self) -> float:
        """Of breathing, peristalsis and the wave."""
        return 1.5 * self.config.breathing + self.config.peristalsis + self.config.wave


@dataclass
class Colon:
    """A tube around the camera's path."""

    config: Phantom
    surface: Tube
    texture_rng: np.random.Generator

    @property
    def reference_distance(self) -> float:
        """The distance of the wall."""
        return self.config.radius

    @cached_property
    def texture(self) -> Texture:
        """Mucosa, as fine as a pixel of the near wall."""
        return make_mucosa(self.surface, 0.8 * self.config.radius / self.config.focal, self.texture_rng)

    def positions(self, time: float) -> Array:
        """The wall at rest, carried to and fro by breathing and narrowed by the wave.

        Breathing moves the colon as a whole, down and along, and by a quarter more or less from place to place.
        """
        config, tube = self.config, self.surface
        along = tube.centreline.along
        swell = 1 + 0.25 * np.cos(along / 50.0)
        carried = breath_at(time) * config.breathing * swell[:, None, None] * np.array([0.25, 0.75, 0.45])
        narrowed = travelling_wave(config, along, time)[:, None, None] * tube.inward
        return np.asarray(tube.rest + carried + narrowed)

    def tools(self, positions: Array, time: float) -> None:
        """None yet reach into the colon."""

    def tool_distance(self, places: Array) -> Array:
        """Infinite."""
        return np.full(len(places), np.inf)

    def open_places(self, places: Array) -> Array:
        """The middle of the lumen."""
        return self.surface.centreline.nearest(places)

    def notes(self) -> list[str]:
        """That the colon is wider than --radius, where the path needs it."""
        made, asked = self.surface.radius, self.config.radius
        return [] if made <= asked else [f"The colon's radius is {made:.1f} mm, not {asked:g}, so that the path fits."]

    def swing(self) -> float:
        """Of breathing and the wave."""
        return 1.15 * self.config.breathing + self.config.wave


def make_anatomy(config: Phantom, path: CameraPath, optics: Optics) -> Anatomy:
    """The tissue that the options ask for, made around the camera's path.

    One independent stream of random numbers per part, so that an option of one part leaves the others as they were.
    Raises InputError where the path does not fit.
    """
    surface_rng, texture_rng, pull_rng, _ = streams(config)
    if config.anatomy == "colon":
        return Colon(config, make_tube(config, eyes(config, path.whole), surface_rng), texture_rng)
    usual = config.trajectory is None and config.lens == "pinhole"
    sheet = None if usual else sheet_for(config, path, optics)
    surface = make_surface(config, surface_rng, sheet)
    return Abdomen(config, surface, make_pulls(config, surface, pull_rng), texture_rng)


def streams(config: Phantom) -> list[np.random.Generator]:
    """Random numbers for the surface, the texture, the pulls and the choice of tracks."""
    return [np.random.default_rng(seed) for seed in np.random.SeedSequence(config.seed).spawn(4)]


def sheet_for(config: Phantom, path: CameraPath, optics: Optics) -> Sheet:
    """A hollow sheet that all views of a path fall on; InputError where it would have to be too wide.

    The rim of each view is followed to the bowl z = d - TILT y - (x^2 + y^2) / (2 HOLLOW d).
    """
    hollow = 1 / (HOLLOW * config.distance)
    rim = np.concatenate([optics.rays[0, ::8], optics.rays[-1, ::8], optics.rays[::8, 0], optics.rays[::8, -1]])
    if optics.outside is not None:
        angle = np.linspace(0, 2 * math.pi, 64)
        steep = optics.rays[~optics.outside]
        slope = np.hypot(steep[:, 0], steep[:, 1]).max()
        rim = np.stack([slope * np.cos(angle), slope * np.sin(angle), np.ones_like(angle)], -1)
    poses = path.whole[:: max(1, len(path.whole) // 400)]
    rays = np.einsum("nij,rj->nri", poses[:, :3, :3], rim).reshape(-1, 3)
    eyes = np.repeat(poses[:, :3, 3], len(rim), 0)
    x, y, z = eyes.T
    dx, dy, dz = rays.T
    a = 0.5 * hollow * (dx**2 + dy**2)
    b = dz + TILT * dy + hollow * (x * dx + y * dy)
    c = z + TILT * y + 0.5 * hollow * (x**2 + y**2) - config.distance
    if (c > 0).any():
        raise InputError(_through(config, float(path.whole[:, 2, 3].max())))
    travelled = 2 * -c / np.maximum(b + np.sqrt(np.maximum(b * b - 4 * a * c, 0)), 1e-9)
    reach = np.abs(eyes + travelled[:, None] * rays)[:, :2].max(0)
    margin = 12 + 0.2 * config.distance
    half = float(reach[0] + margin), float(reach[1] + margin)
    if max(half) > LARGEST_SHEET:
        turn = math.degrees(math.acos(float(np.clip(path.whole[:, 2, 2].min(), -1, 1))))
        raise InputError(
            f"{config.trajectory or '--lens fisheye'}: the camera turns by up to {turn:.0f} degrees from its mean view "
            f"and sees tissue as far as {max(half):.0f} mm to its side: lower --field-of-view or --distance."
        )
    columns, rows = (min(MOST_CELLS, max(64, round(2 * h / CELL))) + 1 for h in half)
    return Sheet(half, (rows, columns), hollow)


def _through(config: Phantom, ahead: float) -> str:
    return (
        f"{config.trajectory}: the camera comes {ahead:.0f} mm ahead of its mean place, through tissue that is "
        f"{config.distance:g} mm away: raise --distance, or lower --trajectory-scale."
    )
