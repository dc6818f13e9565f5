"""How the tissue and the camera move."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.phantom.config import Phantom
from endogs.phantom.surface import FOLD_DIRECTION, Surface

PULL_PERIOD = 4.6
"""Seconds from one rest to the next of an instrument that pulls."""
BREATH_PERIOD = 4.0
"""Seconds per breath (15 per minute)."""
WAVE_PERIOD, WAVE_LENGTH = 6.0, 42.0
"""Seconds and millimetres of the peristaltic wave."""
COLON_REACH = 0.45
"""How far a camera drifts in the colon, as a share of its drift before the abdomen at the usual distance."""


@dataclass(frozen=True)
class Pull:
    """One instrument's hold on the tissue."""

    vertex: tuple[int, int]
    """(row, column) of the grid point that it holds."""
    weight: NDArray[np.float64]
    """(R, C) share of the pull that each grid point follows: 1 where held, falling smoothly to 0."""
    direction: NDArray[np.float64]
    """(3,) unit direction of the pull, world."""
    sideways: NDArray[np.float64]
    """(3,) unit direction, across, of the smaller circling motion."""
    amplitude: float
    """Largest displacement along `direction`, mm."""
    phase: float
    """Radians by which this instrument is ahead."""

    def offset(self, time: float) -> NDArray[np.float64]:
        """Displacement (3,) in mm of the held point at `time` seconds."""
        angle = 2 * math.pi * time / PULL_PERIOD + self.phase
        lift = 0.5 - 0.5 * math.cos(angle) + 0.08 * math.sin(3 * angle)
        return self.amplitude * (lift * self.direction + 0.35 * math.sin(angle) * self.sideways)


def make_pulls(config: Phantom, surface: Surface, rng: np.random.Generator) -> list[Pull]:
    """One pull per instrument: the first at the right of the image's middle, the second at its left."""
    half = config.distance * math.tan(math.radians(config.view_degrees) / 2)
    pulls = []
    for k in range(config.instrument_count):
        side = 1.0 if k == 0 else -1.0
        anchor = np.array([side * rng.uniform(0.16, 0.30) * half, side * rng.uniform(0.02, 0.14) * half])
        vertex = surface.nearest_vertex(anchor)
        direction = np.array([side * rng.uniform(0.35, 0.6), rng.uniform(-0.35, 0.1), -0.8])
        direction /= np.linalg.norm(direction)
        sideways = np.cross(direction, [0.0, 0.0, 1.0])
        # Tissue under tension follows farther along the pull than across it, and forms a tent with a rounded tip.
        offset = surface.flat - surface.flat[vertex]
        lateral = direction[:2] / np.linalg.norm(direction[:2])
        along, across = offset @ lateral, offset @ np.array([-lateral[1], lateral[0]])
        radius, rounding = np.hypot(along / 1.35, across), 5.0
        weight = np.exp(-(np.hypot(radius, rounding) - rounding) / 11.0)
        phase = 2 * math.pi * (0.08 + 0.37 * k)
        pulls.append(Pull(vertex, weight, direction, sideways, config.pull, phase))
    return pulls


def positions_at(config: Phantom, surface: Surface, pulls: list[Pull], time: float) -> NDArray[np.float64]:
    """World positions (R, C, 3) in mm of the tissue's grid at `time` seconds."""
    x, y = surface.flat[..., 0], surface.flat[..., 1]
    breath = math.sin(2 * math.pi * time / BREATH_PERIOD)
    swell = 1 + 0.4 * np.cos(x / 45.0) * np.cos(y / 50.0)
    along = -x * math.sin(FOLD_DIRECTION) + y * math.cos(FOLD_DIRECTION)
    wave = np.sin(2 * math.pi * (along / WAVE_LENGTH - time / WAVE_PERIOD)) * (1 - 0.6 * surface.crease)
    moved = surface.rest.copy()
    moved[..., 1] += 0.45 * config.breathing * breath
    moved[..., 2] -= config.breathing * breath * swell + config.peristalsis * wave
    if config.wave:
        moved[..., 2] -= travelling_wave(config, along, time)
    for pull in pulls:
        moved += pull.weight[..., None] * pull.offset(time)
    return moved


def travelling_wave(config: Phantom, along: NDArray[np.float64], time: float) -> NDArray[np.float64]:
    """Displacement in mm of --wave at places `along` mm of its way: sines of WAVE_LENGTH that move at --wave-speed."""
    return config.wave * np.sin(2 * math.pi * (along - config.wave_speed * time) / WAVE_LENGTH)


def breath_at(time: float) -> float:
    """Share of the respiratory amplitude at `time` seconds."""
    return math.sin(2 * math.pi * time / BREATH_PERIOD)


def camera_at(config: Phantom, time: float) -> NDArray[np.float64]:
    """`world_to_camera` (4, 4) of the (left) camera at `time` seconds; the identity at 0, and always when still."""
    if not config.camera_moves:
        return np.eye(4)
    phase = 2 * math.pi * time / 7.0
    # Nearer tissue, smaller motion.
    reach = config.distance / 72 if config.anatomy == "abdomen" else COLON_REACH
    eye = reach * np.array([9.0 * math.sin(phase), 4.0 * math.sin(2 * phase), 6.0 * (1 - math.cos(phase))])
    yaw, pitch, roll = -0.09 * math.sin(phase), 0.035 * math.sin(2 * phase), 0.06 * math.sin(phase)
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = turn_y @ turn_x @ turn_z
    camera_to_world[:3, 3] = eye
    return invert_rigid(camera_to_world)
