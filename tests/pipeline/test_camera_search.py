"""Where a fit's camera poses come from: given, at rest, or found; and what happens to frames that have none."""

import json

import numpy as np
import pytest
from samples.ball_clip import winding, write_ball_clip
from scipy.spatial.transform import Rotation

from endogs.cli import main
from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.evaluate.tum_file import read_tum
from endogs.geometry import invert_rigid
from endogs.pipeline import breathing, camera_plan, camera_search
from endogs.pipeline.camera_plan import with_cameras
from endogs.pipeline.camera_search import find_cameras, tracked, with_focal_length, without_gaps
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import resolve
from endogs.pipeline.spans import spans
from endogs.scene.scene_file import load_scene
from endogs.tracking import focal_length
from endogs.tracking.camera_motion import camera_motion
from endogs.tracking.rhythm import Rhythm
from endogs.tracking.rigid_motion import moved_by
from endogs.tracking.trajectory import State, TrackedFrame, Trajectory

FRAMES = 16
BLACK = (5, 6, 7)
TRUE = winding(FRAMES)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    return write_ball_clip(tmp_path_factory.mktemp("moving") / "clip", TRUE, BLACK)


@pytest.fixture(scope="module")
def resting(tmp_path_factory):
    return write_ball_clip(tmp_path_factory.mktemp("resting") / "clip", TRUE[:1].repeat(8, 0))


def read(folder):
    return load_clip(folder, ClipOptions())


def percent_of_path(found, known):
    path = compare_paths(invert_rigid(found[known]), invert_rigid(TRUE[known])).absolute["sim3"]
    return path.percent_of_path


def test_a_moving_camera_is_found_and_a_resting_one_is_not_searched_for(moving, resting):
    found = find_cameras(read(moving), "auto")
    assert found.source == "tracked"
    assert found.clip.unplaced == BLACK
    assert found.clip.units == "relative"
    assert percent_of_path(found.clip.world_to_camera, found.clip.pose_known) < 1.5
    assert any("frames 5 to 7" in note and "neither fitted nor judged" in note for note in found.notes)

    still = find_cameras(read(resting), "auto")
    assert still.source == "still"
    assert still.trajectory is None
    assert (still.clip.world_to_camera == np.eye(4)).all()


def test_a_choice_is_followed_or_refused(moving, resting):
    assert find_cameras(read(moving), "still").clip.static_camera
    with pytest.raises(InputError, match="nothing says where the camera is; use --camera auto or track"):
        find_cameras(read(moving), "given")
    with pytest.raises(InputError, match="of 8 frames only"):
        find_cameras(read(resting), "track")
    deep = read(moving)
    deep.has_depth = True
    with pytest.raises(InputError, match="COLMAP's path has no unit, and the clip's depth"):
        find_cameras(deep, "colmap")
    placed = read(moving).with_cameras(TRUE)
    assert find_cameras(placed, "given").clip is placed
    assert find_cameras(placed, "auto").source == "given"


@pytest.mark.parametrize(
    ("depth", "source", "said"),
    [("auto", None, "depth files"), ("stereo", "stereo", "right views"), ("parallax", None, "depth files")],
)
def test_distances_of_the_path_are_those_of_the_fit_and_it_says_which(moving, monkeypatch, depth, source, said):
    """A clip with depth files and right views, fitted as if it had no depth files."""
    clip = read(moving)
    clip.has_depth = clip.has_right = True
    clip.baseline, clip.units, asked = 4.0, "mm", []

    def found(clip, held_out, depth, progress):
        asked.append(depth)
        poses = [TrackedFrame(k, float(t), TRUE[k], State.TRACKED) for k, t in enumerate(clip.times)]
        return Trajectory(tuple(poses), tuple(poses), "mm", ())

    monkeypatch.setattr(camera_search, "track_by_light", found)
    monkeypatch.setattr(camera_plan, "unfit_pair", lambda clip: None)
    plan = resolve(Reconstruct(moving, depth=depth, camera="track"), clip)
    _, _, cameras = with_cameras(clip, plan)
    assert asked == [source]
    assert any(f"its distances are those of the {said}" in note for note in cameras.notes)


def test_motion_is_measured_whatever_poses_say(moving, resting):
    assert camera_motion(read(moving)).verdict == "moving"
    assert camera_motion(read(resting)).verdict == "still"
    assert camera_motion(read(resting).with_cameras(TRUE[:8])).verdict == "still"


def test_a_turn_is_told_from_a_motion(tmp_path):
    turning = np.tile(np.eye(4), (10, 1, 1))
    angle = np.arange(10) * 0.01
    turning[:, 0, 0] = turning[:, 2, 2] = np.cos(angle)
    turning[:, 0, 2], turning[:, 2, 0] = np.sin(angle), -np.sin(angle)
    motion = camera_motion(read(write_ball_clip(tmp_path / "clip", turning)))
    assert motion.verdict == "turning"
    assert motion.by_turning < 0.1


def test_frames_without_a_pose_lie_between_others():
    poses = TRUE[:5].copy()
    poses[[0, 2, 4]] = np.nan
    filled = without_gaps(poses, np.array([0.0, 1, 1.5, 3, 4]))
    assert (filled[0] == TRUE[1]).all()
    assert (filled[4] == TRUE[3]).all()
    centre = invert_rigid(filled)[:, :3, 3]
    np.testing.assert_allclose(centre[2], 0.75 * centre[1] + 0.25 * centre[3])
    assert spans(np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)) == "frames 0 to 1, 3, 6 to 7"
    assert spans(np.arange(40) % 2 == 0).endswith("14 and 12 more spans")
    assert spans(np.arange(8) == 6) == "frame 6"


def test_reconstruct_fits_what_has_a_pose_and_evaluate_judges_with_the_found_cameras(moving, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--iterations", "12", "--gaussians", "500", "--deformation", "none", "--device", "cpu", "--masks", "none"]
    assert main(["reconstruct", str(moving), "--out", str(out), *words]) == 0
    scene = load_scene(out)
    assert scene.origin.cameras == "tracked"
    assert scene.origin.unplaced_frames == BLACK
    assert not set(BLACK) & set(scene.origin.training_frames)
    assert json.loads((out / "run.json").read_text())["camera"]["found"] == FRAMES - len(BLACK)
    assert len(read_tum(out / "trajectory.tum").times) == FRAMES - len(BLACK)
    after = json.loads((out / "metrics.json").read_text())
    assert [row["frame"] for row in after["per_frame"]] == [1, 9]
    assert after["poses"]["held_out"]["frames"] == 2

    capsys.readouterr()
    assert (
        main(["evaluate", str(out), "--split", "all", "--measures", "psnr", "--out", str(tmp_path / "all.json")]) == 0
    )
    again = json.loads((tmp_path / "all.json").read_text())
    assert "poses" not in again, "the folder has none, from which others could be away"
    judged = [row["frame"] for row in again["per_frame"]]
    assert judged == [k for k in range(FRAMES) if k not in BLACK]


def test_track_writes_a_path_that_compare_poses_reads(moving, tmp_path, capsys):
    out = tmp_path / "poses.tum"
    assert main(["track", str(moving), "--out", str(out), "--masks", "none"]) == 0
    said = capsys.readouterr()
    assert "13 of 16 frames" in said.out
    assert "dark: 3" in said.out
    path = read_tum(out)
    assert len(path.times) == FRAMES - len(BLACK)
    assert json.loads((tmp_path / "poses.json").read_text())["units"] == "relative"
    assert (tmp_path / "poses.png").stat().st_size > 1000
    assert main(["track", str(moving), "--out", str(tmp_path / "poses.txt")]) == 2
    assert main(["track", str(moving), "--depth", "stereo"]) == 2
    assert "no right views" in capsys.readouterr().err


def test_track_leaves_breathing_out_unless_it_is_kept(moving, tmp_path, monkeypatch, capsys):
    shift = np.tile([0.5, 0.0, -0.25], (FRAMES, 1)) * np.sin(np.arange(FRAMES))[:, None]
    monkeypatch.setattr(breathing, "find_rhythm", lambda times, centres: Rhythm(shift, 4.0, 0.6, 12.0))
    words = ["track", str(moving), "--masks", "none"]
    assert main([*words, "--out", str(tmp_path / "out.tum")]) == 0
    assert "left out of the path" in capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path / "kept.tum"), "--breathing", "keep"]) == 0
    assert "left out of the path" not in capsys.readouterr().out
    told, kept = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("out", "kept"))
    np.testing.assert_allclose(told["breathing_left_out"]["shift"], shift)
    assert "breathing_left_out" not in kept
    out, whole = read_tum(tmp_path / "out.tum"), read_tum(tmp_path / "kept.tum")
    found = [frame["world_to_camera"] is not None for frame in kept["frames"]]
    np.testing.assert_allclose(whole.poses[:, :3, 3] - out.poses[:, :3, 3], shift[found], atol=1e-6)


def test_track_needs_no_row_of_given_poses(tmp_path, capsys):
    folder = write_ball_clip(tmp_path / "clip", TRUE[:10])
    rows = [f"{k} 0 0 0 0 0 0 1" for k in range(10) if k not in (3, 4)]
    (folder / "poses.tum").write_text("\n".join(rows) + "\n")
    assert len(read(folder)) == 8
    assert main(["track", str(folder), "--out", str(tmp_path / "path.tum"), "--masks", "none"]) == 0
    assert "has 8 rows for 10 images" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "path.json").read_text())["frames"]) == 10
    assert len(read(folder)) == 8, "others read the poses as before"


def test_a_guessed_focal_length_is_replaced_by_what_the_motion_tells(resting, tmp_path, monkeypatch):
    monkeypatch.setattr(focal_length, "FACTORS", (0.6, 0.775, 1.0))
    clip = read(write_ball_clip(tmp_path / "clip", winding(28)[::2]))
    true = clip.K[0, 0, 0]
    guess = clip.with_intrinsics(clip.K * np.array([[1.3, 1, 1], [1, 1.3, 1], [1, 1, 1]]))
    guess.K_is_guess = True
    found, notes = with_focal_length(guess)
    assert found.K[0, 0, 0] == pytest.approx(true, rel=0.06)
    assert (found.K[:, :2, 2] == clip.K[:, :2, 2]).all()
    assert "by the camera's motion" in notes[0]

    rests = read(resting)
    rests.K_is_guess = True
    same, notes = with_focal_length(rests)
    assert same is rests
    assert "is a guess, and the motion does not tell it" in notes[0]
    assert with_focal_length(clip) == (clip, ())


def test_focal_lengths_are_told_in_pixels_of_the_original_as_the_option_takes_them(moving, monkeypatch):
    whole, small = (load_clip(moving, ClipOptions(max_size=size)) for size in (None, 64))
    assert small.K[0, 0, 0] < 0.9 * whole.K[0, 0, 0]
    monkeypatch.setattr(camera_search, "find_focal_length", lambda *_: focal_length.FocalLength(0.5, 0.4, 0.6))
    told = []
    for clip in (whole, small):
        clip.K_is_guess = True
        told.append(with_focal_length(clip)[1])
    assert told[0] == told[1]
    assert f"is {0.5 * whole.K[0, 0, 0]:.0f} pixels" in told[0][0]


def test_a_guess_that_the_motion_excludes_is_not_kept(moving, monkeypatch):
    clip = read(moving)
    clip.K_is_guess = True
    monkeypatch.setattr(camera_search, "find_focal_length", lambda *_: focal_length.FocalLength(0.5, 0.0, 0.7))
    taken, notes = with_focal_length(clip)
    focal = clip.K[0, 0, 0]
    assert taken.K[0, 0, 0] == pytest.approx(0.5 * focal)
    assert f"taken as {0.5 * focal:.0f} pixels" in notes[0]
    assert f"leaves open all up to {0.7 * focal:.0f}" in notes[0]
    monkeypatch.setattr(camera_search, "find_focal_length", lambda *_: focal_length.FocalLength(0.5, 0.0, 1.2))
    assert with_focal_length(clip)[0] is clip


def test_a_path_that_lies_against_the_light_is_doubted(moving, monkeypatch):
    clip = read(moving)
    for light, doubted in ((-0.8, True), (0.7, False), (None, False)):
        monkeypatch.setattr(camera_search, "depth_by_light", lambda *_, light=light: light)
        assert any("seems to be inside out" in note for note in tracked(clip).notes) == doubted


def test_a_focal_length_that_the_motion_excludes_is_doubted(tmp_path):
    clip = read(write_ball_clip(tmp_path / "clip", winding(40)))
    wrong = clip.with_intrinsics(focal_length.with_focal_factor(clip.K, 1.3))
    said = [note for note in tracked(wrong).notes if "does not fit the camera's motion" in note]
    assert len(said) == 1
    assert f"{1.3 * clip.K[0, 0, 0]:.0f} pixels" in said[0]
    assert not any("does not fit" in note for note in tracked(clip).notes)


def test_a_frame_whose_distances_nobody_measured_does_not_hide_what_others_say():
    def path(*residuals):
        return Trajectory(
            tuple(TrackedFrame(k, k, np.eye(4), State.TRACKED, "", 400, one) for k, one in enumerate(residuals)),
            (),
            "relative",
            (),
        )

    unknown = float("nan")
    assert focal_length.disagreement(path(unknown, 0.5), 2) == focal_length.disagreement(path(0.5), 2)
    assert focal_length.disagreement(path(unknown, 0.2), 2) < focal_length.disagreement(path(unknown, 0.5), 2)
    assert focal_length.disagreement(path(unknown), 2) == np.inf


def test_colmap_finds_the_same_path(tmp_path):
    pytest.importorskip("pycolmap")
    true = winding(18)[::2]
    clip = read(write_ball_clip(tmp_path / "clip", true))
    found = find_cameras(clip, "colmap", held_out=(1,))
    assert found.source == "colmap"
    assert found.clip.pose_known.all()
    compared = compare_paths(invert_rigid(found.clip.world_to_camera), invert_rigid(true)).absolute["sim3"]
    assert compared.percent_of_path < 2
    assert "COLMAP took the held-out frames too" in found.notes[0]


def test_one_frame_is_at_rest_and_no_path(tmp_path, capsys):
    folder = write_ball_clip(tmp_path / "clip", TRUE[:1])
    found = find_cameras(read(folder), "auto")
    assert found.source == "still"
    assert found.notes == ("one frame alone shows no motion of the camera: it is taken to stand still",)
    with pytest.raises(InputError, match="one frame alone shows no motion of the camera; take more of the clip"):
        find_cameras(read(folder), "track")
    assert main(["track", str(folder), "--out", str(tmp_path / "a.tum")]) == 2
    assert "one frame alone" in capsys.readouterr().err
    assert not (tmp_path / "a.tum").exists()


def test_advice_is_about_what_can_be_done(tmp_path, capsys):
    folder = write_ball_clip(tmp_path / "clip", TRUE[:1].repeat(6, 0))
    assert main(["track", str(folder), "--max-size", "100", "--out", str(tmp_path / "a.tum")]) == 2
    said = capsys.readouterr().err
    assert "0 of 6 frames only (no parallax yet: 6)" in said
    assert "a larger --max-size shows more" in said
    assert "reconstruct --camera still" in said


def test_found_poses_are_not_measured_against_those_that_the_clip_came_with(tmp_path, capsys):
    folder = write_ball_clip(tmp_path / "clip", TRUE[:12])
    lines = []
    for k, pose in enumerate(invert_rigid(moved_by(TRUE[:12], np.tile([30.0, 20, 0, 0, 0.4, 0], (12, 1))))):
        quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
        lines.append(" ".join(str(x) for x in (k / 30, *pose[:3, 3], *quaternion)))
    (folder / "poses.tum").write_text("\n".join(lines) + "\n")
    words = ["--iterations", "10", "--gaussians", "500", "--deformation", "none", "--device", "cpu", "--masks", "none"]
    for choice in ("track", "still"):
        out = tmp_path / choice
        assert main(["reconstruct", str(folder), "--camera", choice, "--out", str(out), *words]) == 0
        capsys.readouterr()
        assert main(["evaluate", str(out), "--measures", "psnr"]) == 0
        assert "poses are not the clip's" not in capsys.readouterr().out
