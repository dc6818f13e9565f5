"""`--pose-prior`: what is refused, and a path joined with noisy poses, in their world and in mm."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from samples.ball_clip import winding, write_ball_clip
from samples.camera_paths import moved, write_tum

from endogs.cli import main
from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.evaluate.tum_file import read_tum
from endogs.geometry import invert_rigid
from endogs.pipeline.camera_search import find_cameras, tracked
from endogs.pipeline.fused_path import fused
from endogs.pipeline.pose_prior import read_pose_prior
from endogs.pipeline.pose_prior_options import PosePriorOptions
from endogs.tracking.rigid_motion import moved_by
from endogs.tracking.trajectory import State

FRAMES, BLACK = 16, (5, 6)
TIMES = np.arange(FRAMES) / 30
TRUE = moved(invert_rigid(winding(FRAMES)))
"""T_world_camera in a world of their own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_ball_clip(tmp_path_factory.mktemp("moving") / "clip", winding(FRAMES), BLACK)


@pytest.fixture(scope="module")
def clip(folder):
    return load_clip(folder, ClipOptions())


@pytest.fixture(scope="module")
def path(clip):
    return tracked(clip)


def noisy(mm=0.05, degrees=0.05):
    random = np.random.default_rng(0)
    deviations = np.repeat([mm, np.radians(degrees)], 3)
    return invert_rigid(moved_by(invert_rigid(TRUE), random.normal(0, 1, (FRAMES, 6)) * deviations))


def prior_of(tmp_path, clip, poses, times=TIMES, mm=0.05, deg=0.05):
    return read_pose_prior(PosePriorOptions(write_tum(tmp_path / "prior.tum", times, poses), mm, deg), clip)


def test_numbers_and_other_cameras_are_refused(tmp_path):
    file = tmp_path / "prior.tum"
    with pytest.raises(InputError, match="say how far these poses are off with --pose-prior-mm and --pose-prior-deg"):
        PosePriorOptions(file).check()
    with pytest.raises(InputError, match="--pose-prior-deg says how far poses are off; give their file"):
        PosePriorOptions(pose_prior_deg=1.0).check()
    for numbers in ((0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="--pose-prior-"):
            PosePriorOptions(file, *numbers)
    for camera in ("still", "given", "colmap"):
        with pytest.raises(InputError, match=f"--camera {camera} finds no path .* use --camera track"):
            PosePriorOptions(file, 1.0, 1.0).check(camera)


def test_files_that_tell_nothing_are_refused(tmp_path, clip):
    with pytest.raises(InputError, match="0 of its poses belong to a frame"):
        prior_of(tmp_path, clip, TRUE, TIMES + 100)
    with pytest.raises(InputError, match=r"3 of its poses .* give poses of more frames"):
        prior_of(tmp_path, clip, TRUE[:3], TIMES[:3])
    with pytest.raises(InputError, match=r"all the same.*--camera still"):
        prior_of(tmp_path, clip, TRUE[:1].repeat(FRAMES, 0))
    metres = TRUE.copy()
    metres[:, :3, 3] /= 1000
    with pytest.raises(InputError, match="less than their noise of --pose-prior-mm 1; give positions in mm"):
        prior_of(tmp_path, clip, metres, mm=1.0)
    placed = clip.with_cameras(winding(FRAMES))
    prior = prior_of(tmp_path, placed, TRUE)
    with pytest.raises(InputError, match="comes with poses, which --camera auto takes"):
        find_cameras(placed, "auto", (), prior)


def test_a_path_from_one_eye_gets_the_priors_world_and_mm(tmp_path, clip, path):
    prior = prior_of(tmp_path, clip, noisy())
    found = fused(clip, path, prior)
    assert (path.units, found.units) == ("relative", "mm")
    poses = invert_rigid(found.world_to_camera[found.found])
    errors = compare_paths(poses, TRUE[found.found]).absolute
    assert errors["se3"].percent_of_path < 2
    assert np.linalg.norm(poses[:, :3, 3] - TRUE[found.found, :3, 3], axis=1).max() < 0.5
    assert path.landmarks is not None
    assert found.landmarks is not None
    one, other = (float(np.linalg.norm(each.landmarks.points.std(0))) for each in (path, found))
    scale = compare_paths(invert_rigid(path.world_to_camera[path.found]), TRUE[path.found]).absolute["sim3"].scale
    assert other / one == pytest.approx(scale, rel=0.05)
    assert any("one eye does not see lengths" in note for note in found.notes)


def test_frames_without_a_pose_get_none_and_rows_may_be_missing(tmp_path, clip, path):
    chosen = np.r_[0:11, 13:FRAMES]
    found = fused(clip, path, prior_of(tmp_path, clip, noisy()[chosen], TIMES[chosen]))
    for k in BLACK:
        one = found.frames[k]
        assert one.state is State.PRIOR
        assert one.world_to_camera is None
        assert one.reason == "dark"
        np.testing.assert_allclose(one.prior_world_to_camera, invert_rigid(noisy()[k]), atol=1e-6)
    assert not found.found[list(BLACK)].any()
    assert found.found[11:13].all()
    assert found.frames[11].prior_world_to_camera is None
    assert any("2 of 16 frames have no pose" in note for note in found.notes)
    assert any('state "prior"' in note for note in found.notes)


def test_held_out_frames_change_nothing_for_the_others(tmp_path, clip, path):
    prior = prior_of(tmp_path, clip, noisy())
    held_out = [9, 12]
    frames = list(path.frames)
    for k in held_out:
        frames[k] = replace(frames[k], world_to_camera=moved_by(frames[k].world_to_camera, np.full(6, 0.3)))
    one, other = (fused(clip, replace(path, frames=tuple(some)), prior, held_out) for some in (path.frames, frames))
    same = [k for k in range(FRAMES) if k not in (*held_out, *BLACK)]
    np.testing.assert_array_equal(one.world_to_camera[same], other.world_to_camera[same])
    assert not np.allclose(one.world_to_camera[held_out], other.world_to_camera[held_out])


def test_maps_that_stay_apart_are_joined(tmp_path, clip, path):
    frames = list(path.frames)
    for k in range(9, FRAMES):
        pose = frames[k].world_to_camera.copy()
        pose[:3, 3] = 2.5 * pose[:3, 3] + 7
        frames[k] = replace(frames[k], world_to_camera=pose, sub_map=1)
    notes = ("camera: the clip falls into 2 maps", "the focal length does not fit")
    apart = replace(path, frames=tuple(frames), sub_map=1, notes=notes)
    found = fused(clip, apart, prior_of(tmp_path, clip, noisy()))
    assert found.found.sum() == path.found.sum()
    errors = compare_paths(invert_rigid(found.world_to_camera[found.found]), TRUE[found.found]).absolute
    assert errors["se3"].percent_of_path < 3
    assert not any("falls into" in note for note in found.notes)
    assert notes[1] in found.notes, "other warnings stay"
    assert any("2 maps lie beside each other" in note for note in found.notes)


def test_a_map_that_the_prior_does_not_place_has_no_poses_in_mm(tmp_path, clip, path):
    """From one eye, poses of such a map have no unit, and the path is written in mm."""
    frames = list(path.frames)
    for k in range(11, FRAMES):
        frames[k] = replace(frames[k], sub_map=1)
    apart = replace(path, frames=tuple(frames), sub_map=0)
    rows = np.arange(13)
    found = fused(clip, apart, prior_of(tmp_path, clip, noisy()[rows], TIMES[rows]))
    assert found.found[[k for k in range(11) if k not in BLACK]].all()
    for one, known in zip(found.frames[11:], [True, True, False, False, False], strict=True):
        assert one.world_to_camera is None
        assert one.state is (State.PRIOR if known else State.LOST)
        assert one.reason == "in a map that the prior does not place"
    assert all(one.world_to_camera is None for one in found.causal if one.sub_map == 1)


def test_a_prior_of_another_clip_is_refused(tmp_path, clip, path):
    random = np.random.default_rng(1)
    wrong = TRUE.copy()
    wrong[:, :3, :3] = TRUE[random.permutation(FRAMES), :3, :3].transpose(0, 2, 1) @ TRUE[:, :3, :3]
    wrong[:, :3, 3] = np.cumsum(random.normal(0, 4, (FRAMES, 3)), 0)
    with pytest.raises(InputError, match="contradict each other"):
        fused(clip, path, prior_of(tmp_path, clip, wrong))


def test_lengths_of_another_unit_than_depths_are_refused(tmp_path, clip, path):
    """A path in mm, as of depth, beside the same poses in other units."""
    metric = fused(clip, path, prior_of(tmp_path, clip, noisy()))
    assert metric.units == "mm"
    assert fused(clip, metric, prior_of(tmp_path, clip, noisy())).units == "mm"
    for factor in (0.4, 10.0):
        other = noisy()
        other[:, :3, 3] *= factor
        with pytest.raises(InputError, match=r"times those of the clip's depth; give positions in mm"):
            fused(clip, metric, prior_of(tmp_path, clip, other, mm=0.05 * factor))


def test_poses_that_err_far_more_than_was_said_are_refused_with_numbers_that_work(tmp_path, clip, path):
    poses = noisy(0.5, 0.5)
    with pytest.raises(InputError, match="say with --pose-prior-mm") as refused:
        fused(clip, path, prior_of(tmp_path, clip, poses, mm=1e-4, deg=1e-4))
    off = re.search(r"off by (\S+) mm and (\S+) degrees", str(refused.value))
    found = fused(clip, path, prior_of(tmp_path, clip, poses, mm=float(off[1]), deg=float(off[2])))
    assert not any("hardly count" in note for note in found.notes)


def test_track_writes_the_joined_path(folder, tmp_path, capsys):
    file, out = write_tum(tmp_path / "prior.tum", TIMES, noisy()), tmp_path / "poses.tum"
    words = ["track", str(folder), "--out", str(out), "--masks", "none", "--pose-prior", str(file)]
    assert main([*words, "--pose-prior-mm", "0.05"]) == 2
    assert "--pose-prior-deg" in capsys.readouterr().err
    sure = ["--pose-prior-mm", "0.05", "--pose-prior-deg", "0.05"]
    assert main([*words, *sure, "--breathing", "keep"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert main([*words, *sure]) == 0
    assert "in the world of prior.tum" in capsys.readouterr().out
    text = out.read_text()
    assert "# prior 0.166666667 dark" in text
    assert "T_world_camera, mm" in text
    assert len(read_tum(out).times) == FRAMES - len(BLACK)
    frames = json.loads((tmp_path / "poses.json").read_text())["frames"]
    assert frames[5]["state"] == "prior"
    assert frames[5]["world_to_camera"] is None
    assert np.shape(frames[5]["prior_world_to_camera"]) == (4, 4)
