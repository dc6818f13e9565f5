"""Small scenes for the tests of the shareable player: a wavy sheet of tissue that bends, turns, fades and blushes."""

import numpy as np
import torch

from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.origin import Origin

WIDTH, HEIGHT, FRAMES = 96, 72, 7


def sheet(still: bool = False, moving_camera: bool = False, frames: int = FRAMES, units: str = "mm") -> Scene:
    """About 900 Gaussians at 50 to 62 mm, under a camera whose axes and principal point no symmetry hides."""
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(np.linspace(-32, 32, 36), np.linspace(-24, 24, 26))
    x, y = x.ravel() + rng.normal(0, 0.3, x.size), y.ravel() + rng.normal(0, 0.3, x.size)
    z = 56 + 4 * np.sin(x / 9) + 2 * np.cos(y / 6)
    count = len(x)
    base = np.zeros((count, 14))
    base[:, :3] = np.stack([x, y, z], 1)
    base[:, 3:7] = rng.normal(size=(count, 4))
    base[:, 7:10] = np.log([1.4, 0.8, 0.4]) + rng.normal(0, 0.15, (count, 3))
    base[:, 10] = rng.normal(2.5, 1.0, count)
    stripes = 0.5 + 0.4 * np.sin(x / 2.5 + y / 4)
    base[:, 11:] = np.stack([0.35 + 0.6 * stripes, 0.2 + 0.4 * stripes, 0.25 + 0.25 * np.cos(y / 3)], 1)
    times = np.linspace(0, 1.2, frames) if frames > 1 else np.zeros(1)
    deformation: Deformation = StaticDeformation()
    if not still:
        knots = Knots((0.0, 0.2, 0.55, 0.8, 1.2))
        wave = np.sin(np.arange(knots.count)[:, None] * 0.9 + x / 12)
        control = rng.normal(0, 0.04, (knots.count, count, 14))
        control[..., 0] += 2.0 * wave
        control[..., 1] -= 1.0 * wave
        control[..., 2] += 3.0 * wave * np.cos(y / 20)
        control[..., 10] += rng.normal(0, 0.5, (knots.count, count))
        control[..., 11] += 0.08 * np.sin(np.arange(knots.count))[:, None]
        deformation = SplineDeformation(torch.as_tensor(control, dtype=torch.float32), knots)
    K = np.tile(np.array([[88.0, 0, 45], [0, 92.0, 39], [0, 0, 1]]), (frames, 1, 1))
    poses = np.stack([pose(0.12 * f if moving_camera else 0.0) for f in range(frames)])
    return Scene(
        torch.as_tensor(base, dtype=torch.float32),
        deformation,
        times,
        K,
        poses,
        WIDTH,
        HEIGHT,
        units,
        origin=Origin(clip_name="sheet"),
    )


def pose(turn: float) -> np.ndarray:
    """world_to_camera of a camera that turns about an oblique axis and shifts."""
    x, y, z = np.array([0.3, 1.0, 0.2]) / np.linalg.norm([0.3, 1.0, 0.2]) * np.sin(turn / 4 + 0.03)
    w = np.cos(turn / 4 + 0.03)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = 1 + 4 * turn, -2, 3
    return matrix
