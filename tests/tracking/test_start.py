"""The first map from one eye: found with little parallax, and not invented without any."""

import numpy as np
import pytest

from endogs.geometry import rotation_about
from endogs.tracking.config import TrackingConfig
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.rigid_motion import centre, moved_by
from endogs.tracking.startup import UNIT, parallax_of, start_from

K = np.array([[150.0, 0, 160], [0, 150, 120], [0, 0, 1]])
CONFIG = TrackingConfig()


def tube(rng, count=250):
    """Points on the wall of a tube around the axis, 15 to 60 ahead."""
    angle, z = rng.uniform(0, 2 * np.pi, count), rng.uniform(15, 60, count)
    radius = 10 + rng.normal(0, 0.5, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1)


def views(points, step, frames=8, noise=0.1, seed=0):
    poses = moved_by(np.tile(np.eye(4), (frames, 1, 1)), np.arange(frames)[:, None] * np.array(step))
    every = np.stack([measured(seen_from(pose, points), K, np.zeros(len(points)))[:, :2] for pose in poses])
    return poses, every + np.random.default_rng(seed).normal(0, noise, every.shape)


@pytest.mark.parametrize(
    "step",
    [[0, 0, -0.25, 0, 0, 0], [0, 0, 0.25, 0.002, 0, 0], [0.25, 0, -0.1, 0, 0.003, 0.002]],
    ids=["forward", "backward", "sideways"],
)
def test_motion_in_a_tube_is_found(step):
    points = tube(np.random.default_rng(1))
    poses, pixels = views(points, step)
    start, reason = start_from(pixels, K, CONFIG)
    assert start is not None, reason
    way, truth = centre(start.poses[-1]), centre(poses[-1])
    assert way @ truth / np.linalg.norm(way) / np.linalg.norm(truth) > 0.99
    placed = np.isfinite(start.points[:, 0])
    ratio = start.points[placed, 2] / points[placed, 2]
    assert np.percentile(np.abs(ratio / np.median(ratio) - 1), 80) < 0.1
    assert np.median(start.points[placed, 2]) == pytest.approx(UNIT)


def test_a_camera_that_only_turns_starts_nothing():
    points = tube(np.random.default_rng(2))
    _, pixels = views(points, [0, 0, 0, 0.01, 0.01, 0.005])
    assert parallax_of(pixels[0], pixels[-1], K) < 0.5
    start, reason = start_from(pixels, K, CONFIG)
    assert start is None
    assert reason


def test_points_that_move_at_random_start_nothing():
    rng = np.random.default_rng(3)
    pixels = rng.uniform(0, 200, (1, 120, 2)) + rng.normal(0, 6, (8, 120, 2))
    assert start_from(pixels, K, CONFIG)[0] is None


def test_turning_is_no_parallax_and_moving_is():
    points = tube(np.random.default_rng(4))
    turned = points @ rotation_about(np.array([0.0, 0.1, 0.05])).T
    a, b, c = (measured(p, K, np.zeros(len(p)))[:, :2] for p in (points, turned, points - [0, 0, 2]))
    assert parallax_of(a, b, K) < 1e-6
    assert parallax_of(a, c, K) > 1
