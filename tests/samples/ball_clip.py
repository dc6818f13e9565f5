"""A small clip from inside a textured ball, by a camera that moves as it is told: pictures, exact depth, no poses."""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from endogs.geometry import invert_rigid, pixel_rays
from endogs.tracking.rigid_motion import moved_by

WIDTH, HEIGHT = 200, 160
K = np.array([[110.0, 0, WIDTH / 2], [0, 110, HEIGHT / 2], [0, 0, 1]])
CENTRE_MM, RADIUS = np.array([0.0, 0, -30]), 80.0


@cache
def texture(seed=0):
    """(1024, 1024) float32 of smooth noise at three sizes."""
    rng = np.random.default_rng(seed)
    found = sum(
        cv2.resize(rng.normal(0, 1, (size, size)).astype(np.float32), (1024, 1024), interpolation=cv2.INTER_CUBIC)
        for size in (64, 128, 220)
    )
    return np.clip(128 + 32 * np.asarray(found), 0, 255).astype(np.float32)


def shown(pose, seed=0):
    """Image (H, W, 3) and z-depth (H, W) in mm of the inside of a ball, with the texture of a seed, from a pose (4, 4)
    within it."""
    back = invert_rigid(pose)
    rays = pixel_rays(K, WIDTH, HEIGHT)
    ways, start = rays @ back[:3, :3].T, back[:3, 3] - CENTRE_MM
    a, b, c = (ways * ways).sum(-1), ways @ start, start @ start - RADIUS**2
    depth = (-b + np.sqrt(b * b - a * c)) / a
    points = start + ways * depth[..., None]
    flat = points[..., :2] / (points[..., 2:] + 1.2 * RADIUS) * 1.6
    at = ((flat + 1) * 512).astype(np.float32)
    value = cv2.remap(texture(seed), at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    image = np.clip(value[..., None] * [0.95, 0.6, 0.55], 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image), depth.astype(np.float32)


def winding(count):
    """World to camera (count, 4, 4) of a camera that moves and turns."""
    steps = np.arange(count)[:, None] * np.array([0.7, 0.2, -0.5, 0.002, -0.004, 0.003])
    steps[:, 1] += 2 * np.sin(np.arange(count) / 6)
    return moved_by(np.tile(np.eye(4), (count, 1, 1)), steps)


def write_ball_clip(folder: Path, poses, black=()) -> Path:
    """A calibrated folder of the pictures from `poses` (F, 4, 4), which it does not hold; frames of `black` are."""
    (folder / "images").mkdir(parents=True)
    for k, pose in enumerate(poses):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8) if k in black else shown(pose)[0]
        cv2.imwrite(str(folder / "images" / f"{k:04d}.png"), image[..., ::-1])
    about = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": WIDTH, "height": HEIGHT, "fps": 30.0}
    (folder / "calibration.json").write_text(json.dumps(about))
    return folder
