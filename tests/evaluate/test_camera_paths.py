"""Errors of camera paths: equal to evo's, to answers known by hand, and the same in every world."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.camera_paths import moved, noisy, winding_path
from scipy.spatial.transform import Rotation

from endogs.evaluate.metrics.pose_association import match_times
from endogs.evaluate.metrics.pose_errors import relative_errors, rotation_degrees
from endogs.evaluate.metrics.still_jitter import still_jitter
from endogs.evaluate.metrics.trajectory import STEPS, compare_paths

RATES = st.floats(0.02, 0.2)


def straight(count, step=1.0):
    """A camera that moves along x without turning."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = step * np.arange(count)
    return poses


@pytest.mark.parametrize("seed", range(3))
def test_absolute_and_relative_errors_are_evos(seed):
    metrics = pytest.importorskip("evo.core.metrics", reason="evo is not installed")
    from evo.core.trajectory import PosePath3D

    true = winding_path(60, seed)
    estimated = moved(noisy(true, seed), scale=1.3)
    found = compare_paths(estimated, true)
    for name, errors in found.absolute.items():
        reference, judged = (PosePath3D(poses_se3=list(poses.copy())) for poses in (true, estimated))
        if name == "first_frame":
            judged.align_origin(reference)
        else:
            scale = judged.align(reference, correct_scale=name == "sim3")[2]
            assert errors.scale == pytest.approx(scale, rel=1e-9)
        judge = metrics.APE(metrics.PoseRelation.translation_part)
        judge.process_data((reference, judged))
        evo = judge.get_all_statistics()
        ours = [errors.rmse, errors.mean, errors.median, errors.max]
        assert ours == pytest.approx([evo[key] for key in ("rmse", "mean", "median", "max")], abs=1e-6)
        for row in found.relative:
            scaled = name == "sim3"
            lengths = [row.translation_rmse, row.translation_mean]
            lengths = [row.translation_rmse_scaled, row.translation_mean_scaled] if scaled else lengths
            turns = [row.rotation_degrees_rmse, row.rotation_degrees_mean]
            for relation, ours in (("translation_part", lengths), ("rotation_angle_deg", turns)):
                relation = metrics.PoseRelation[relation]
                judge = metrics.RPE(relation, row.frames, metrics.Unit.frames, all_pairs=True)
                judge.process_data((reference, judged))
                evo = judge.get_all_statistics()
                assert row.pairs == len(judge.error)
                assert ours == pytest.approx([evo["rmse"], evo["mean"]], abs=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 40), RATES, RATES, st.floats(0.001, 0.1))
@settings(max_examples=60, deadline=None)
def test_poses_are_matched_as_evo_matches_them(seed, ours, theirs, rate, other, most):
    pytest.importorskip("evo.core.sync", reason="evo is not installed")
    from evo.core.sync import SyncException, associate_trajectories
    from evo.core.trajectory import PoseTrajectory3D

    generator = np.random.default_rng(seed)
    times = [np.sort(np.arange(n) * r + generator.uniform(0, 0.4 * r, n)) for n, r in ((ours, rate), (theirs, other))]
    still = [PoseTrajectory3D(np.zeros((len(t), 3)), np.tile([1.0, 0, 0, 0], (len(t), 1)), t) for t in times]
    mine, his = match_times(*times, most)
    try:
        # evo_ape gives the reference first.
        reference, estimate = associate_trajectories(still[1], still[0], max_diff=most)
    except SyncException:
        assert not len(mine)
        return
    np.testing.assert_array_equal(times[0][mine], estimate.timestamps)
    np.testing.assert_array_equal(times[1][his], reference.timestamps)


def test_answers_known_by_hand():
    true = straight(5)
    estimated = straight(5, 1.5)
    found = compare_paths(estimated, true)
    shared, rigid, scaled = (found.absolute[name] for name in ("first_frame", "se3", "sim3"))
    assert shared.rmse == pytest.approx(np.sqrt(np.mean(np.square([0, 0.5, 1, 1.5, 2]))))
    assert shared.mean == pytest.approx(1)
    assert (shared.max, shared.median) == (pytest.approx(2), pytest.approx(1))
    assert rigid.rmse == pytest.approx(np.sqrt(np.mean(np.square([1, 0.5, 0, 0.5, 1]))))
    assert (scaled.rmse, scaled.scale) == (pytest.approx(0, abs=1e-12), pytest.approx(2 / 3))
    assert (found.path_length, found.estimated_path_length) == (4, 6)
    assert shared.percent_of_path == pytest.approx(100 * shared.rmse / 4)
    # A still camera stays at the first of 0..4, or in the middle of them.
    assert shared.zero_motion_rmse == pytest.approx(np.sqrt(6))
    assert rigid.zero_motion_rmse == scaled.zero_motion_rmse == pytest.approx(np.sqrt(2))
    assert rigid.ratio_to_zero_motion == pytest.approx(0.5)
    (step,) = found.relative
    assert (step.frames, step.pairs, step.translation_rmse) == (1, 4, pytest.approx(0.5))
    assert (step.translation_rmse_scaled, step.rotation_degrees_rmse) == (pytest.approx(0, abs=1e-12), 0)


def test_a_camera_that_never_moves_scores_the_zero_motion_error():
    true = winding_path()
    found = compare_paths(np.tile(true[7], (len(true), 1, 1)), true)
    assert [errors.ratio_to_zero_motion for errors in found.absolute.values()] == pytest.approx([1, 1, 1])
    assert np.isnan(found.absolute["sim3"].scale)
    assert found.as_dict()["absolute"]["sim3"]["scale"] is None, "JSON has no NaN"
    with pytest.raises(ValueError, match="never moves"):
        compare_paths(true, np.tile(true[7], (len(true), 1, 1)))


@given(
    st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-100, 100)] * 3), st.floats(0.01, 100), st.integers(0, 50)
)
@settings(max_examples=40, deadline=None)
def test_the_world_of_the_estimate_does_not_matter(turn, shift, scale, seed):
    true = winding_path(40, seed)
    estimated = noisy(true, seed)
    here, there = compare_paths(estimated, true), compare_paths(moved(estimated, turn, shift), true)
    for name in here.absolute:
        assert there.absolute[name].rmse == pytest.approx(here.absolute[name].rmse, rel=1e-6)
    for a, b in zip(here.relative, there.relative, strict=True):
        assert b.translation_rmse == pytest.approx(a.translation_rmse, rel=1e-6)
        assert b.rotation_degrees_rmse == pytest.approx(a.rotation_degrees_rmse, rel=1e-6)
    larger = compare_paths(moved(estimated, turn, shift, scale), true)
    assert larger.absolute["sim3"].rmse == pytest.approx(here.absolute["sim3"].rmse, rel=1e-6)
    assert larger.absolute["sim3"].scale == pytest.approx(here.absolute["sim3"].scale / scale, rel=1e-6)
    # More freedom never fits worse.
    assert here.absolute["sim3"].rmse <= here.absolute["se3"].rmse <= here.absolute["first_frame"].rmse + 1e-12


def test_keyframes_are_aligned_alone():
    true = winding_path()
    estimated = noisy(true)
    flags = np.zeros(len(true), bool)
    flags[::7] = True
    found = compare_paths(estimated, true, flags)
    assert found.keyframes == flags.sum()
    assert found.absolute_keyframes == compare_paths(estimated[flags], true[flags]).absolute
    assert compare_paths(estimated, true).absolute_keyframes is None


def test_small_and_half_turns_have_exact_angles():
    for degrees in (0, 1e-7, 1e-3, 90, 179.999, 180):
        turn = Rotation.from_rotvec(np.radians([[degrees, 0, 0]])).as_matrix()
        assert rotation_degrees(turn)[0] == pytest.approx(degrees, rel=1e-6, abs=1e-12)


def test_pairs_over_lost_frames_are_counted():
    true = winding_path(60)
    kept = np.delete(np.arange(60), slice(20, 25))
    found = compare_paths(true[kept], true[kept], frames=kept)
    assert [row.frames for row in found.relative] == list(STEPS)
    assert [row.over_gaps for row in found.relative] == [1, 10, 20]
    assert [row.pairs for row in found.relative] == [54, 45, 25]


def test_jitter_is_what_moves_while_the_truth_stands_still():
    true = np.concatenate([straight(30), np.repeat(straight(30)[-1:], 20, 0)])
    estimated = true.copy()
    estimated[29:, 1, 3] += 0.1 * (np.arange(21) % 2)
    estimated[:25, 2, 3] += np.random.default_rng(0).normal(0, 1, 25)
    found = still_jitter(estimated, true)
    assert (found.parts, found.poses) == (1, 21)
    assert found.translation_rms == pytest.approx(0.1), "errors elsewhere do not count"
    assert still_jitter(true[:30], true[:30]) is None
    assert still_jitter(true[:36], true[:36]) is None, "a short rest is no part"


def test_relative_errors_are_in_the_cameras_axes():
    true = straight(3)
    turned = true.copy()
    turned[:, :3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    errors = relative_errors(turned, true, 1)
    assert errors.translation == pytest.approx([np.sqrt(2)] * 2)
    assert errors.degrees == pytest.approx([0, 0])
