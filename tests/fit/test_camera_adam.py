"""Poses that are refined during a fit: a true gradient, poses closer to the truth, and the same bits when resumed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from endogs.camera import Camera
from endogs.fit.camera_poses import current_poses
from endogs.fit.config import PoseConfig
from endogs.fit.optimize.camera_adam import CameraAdam, pose_gradient
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


class Frames:
    """A window of frames with poses alone."""

    static_camera, metric = False, True

    def __init__(self, count: int) -> None:
        self.frames = [SimpleNamespace(world_to_camera=np.eye(4), time=float(k)) for k in range(count)]
        self.observations = SimpleNamespace(K=np.array([[[50.0, 0, 16], [0, 50.0, 12], [0, 0, 1]]]))

    def neighbours(self, index: int) -> tuple[tuple[int, float], ...]:
        return ((index, 1.0),)

    def __getitem__(self, index: int) -> SimpleNamespace:
        pose = torch.from_numpy(self.frames[index].world_to_camera)
        return SimpleNamespace(camera=Camera(torch.eye(3), pose, 32, 24))

    def move_camera(self, k: int, pose: np.ndarray) -> None:
        self.frames[k].world_to_camera = pose


def test_poses_rest_at_first_then_move_by_the_rate_and_never_beyond_the_bound() -> None:
    window, config = Frames(3), PoseConfig(rate=0.5, final=1.0, start=0.1, bound=2.0)
    cameras, packed = CameraAdam(window, config, 0.1), scene(10, 1)
    grad = torch.zeros_like(packed)
    grad[:, 0] = 1.0
    cameras.step(packed, grad, 1, 0.05)
    np.testing.assert_array_equal(window.frames[1].world_to_camera, np.eye(4))
    cameras.step(packed, grad, 1, 0.2)
    assert window.frames[1].world_to_camera[0, 3] == pytest.approx(-0.5 * 0.1)
    for _ in range(200):
        cameras.step(packed, grad, 1, 0.5)
    assert -0.5 * 0.1 > window.frames[1].world_to_camera[0, 3] >= -2.0 * 0.1 - 1e-5
    np.testing.assert_array_equal(window.frames[2].world_to_camera, np.eye(4))
    assert CameraAdam.of(window, None, 0.1) is None


def test_corrections_stay_with_their_frames_as_frames_come_and_go() -> None:
    window = Frames(3)
    cameras, packed = CameraAdam(window, PoseConfig(start=0.0), 0.1), scene(10, 1)
    cameras.step(packed, torch.ones_like(packed), 1, 0.5)
    moved = window.frames[1].world_to_camera
    window.frames.pop(0)
    cameras.leave()
    window.frames.append(SimpleNamespace(world_to_camera=np.eye(4), time=3.0))
    cameras.enter()
    window.frames[0].world_to_camera = np.eye(4)
    cameras.load_state(cameras.state())
    np.testing.assert_array_equal(window.frames[0].world_to_camera, moved)
    np.testing.assert_array_equal(window.frames[2].world_to_camera, np.eye(4))


def test_frames_that_are_held_do_not_move() -> None:
    window = Frames(3)
    cameras, packed = CameraAdam(window, PoseConfig(start=0.0), 0.1), scene(10, 1)
    cameras.hold(1.0)
    for k in range(3):
        cameras.step(packed, torch.ones_like(packed), k, 0.5)
    moved = [bool((frame.world_to_camera != np.eye(4)).any()) for frame in window.frames]
    assert moved == [False, False, True]


def test_a_frame_beside_the_window_is_corrected_as_its_neighbours_are() -> None:
    given = np.tile(np.eye(4), (8, 1, 1))
    given[:, 2, 3] = np.arange(8)

    def seen(number: int, shift: float) -> SimpleNamespace:
        pose = given[number].copy()
        pose[0, 3] += shift
        return SimpleNamespace(number=number + 10, world_to_camera=pose)

    window = SimpleNamespace(frames=[seen(1, 0.0), seen(2, 0.0), seen(4, 0.6), seen(6, 0.2)])
    found = current_poses(window, given, first=10)
    np.testing.assert_allclose(found[:, 0, 3], [0, 0, 0, 0.3, 0.6, 0.4, 0.2, 0.2], atol=1e-12)
    np.testing.assert_array_equal(found[:3], given[:3])
