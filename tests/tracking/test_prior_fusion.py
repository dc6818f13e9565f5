"""A path beside breathing tissue joined with noisy poses: better than both, and not led astray by some of them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.geometry import rigid
from endogs.tracking.common_motion import MotionBasis
from endogs.tracking.prior_alignment import aligned
from endogs.tracking.prior_fusion import DOUBTED, Fusion, Noise, Rows, start_of

FRAMES, SECONDS, SCALE = 120, 8.0, 0.37
TIMES = np.arange(FRAMES) / FRAMES * SECONDS
NOISE = Noise(1.0, np.radians(1.0))


def true_path():
    places = np.stack([20 * np.sin(0.9 * TIMES), 5 * TIMES, 6 * np.cos(1.3 * TIMES)], 1)
    turns = np.stack([0.3 * np.sin(0.5 * TIMES), 0.04 * TIMES, 0.2 * np.cos(0.7 * TIMES)], 1)
    return rigid(Rotation.from_rotvec(turns).as_matrix(), places)


def beside_tissue(path, breathing, scale=SCALE):
    """The path in the axes and units of a map of tissue that breathes."""
    world = Rotation.from_rotvec([0.4, -0.7, 1.0]).as_matrix()
    seen = path.copy()
    seen[:, :3, 3] -= breathing * np.sin(2 * np.pi * 0.25 * TIMES)[:, None] * [0.2, 0.3, 0.93]
    seen[:, :3, :3] = world.T @ seen[:, :3, :3]
    seen[:, :3, 3] = (seen[:, :3, 3] - [100, 50, -20]) @ world / scale
    return seen


def noisy(path, seed=0, times=1.0):
    random, found = np.random.default_rng(seed), path.copy()
    found[:, :3, 3] += random.normal(0, times * NOISE.place, (len(path), 3))
    turns = Rotation.from_rotvec(random.normal(0, times * NOISE.turn, (len(path), 3))).as_matrix()
    found[:, :3, :3] = found[:, :3, :3] @ turns
    return found


def solved(seen, given, frames=None, metric=False):
    at = np.arange(FRAMES) if frames is None else frames
    first = aligned(seen[at], given[at], metric)
    covariance = np.tile(np.diag([0.01, 0.01, 0.01, 1e-6, 1e-6, 1e-6]), (len(at), 1, 1))
    middle = first.similarity.points(np.array([[0, 0, 60 / (1 if metric else SCALE)]]))[0]
    rows = Rows(np.zeros(len(at), np.intp), seen[at], covariance, given[at])
    fusion = Fusion(TIMES, rows, at, NOISE, start_of([first.similarity]), middle, metric)
    fusion.solve()
    return fusion


def places(fusion, seen):
    return fusion.placed(np.zeros(FRAMES, np.intp), seen, np.arange(FRAMES))


def rmse(found, path, alignment="se3"):
    return compare_paths(found, path).absolute[alignment].rmse


@pytest.mark.parametrize("metric", [True, False], ids=["depth", "one eye"])
def test_breathing_is_told_from_the_camera_and_noise_is_smoothed(metric):
    path = true_path()
    seen, given = beside_tissue(path, 4.0, 1.0 if metric else SCALE), noisy(path)
    fusion = solved(seen, given, metric=metric)
    joined = rmse(places(fusion, seen), path)
    assert joined < 0.4 * rmse(given, path)
    assert joined < 0.4 * rmse(seen, path, "se3" if metric else "sim3")
    size = np.ptp(fusion.common_motion()[:, :3] @ [0.2, 0.3, 0.93]) / 2
    assert size == pytest.approx(4.0, rel=0.25)


@pytest.fixture(scope="module")
def at_rest():
    """What pictures show of tissue at rest, and its solution."""
    seen = beside_tissue(true_path(), 0.0)
    return seen, solved(seen, noisy(true_path()))


def test_tissue_at_rest_leaves_the_path_as_the_pictures_show_it(at_rest):
    path, (seen, fusion) = true_path(), at_rest
    assert rmse(places(fusion, seen), path) < 0.15
    assert fusion.state.similarities[0].scale == pytest.approx(SCALE, rel=0.02)
    assert fusion.scale_deviation(0) < 0.02


def test_outliers_are_doubted_and_do_little():
    path = true_path()
    seen, given = beside_tissue(path, 4.0), noisy(path)
    wrong = np.random.default_rng(3).choice(FRAMES, 10, False)
    given[wrong, :3, 3] += np.random.default_rng(4).normal(0, 40, (10, 3))
    fusion = solved(seen, given)
    assert set(np.flatnonzero(fusion.squared > DOUBTED)) == set(wrong)
    assert rmse(places(fusion, seen), path) < 0.5 * rmse(noisy(path), path)


def test_a_prior_that_errs_more_than_it_says_is_believed_less():
    path = true_path()
    seen, given = beside_tissue(path, 4.0), noisy(path, times=3.0)
    fusion = solved(seen, given)
    assert 2 <= fusion.chosen.excess <= 4.5
    assert rmse(places(fusion, seen), path) < 0.5 * rmse(given, path)


def test_what_the_prior_leaves_open_is_said():
    """Errors stay within a few of the deviations that are stated, and a gap of the prior makes these larger."""
    path = true_path()
    seen, given = beside_tissue(path, 4.0), noisy(path)
    holes = np.r_[0:50, 80:FRAMES]
    fusion = solved(seen, given, holes)
    poses = places(fusion, seen)
    deviation = np.sqrt(
        np.trace(fusion.covariance(np.zeros(FRAMES, int), poses, np.arange(FRAMES))[:, :3, :3], 0, 1, 2)
    )
    assert deviation[65] > 1.1 * deviation[20]
    assert (np.linalg.norm(poses[:, :3, 3] - path[:, :3, 3], axis=1) < 4 * deviation).all()


def test_a_pose_that_pictures_hardly_tell_follows_its_row(at_rest):
    path, (seen, fusion) = true_path(), at_rest
    given = noisy(path)
    wrong = seen[[40, 41]]
    wrong[:, :3, 3] += 100
    poor = np.tile(np.diag([1e4] * 3 + [1e-6] * 3), (2, 1, 1))
    rows = given[[40, 41]].copy()
    rows[1] = np.nan
    poses, covariance = fusion.estimated(np.zeros(2, np.intp), wrong, poor, np.array([40, 41]), rows)
    assert np.linalg.norm(poses[0, :3, 3] - given[40, :3, 3]) < 0.5 * np.linalg.norm(poses[1, :3, 3] - path[41, :3, 3])
    assert np.trace(covariance[0, :3, :3]) < np.trace(covariance[1, :3, :3])


def test_splines_follow_smooth_curves_and_their_spread_is_what_was_asked_for():
    basis = MotionBasis(TIMES)
    curve = np.sin(2 * np.pi * 0.25 * TIMES)
    design = basis.at(np.eye(basis.count))
    assert np.abs(design @ np.linalg.lstsq(design, curve, rcond=None)[0] - curve).max() < 1e-3
    precision, logarithm = basis.precision(2.0, 1.0)
    covariance = np.linalg.inv(precision.toarray())
    assert np.sqrt(covariance[basis.count // 2, basis.count // 2]) == pytest.approx(2.0, rel=0.1)
    assert logarithm == pytest.approx(np.linalg.slogdet(precision.toarray())[1])


def test_first_guess_needs_no_curved_path_and_minds_no_outliers():
    path = true_path()
    path[:, :3, 3] = np.outer(TIMES, [3.0, 1, 2])
    given = path.copy()
    given[::7, :3, 3] += 50
    found = aligned(beside_tissue(path, 0.0), given, False)
    assert found.similarity.scale == pytest.approx(SCALE, rel=1e-3)
    np.testing.assert_allclose(found.similarity.carried(beside_tissue(path, 0.0)), path, atol=0.05)
