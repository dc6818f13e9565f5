"""Poses that are refined during a fit: a true gradient, poses closer to the truth, and the same bits when resumed."""

import numpy as np
import torch

from endogs.camera import Camera
from endogs.fit.optimize.camera_adam import pose_gradient
from endogs.gaussians import CHANNELS
from endogs.geometry import corrected, left_jacobian, look_at, rotation_about
from endogs.render.reference import rasterize_reference


def scene(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    packed = torch.randn(count, CHANNELS, generator=generator, dtype=torch.float64)
    packed[:, :3] *= 0.8
    packed[:, 7:10] = packed[:, 7:10] * 0.3 - 1.2
    return packed


def camera_at(pose: np.ndarray) -> Camera:
    K = torch.tensor([[40.0, 0, 16], [0, 42.0, 12], [0, 0, 1]], dtype=torch.float64)
    return Camera(K, torch.from_numpy(pose), 32, 24)


def test_the_gradient_by_the_pose_is_that_of_finite_differences() -> None:
    packed = scene(30, 0)
    given = look_at(np.array([0.3, -0.2, -4.0]), np.zeros(3), np.array([0.1, -1.0, 0.0]))
    weights = torch.randn(24, 32, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    depth_weights = torch.randn(24, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss(rows: torch.Tensor, correction: np.ndarray) -> torch.Tensor:
        drawn = rasterize_reference(rows, camera_at(corrected(given, correction)))
        return (drawn.color * weights).sum() + (drawn.depth * drawn.alpha * depth_weights).sum()

    at = np.array([0.03, -0.05, 0.02, 0.1, -0.06, 0.08])
    rows = packed.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(rows, at), rows)
    turn, shift = pose_gradient(packed, grad, camera_at(corrected(given, at)))
    found = np.concatenate([left_jacobian(at[:3]).T @ (turn - np.cross(at[3:], shift)), shift])
    step, expected = 1e-6, np.zeros(6)
    for k in range(6):
        ahead, back = at.copy(), at.copy()
        ahead[k], back[k] = at[k] + step, at[k] - step
        expected[k] = float(loss(packed, ahead) - loss(packed, back)) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_small_and_large_turns_compose_by_the_left_jacobian() -> None:
    small = np.array([2e-7, -1e-7, 3e-7])
    for vector in (np.zeros(3), np.array([1e-4, 2e-4, -1e-4]), np.array([0.7, -1.1, 0.4])):
        both = rotation_about(left_jacobian(vector) @ small) @ rotation_about(vector)
        np.testing.assert_allclose(rotation_about(vector + small), both, atol=1e-12)
