"""A textured corner of three planes seen by a moving camera, lopsided in every way that a reader could get wrong."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

WIDTH, HEIGHT = 200, 144
K = np.array([[171.0, 0, 91.25], [0, 183.0, 78.5], [0, 0, 1]])
"""Pixel centres at +0.5; fx is not fy and the principal point is not in the middle."""
PLANES = ((0.35, -0.2, 1.0, 62.0), (-0.8, 0.1, 1.0, 75.0), (0.1, 0.9, 1.0, 70.0))
"""Normal and offset (mm) of the planes; what is seen is the nearest along a ray."""


@dataclass(frozen=True)
class View:
    """What one camera sees."""

    image: np.ndarray
    """uint8 (H, W, 3) RGB."""
    depth: np.ndarray
    """float64 (H, W) z-depth, mm."""


def world_to_camera(count: int = 5) -> np.ndarray:
    """(count, 4, 4): turned about every axis by amounts of its own, moved along every axis by amounts of its own."""
    poses = np.eye(4)[None].repeat(count, 0)
    for i in range(count):
        poses[i, :3, :3] = Rotation.from_euler(
            "xyz", [4 + 2.0 * i, -7 + 2.5 * i, 3 - 4.0 * i], degrees=True
        ).as_matrix()
        poses[i, :3, 3] = [3 - 2.2 * i, -5 + 1.3 * i, 2 + 1.7 * i]
    return poses


def pixel_rays(K: np.ndarray = K, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) directions of a pinhole camera, z = 1."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)


def see(pose: np.ndarray, rays: np.ndarray | None = None) -> View:
    """The corner from a camera with x_camera = pose x_world, along its `rays` (H, W, 3)."""
    rays = pixel_rays() if rays is None else rays
    depth = depth_along(pose, rays)
    points = ((rays / rays[..., 2:] * depth[..., None]) - pose[:3, 3]) @ pose[:3, :3]
    return View(texture(points), depth)


def depth_along(pose: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """float64 (...) z-depth of what the camera sees along `rays` (..., 3)."""
    turned = rays @ pose[:3, :3]
    centre = -pose[:3, 3] @ pose[:3, :3]
    lengths = []
    for *normal, offset in PLANES:
        towards = turned @ normal
        lengths.append(np.where(towards > 1e-3, (offset - centre @ np.array(normal)) / np.maximum(towards, 1e-3), 1e6))
    return np.min(lengths, axis=0) * rays[..., 2]


def texture(points: np.ndarray) -> np.ndarray:
    """uint8 (..., 3): sums of waves of many directions, 5 to 18 mm long, with distinct colours."""
    generator = np.random.default_rng(5)
    directions = generator.normal(size=(16, 3))
    directions *= 2 * np.pi / generator.uniform(5, 18, (16, 1)) / np.linalg.norm(directions, axis=1, keepdims=True)
    waves = np.sin((points @ directions.T + generator.uniform(0, 6.3, 16)).astype(np.float32))
    return (115 + 22 * waves @ generator.uniform(0.2, 1, (16, 3)).astype(np.float32)).clip(30, 235).astype(np.uint8)


def pixels_of(points: np.ndarray, K: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(N, 2) pixels of world points (N, 3)."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    return seen[:, :2] / seen[:, 2:] * [K[0, 0], K[1, 1]] + K[:2, 2]
