"""Bundle adjustment: its derivatives, its steps, and that it finds the truth again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endogs.evaluate.metrics.pose_alignment import align
from endogs.geometry import invert_rigid
from endogs.tracking.bundle import Bundle, _Step, adjust, chart_slopes
from endogs.tracking.projection import measured, pose_slopes, seen_from, slopes
from endogs.tracking.rigid_motion import centre, moved_by

K = np.array([[150.0, 0, 160], [0, 148, 120], [0, 0, 1]])


def make(seed: int, keyframes: int = 5, points: int = 60, noise: float = 0.0, depth: bool = False) -> Bundle:
    """Keyframes moving forward and sideways past points 20 to 60 units away."""
    rng = np.random.default_rng(seed)
    world = np.stack([rng.uniform(-20, 20, points), rng.uniform(-15, 15, points), rng.uniform(20, 60, points)], 1)
    steps = np.cumsum(rng.normal([0.4, 0, -0.8, 0, 0, 0], [0.3, 0.3, 0.3, 0.01, 0.01, 0.01], (keyframes, 6)), 0)
    poses = moved_by(np.tile(np.eye(4), (keyframes, 1, 1)), steps)
    keyframe, point = (x.ravel() for x in np.meshgrid(np.arange(keyframes), np.arange(points), indexing="ij"))
    seen = seen_from(poses[keyframe], world[point])
    weight = np.full(len(seen), 300.0 if depth else 0.0)
    drawn = measured(seen, K, weight)
    pixels = drawn[:, :2] + rng.normal(0, 1, (len(seen), 2)) * noise
    held = np.zeros(keyframes, bool)
    held[0] = True
    return Bundle(K, poses, held, world, keyframe, point, pixels, 1 / seen[:, 2], weight, np.ones(len(seen)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_derivatives_are_those_of_finite_differences(seed):
    rng = np.random.default_rng(seed)
    point = np.array([rng.uniform(-10, 10), rng.uniform(-10, 10), rng.uniform(5, 50)])
    pose = moved_by(np.eye(4), rng.normal(0, 0.3, 6))
    world, weight, eps = np.linalg.inv(pose) @ np.append(point, 1), np.array([200.0]), 1e-6
    world = world[None, :3]
    seen = seen_from(pose, world)
    by_seen = slopes(seen, K, weight)
    by_pose, by_point = (
        pose_slopes(by_seen, seen)[0],
        (by_seen @ pose[:3, :3] @ chart_slopes(np.eye(4)[None], world))[0],
    )

    def value(moved_pose, moved_world):
        return measured(seen_from(moved_pose, moved_world), K, weight)[0]

    for k in range(6):
        step = np.eye(6)[k] * eps
        slope = (value(moved_by(pose, step), world) - value(moved_by(pose, -step), world)) / (2 * eps)
        assert np.allclose(by_pose[:, k], slope, rtol=1e-4, atol=1e-4)
    chart = np.array([world[0, 0] / world[0, 2], world[0, 1] / world[0, 2], 1 / world[0, 2]])
    for k in range(3):
        low, high = (chart + sign * np.eye(3)[k] * eps * (0.01 if k == 2 else 1) for sign in (-1, 1))
        ends = [np.array([[c[0], c[1], 1]]) / c[2] for c in (low, high)]
        slope = (value(pose, ends[1]) - value(pose, ends[0])) / (high - low)[k]
        assert np.allclose(by_point[:, k], slope, rtol=1e-3, atol=1e-2)


def test_a_step_is_that_of_the_whole_dense_system():
    bundle = make(1, 4, 12, noise=0.5, depth=True)
    bundle = replace(bundle, points=bundle.points * 1.02)
    charts = bundle.poses[np.zeros(12, int)]
    seen = seen_from(bundle.poses[bundle.keyframe], bundle.points[bundle.point])
    residuals = (
        measured(seen, K, bundle.inverse_weight) - np.c_[bundle.pixels, bundle.inverse_depth * bundle.inverse_weight]
    )
    step = _Step(bundle, charts, residuals, 1e6)  # so wide that all weights are 1
    found = step.solve(0.0)
    jacobian = np.zeros((len(seen) * 3, 4 * 6 + 12 * 3))
    by_seen = slopes(seen, K, bundle.inverse_weight)
    by_pose = pose_slopes(by_seen, seen)
    by_point = by_seen @ bundle.poses[bundle.keyframe, :3, :3] @ chart_slopes(charts, bundle.points)[bundle.point]
    for i, (k, p) in enumerate(zip(bundle.keyframe, bundle.point, strict=True)):
        jacobian[3 * i : 3 * i + 3, 6 * k : 6 * k + 6] = by_pose[i]
        jacobian[3 * i : 3 * i + 3, 24 + 3 * p : 27 + 3 * p] = by_point[i]
    free = np.r_[6 : jacobian.shape[1]]
    dense = np.zeros(jacobian.shape[1])
    dense[free] = -np.linalg.lstsq(jacobian[:, free], residuals.ravel(), rcond=None)[0]
    assert found is not None
    assert np.allclose(found.poses, moved_by(bundle.poses, dense[:24].reshape(4, 6)), atol=1e-7)


@pytest.mark.parametrize("depth", [False, True])
def test_truth_is_found_again_from_a_disturbed_start_with_outliers(depth):
    truth = make(3, 6, 80, noise=0.1, depth=depth)
    rng = np.random.default_rng(0)
    pixels = truth.pixels.copy()
    bad = rng.random(len(pixels)) < 0.1
    pixels[bad] += rng.uniform(-40, 40, (bad.sum(), 2))
    steps = rng.normal(0, 1, (6, 6)) * [0.3, 0.3, 0.3, 0.01, 0.01, 0.01]
    poses = moved_by(truth.poses, steps)
    poses[0] = truth.poses[0]
    start = replace(truth, poses=poses, points=truth.points * rng.uniform(0.8, 1.2, (80, 1)), pixels=pixels)
    found = adjust(start, 30)
    a, b = centre(found.poses), centre(truth.poses)
    moved = align(invert_rigid(found.poses), invert_rigid(truth.poses), "rigid" if depth else "similarity").poses
    error = np.linalg.norm(moved[:, :3, 3] - b, axis=1).max()
    assert error < 0.05, error
    assert np.median(found.residual[~bad]) < 0.2
    if depth:
        assert np.linalg.norm(a - b, axis=1).max() < 0.05


def test_held_keyframes_stay_and_nothing_free_is_no_failure():
    bundle = make(5, 3, 20, noise=0.3)
    found = adjust(replace(bundle, held=np.ones(3, bool), points=bundle.points * 1.1))
    assert np.array_equal(found.poses, bundle.poses)
    assert np.median(found.residual) < 1
