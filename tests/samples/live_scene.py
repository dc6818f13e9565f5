"""A small scene whose every motion is known: a textured sheet that is pulled apart along x."""

import numpy as np
import torch

from endogs.gaussians import CHANNELS
from endogs.geometry import look_at
from endogs.scene import Knots, Scene, SplineDeformation

RATE = 0.25
"""The sheet's x grow by this share per second."""
DISTANCE = 60.0
INTERVAL = 0.25
"""Seconds per knot interval."""
WIDTH, HEIGHT, FRAMES, FPS = 96, 80, 9, 8.0


def stretching_scene(rows: int = 48, columns: int = 60, units: str = "mm") -> Scene:
    """A sheet at z = 60, seen from the side; x(t) = x (1 + RATE t) exactly, as B-splines keep straight lines."""
    x, y = np.meshgrid(np.linspace(-48, 48, columns), np.linspace(-40, 40, rows))
    base = torch.zeros(rows * columns, CHANNELS)
    base[:, 0], base[:, 1], base[:, 2] = torch.tensor(x.ravel()), torch.tensor(y.ravel()), DISTANCE
    base[:, 3] = 1
    base[:, 7:10] = float(np.log(1.6))
    base[:, 10] = 4.0
    base[:, 11] = torch.tensor(0.5 + 0.4 * np.sin(x.ravel() / 6))
    base[:, 12] = torch.tensor(0.5 + 0.4 * np.cos(y.ravel() / 9))
    base[:, 13] = torch.tensor(0.5 + 0.4 * np.sin((x + y).ravel() / 11))
    times = np.arange(FRAMES) / FPS
    knots = Knots.over(0.0, float(times[-1]), INTERVAL)
    control = torch.zeros(knots.count, len(base), CHANNELS)
    # Control point k sits at time (k - 1) * INTERVAL.
    control[:, :, 0] = (torch.arange(knots.count)[:, None] - 1) * INTERVAL * RATE * base[None, :, 0]
    K = np.array([[92.0, 0, 51.0], [0, 90.0, 36.0], [0, 0, 1]])
    world_to_camera = look_at(np.array([9.0, -5.0, 0.0]), np.array([0.0, 0.0, DISTANCE]), np.array([0.05, -1.0, 0.0]))
    return Scene(
        base,
        SplineDeformation(control, knots),
        times,
        np.repeat(K[None], FRAMES, 0),
        np.repeat(world_to_camera[None], FRAMES, 0),
        WIDTH,
        HEIGHT,
        units,
    )
