"""A tiny clip of a moving camera: drawn of Gaussians on a wavy wall, with depth, and poses that may be off."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from endogs.camera import Camera
from endogs.gaussians import CHANNELS
from endogs.geometry import invert_rigid, look_at
from endogs.render import rasterize_packed

WIDTH, HEIGHT, FOCAL, FRAMES = 64, 48, 60.0, 12
DEPTH_UNIT = 0.01
"""Millimetres per unit of the depth files."""


def wall(seed: int = 5) -> torch.Tensor:
    """Gaussians (N, 14) on a wavy wall about 30 mm before the cameras, with smooth random colours."""
    across, down = np.meshgrid(np.linspace(-26, 26, 66), np.linspace(-20, 20, 50))
    noise = np.random.default_rng(seed).normal(size=(*across.shape, 3)).astype(np.float32)
    colors = np.clip(0.5 + 1.2 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0.05, 0.9)
    packed = torch.zeros(across.size, CHANNELS)
    depth = 30 + 3 * np.sin(across / 6) * np.cos(down / 5)
    packed[:, :3] = torch.from_numpy(np.stack([across, down, depth], -1).reshape(-1, 3))
    packed[:, 3] = 1
    packed[:, 7:10] = float(np.log(0.6))
    packed[:, 10] = 3.0
    packed[:, 11:] = torch.from_numpy(colors.reshape(-1, 3))
    return packed


def true_poses(frames: int = FRAMES) -> NDArray[np.float64]:
    """World to camera (frames, 4, 4) along an arc, looking at the wall."""
    down = np.array([0.0, -1.0, 0.0])
    angles = np.linspace(-1, 1, frames)
    return np.stack(
        [look_at(np.array([4 * a, 1.5 * a * a, 2 * a]), np.array([a, 0.3 * a, 30.0]), down) for a in angles]
    )


def off_by(poses: NDArray[np.float64], degrees: float, mm: float, seed: int = 1) -> NDArray[np.float64]:
    """World to camera (F, 4, 4), each turned and shifted at random by about so much."""
    random, found = np.random.default_rng(seed), poses.copy()
    for pose in found:
        turn = Rotation.from_rotvec(np.radians(degrees) * random.normal(size=3) / np.sqrt(3)).as_matrix()
        pose[:3] = turn @ pose[:3]
        pose[:3, 3] += mm * random.normal(size=3) / np.sqrt(3)
    return found


def write_posed_clip(folder: Path, given: NDArray[np.float64]) -> Path:
    """A calibrated folder with images, depth, calibration.json, and poses.tum of the `given` poses (F, 4, 4)."""
    packed = wall()
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    for part in ("images", "depth"):
        (folder / part).mkdir(parents=True)
    rows = []
    for k, pose in enumerate(true_poses(len(given))):
        drawn = rasterize_packed(packed, Camera.from_numpy(K, pose, WIDTH, HEIGHT))
        image = (drawn.color.clamp(0, 1) * 255).round().byte().numpy()
        cv2.imwrite(str(folder / "images" / f"{k:03d}.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{k:03d}.png"), (drawn.depth.numpy() / DEPTH_UNIT).astype(np.uint16))
        camera = invert_rigid(given[k])
        rows.append([k / 10, *camera[:3, 3], *Rotation.from_matrix(camera[:3, :3]).as_quat()])
    np.savetxt(folder / "poses.tum", rows, fmt="%.9f")
    calibration = {"fx": FOCAL, "fy": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "fps": 10, "depth_unit_mm": DEPTH_UNIT}
    (folder / "calibration.json").write_text(json.dumps(calibration), encoding="utf-8")
    return folder
