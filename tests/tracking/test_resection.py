"""A frame's pose from known points, with outliers, and none where nothing determines it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endogs.tracking.config import TrackingConfig
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.resection import Sightings, consensus, resect
from endogs.tracking.rigid_motion import centre, degrees_between, moved_by

K = np.array([[150.0, 0, 160], [0, 150, 120], [0, 0, 1]])
CONFIG = TrackingConfig()


def sightings(rng, pose, count=200, noise=0.2, bad=0.0, depth=False):
    points = np.stack([rng.uniform(-20, 20, count), rng.uniform(-15, 15, count), rng.uniform(20, 60, count)], 1)
    seen = seen_from(pose, points)
    pixels = measured(seen, K, np.zeros(count))[:, :2] + rng.normal(0, noise, (count, 2))
    wrong = rng.random(count) < bad
    pixels[wrong] += rng.uniform(-60, 60, (wrong.sum(), 2))
    weight = np.full(count, 300.0 if depth else 0.0)
    return Sightings(points, pixels, 1 / seen[:, 2], weight, np.ones(count)), wrong


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), depth=st.booleans())
def test_thirty_percent_outliers_do_not_move_the_pose(seed, depth):
    rng = np.random.default_rng(seed)
    pose = moved_by(np.eye(4), rng.normal(0, 1, 6) * [2, 2, 2, 0.1, 0.1, 0.1])
    seen, wrong = sightings(rng, pose, bad=0.3, depth=depth)
    start = moved_by(pose, rng.normal(0, 1, 6) * [0.3, 0.3, 0.3, 0.005, 0.005, 0.005])
    found = resect(seen, K, start, CONFIG.noise, CONFIG.gate)
    assert found is not None
    assert np.linalg.norm(centre(found.world_to_camera) - centre(pose)) < 0.2
    assert degrees_between(found.world_to_camera, pose) < 0.2
    assert (found.inliers & ~wrong).sum() > 0.95 * (~wrong).sum()


def test_consensus_needs_no_start():
    rng = np.random.default_rng(0)
    pose = moved_by(np.eye(4), np.array([5.0, -3, 4, 0.3, -0.2, 0.4]))
    seen, _ = sightings(rng, pose, bad=0.4)
    found = consensus(seen, K)
    assert found is not None
    assert np.linalg.norm(centre(found) - centre(pose)) < 0.5


def test_covariance_is_the_spread_of_the_poses():
    pose = moved_by(np.eye(4), np.array([1.0, 0, 2, 0.05, 0, 0.1]))
    rng = np.random.default_rng(2)
    first, _ = sightings(rng, pose, 120)
    clean = measured(seen_from(pose, first.points), K, np.zeros(120))[:, :2]
    places, said = [], []
    for _ in range(60):
        noisy = Sightings(first.points, clean + rng.normal(0, 0.5, clean.shape), *(np.zeros(120),) * 2, np.ones(120))
        found = resect(noisy, K, pose, 0.1, 4)
        assert found is not None
        places.append((found.world_to_camera @ np.linalg.inv(pose))[:3, 3])
        said.append(np.sqrt(np.diag(found.covariance)[:3]))
    assert np.mean(said, 0) == pytest.approx(np.std(places, 0), rel=0.4)


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_points_give_no_pose(count):
    seen, _ = sightings(np.random.default_rng(1), np.eye(4), count)
    assert resect(seen, K, np.eye(4), 0.3, 4) is None
    assert consensus(seen, K) is None


def test_points_in_one_place_give_no_pose():
    nothing = np.zeros(50)
    seen = Sightings(np.tile([[0.0, 0, 30]], (50, 1)), np.tile([[160.0, 120]], (50, 1)), nothing, nothing, nothing + 1)
    assert resect(seen, K, np.eye(4), 0.3, 4) is None
