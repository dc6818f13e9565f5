"""Aligning a frame with a picture of the map: the system's derivatives, kernels against their twin, known motions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.posed_clip import FOCAL, HEIGHT, WIDTH, true_poses, wall

from endogs import native
from endogs.camera import Camera
from endogs.geometry import corrected, rotation_about, rotation_vector
from endogs.render import rasterize_packed
from endogs.tracking.align import Drawn, align, image_motion
from endogs.tracking.align_system import Guess, Template, reference_system, stepped, system_of

K = np.array([[40.0, 0, 16], [0, 42.0, 12], [0, 0, 1]])
GUESS = Guess(corrected(np.eye(4), np.array([0.02, -0.03, 0.05, 0.1, -0.2, 0.15])), 1.1, -0.03)


def shade(x, y):
    """A smooth picture over x/z and y/z, with its slopes."""
    luma = 0.5 + 0.2 * np.sin(9 * x + 1) * np.cos(7 * y)
    return luma, 1.8 * np.cos(9 * x + 1) * np.cos(7 * y), -1.4 * np.sin(9 * x + 1) * np.sin(7 * y)


def points(count: int = 300, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    z = random.uniform(5, 8, count)
    return np.stack([random.uniform(-0.5, 0.5, count) * z, random.uniform(-0.35, 0.35, count) * z, z])


def template_of(xyz: np.ndarray) -> Template:
    rows = np.concatenate([xyz, np.stack(shade(xyz[0] / xyz[2], xyz[1] / xyz[2]))])
    return Template(torch.from_numpy(rows.astype(np.float32)))


def frame(seed: int = 1) -> torch.Tensor:
    return torch.rand(24, 32, generator=torch.Generator().manual_seed(seed))


def test_the_system_is_that_of_finite_differences():
    """A step moves the picture's points, and its gain and bias; the frame does not move with it."""
    xyz = template_of(points()).points[:3].double().numpy()
    found = reference_system(template_of(points()), frame(), K, GUESS, 1e9)
    inside = torch.isfinite(found.residuals).numpy()
    residual = found.residuals.numpy()[inside]
    assert inside.sum() > 100

    def of_the_picture(step: np.ndarray) -> np.ndarray:
        moved = rotation_about(step[:3]) @ xyz + step[3:6, None]
        luma, _, _ = shade(moved[0] / moved[2], moved[1] / moved[2])
        return -((GUESS.gain + step[6]) * luma + GUESS.bias + step[7])[inside]

    rows = np.stack([(of_the_picture(s) - of_the_picture(-s)) / 2e-5 for s in 1e-5 * np.eye(8)])
    np.testing.assert_allclose(found.hessian, rows @ rows.T, rtol=1e-4, atol=1e-4 * np.abs(rows @ rows.T).max())
    np.testing.assert_allclose(found.gradient, rows @ residual, rtol=1e-4, atol=1e-4 * np.abs(rows @ residual).max())
    assert found.weight == pytest.approx(inside.sum())


def test_a_step_enters_the_motion_as_its_inverse():
    step = np.array([0.01, 0.02, -0.01, 0.3, -0.1, 0.2, 0.05, -0.02])
    after = stepped(GUESS, step)
    xyz = points()
    moved = rotation_about(step[:3]) @ xyz + step[3:6, None]
    before = GUESS.motion[:3, :3] @ xyz + GUESS.motion[:3, 3:]
    np.testing.assert_allclose(after.motion[:3, :3] @ moved + after.motion[:3, 3:], before, atol=1e-12)
    assert (after.gain, after.bias) == pytest.approx((1.15, -0.05))


@pytest.mark.skipif(not native.available(), reason="needs the compiled kernels")
@pytest.mark.parametrize("count", [1, 100, 513, 1500])
def test_the_kernels_agree_with_their_twin(count):
    template, image = template_of(points(count, count)), frame()
    used = native.instruction_set()
    try:
        for name in native.instruction_sets():
            native.use_instruction_set(name)
            ours, truth = system_of(template, image, K, GUESS, 0.4), reference_system(template, image, K, GUESS, 0.4)
            size = np.sqrt(np.outer(np.diag(truth.hessian), np.diag(truth.hessian)))
            assert np.abs(ours.hessian - truth.hessian).max() <= 1e-4 * size.max() + 1e-9
            np.testing.assert_allclose(ours.hessian, truth.hessian, rtol=1e-3, atol=1e-4 * size.max() + 1e-9)
            scale = np.sqrt(np.diag(truth.hessian) * max(truth.weight, 1e-9))
            assert (np.abs(ours.gradient - truth.gradient) <= 1e-4 * scale + 1e-7).all()
            assert ours.weight == pytest.approx(truth.weight, rel=1e-4)
            np.testing.assert_allclose(ours.residuals.numpy(), truth.residuals.numpy(), atol=2e-5)
    finally:
        native.use_instruction_set(used)


@pytest.mark.cuda
@pytest.mark.skipif(not native.runs_on("cuda"), reason="needs a GPU and the CUDA kernels")
def test_a_gpu_agrees_with_the_twin():
    template, image = template_of(points(1500, 4)), frame()
    there = Template(template.points.cuda())
    ours, truth = system_of(there, image.cuda(), K, GUESS, 0.4), reference_system(template, image, K, GUESS, 0.4)
    size = np.diag(truth.hessian).max()
    np.testing.assert_allclose(ours.hessian, truth.hessian, rtol=1e-3, atol=1e-4 * size)
    assert ours.weight == pytest.approx(truth.weight, rel=1e-4)
    np.testing.assert_allclose(ours.residuals.cpu().numpy(), truth.residuals.numpy(), atol=2e-5)


@pytest.mark.skipif(not native.available(), reason="needs the compiled kernels")
def test_any_number_of_threads_gives_the_same_bits():
    template, image, before = template_of(points(3000)), frame(), native.threads()
    try:
        found = []
        for count in (1, 3):
            native.set_threads(count)
            found.append(system_of(template, image, K, GUESS, 0.4))
        np.testing.assert_array_equal(found[0].hessian, found[1].hessian)
    finally:
        native.set_threads(before)


INTRINSICS = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def drawn_from(pose: np.ndarray) -> Drawn:
    picture = rasterize_packed(wall(), Camera.from_numpy(INTRINSICS, pose, WIDTH, HEIGHT))
    return Drawn(picture.color.mean(2).numpy(), picture.depth.numpy(), picture.alpha.numpy())


def test_a_known_motion_gain_and_bias_are_found():
    here = true_poses()[5]
    motion = corrected(np.eye(4), np.array([0.012, -0.02, 0.015, 0.3, 0.2, -0.4]))
    seen = drawn_from(motion @ here).luma * 0.9 + 0.04
    found = align(drawn_from(here), seen, np.ones(seen.shape, bool), INTRINSICS, motion)
    assert found is not None
    assert image_motion(motion, INTRINSICS, 30.0) > 1.2
    left = found.motion @ np.linalg.inv(motion)
    assert image_motion(left, INTRINSICS, 30.0) < 0.1
    assert (found.gain, found.bias) == pytest.approx((0.9, 0.04), abs=0.04)
    assert found.error < 0.5 * found.error_before


def test_what_the_picture_cannot_tell_stays_as_believed():
    """Before a flat grey wall nothing moves, however long it is looked at."""
    flat = Drawn(*(np.full((HEIGHT, WIDTH), value, np.float32) for value in (0.4, 30.0, 1.0)))
    found = align(flat, flat.luma, np.ones(flat.luma.shape, bool), INTRINSICS)
    assert found is not None
    np.testing.assert_allclose(found.motion, np.eye(4), atol=1e-6)


def test_an_empty_picture_aligns_nothing():
    picture = drawn_from(true_poses()[5])
    everywhere = np.ones(picture.luma.shape, bool)
    assert align(replace(picture, alpha=0 * picture.alpha), picture.luma, everywhere, INTRINSICS) is None
    assert align(picture, picture.luma, ~everywhere, INTRINSICS) is None


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, 3.0])
def test_rotation_vectors_are_those_of_their_rotations(angle):
    vector = angle * np.array([0.6, -0.48, 0.64])
    np.testing.assert_allclose(rotation_vector(rotation_about(vector)), vector, atol=1e-12)
