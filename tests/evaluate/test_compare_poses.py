"""`endogs compare-poses` from files to table, JSON and picture; what is wrong with a file is said with numbers."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from samples.camera_paths import moved, noisy, tum_rows, winding_path, write_tum
from samples.still_scene import FRAMES, StillClip, still_scene
from scipy.spatial.transform import Rotation

from endogs.cli import main
from endogs.errors import InputError
from endogs.evaluate.path_doubts import convention_doubt, tremble_doubt, unit_doubt
from endogs.evaluate.tum_file import read_tum
from endogs.geometry import invert_rigid
from endogs.scene.scene_file import save_scene

COUNT = 60
TIMES = np.arange(COUNT) / 30
TRUE = winding_path(COUNT)
ESTIMATED = moved(noisy(TRUE))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tum(tmp_path / "ref.tum", TIMES, TRUE)
    write_tum(tmp_path / "est.tum", TIMES, ESTIMATED)
    return tmp_path


def compare(*words):
    return main(["compare-poses", *map(str, words)])


def test_the_command_prints_a_table_and_writes_json_and_a_picture(files, capsys):
    np.savetxt("keys.txt", TIMES[::6], fmt="%.6f")
    assert compare("est.tum", "ref.tum", "--keyframes", "keys.txt", "--out", "n.json", "--plot", "p.png") == 0
    said = capsys.readouterr()
    for words in (
        "ATE of 60 poses",
        "first frame shared",
        "SE(3)-aligned",
        "ATE of 10 keyframes",
        "30 frames",
        "lost: 0",
    ):
        assert words in said.out
    assert "note:" not in said.err
    found = json.loads((files / "n.json").read_text())
    assert (found["poses"], found["lost"], found["keyframes"], found["notes"]) == (COUNT, 0, 10, [])
    assert found["absolute"]["sim3"]["rmse"] < found["absolute"]["se3"]["zero_motion_rmse"] / 10
    assert [row["frames"] for row in found["relative"]] == [1, 10, 30]
    picture = cv2.imread(str(files / "p.png"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_lost_frames_are_counted_and_lines_of_nan_are_lost(files, capsys):
    rows = tum_rows(TIMES, ESTIMATED)
    rows[20:25, 1:] = np.nan
    np.savetxt("est.tum", np.delete(rows, slice(40, 50), 0), fmt="%.12g")
    assert compare("est.tum", "ref.tum", "--out", "n.json") == 0
    said = capsys.readouterr()
    assert "lost: 15 of 60 frames (25.0%)" in said.out
    assert "5 lines of the estimate hold NaN" in said.err
    assert "over frames that are lost" in said.err
    found = json.loads((files / "n.json").read_text())
    assert (found["share_lost"], found["poses"]) == (0.25, 45)


def test_a_denser_reference_loses_nothing_and_is_told(files, capsys):
    dense = winding_path(COUNT * 4)
    write_tum("ref.tum", np.arange(COUNT * 4) / 120, dense)
    write_tum("est.tum", TIMES, dense[::4])
    assert compare("est.tum", "ref.tum") == 0
    said = capsys.readouterr()
    assert "lost: 0 of 60 frames" in said.out
    assert "in the estimate's rhythm" in said.err


def reworked(change):
    rows = tum_rows(TIMES, ESTIMATED)
    change(rows)
    return rows


def times(factor, shift=0.0):
    return lambda rows: rows.__setitem__((slice(None), 0), rows[:, 0] * factor + shift)


def quaternions(factor):
    return lambda rows: rows.__setitem__((slice(None), slice(4, 8)), rows[:, 4:] * factor)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (times(1, 100), "covers 100 to 101.966667 s in 60 poses, and ref.tum 0 to 1.966667 s in 60 poses"),
        (times(1e9), "seem to be nanoseconds"),
        (times(1, 0.0166), "--max-difference"),
        (times(30), "belong together within 0.01 s, by chance"),
        (times(0), "the time 0 stands twice"),
        (quaternions(2), "a quaternion of length 2, which is no rotation (60 of 60 lines"),
        (quaternions(0), "a quaternion of zeros"),
    ],
)
def test_files_that_cannot_be_compared_are_one_sentence(files, capsys, change, sentence):
    np.savetxt("est.tum", reworked(change), fmt="%.12g")
    assert compare("est.tum", "ref.tum") == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1


def test_the_offset_that_is_advised_helps(files, capsys):
    write_tum("est.tum", TIMES + 1.5e9, ESTIMATED)
    assert compare("est.tum", "ref.tum") == 2
    offset = capsys.readouterr().err.split("--time-offset ")[1].rstrip(".\n")
    assert compare("est.tum", "ref.tum", "--time-offset", offset) == 0
    assert "lost: 0 of 60" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no poses"),
        ("0 1 2 3\n", "line 1 is not eight finite numbers"),
        ("# a\n0 0 0 0 0 0 0 1\n1 0 x 0 0 0 0 1\n", "line 3"),
        ("0 nan 0 0 0 0 0 1\n", "line 1 holds NaN"),
        ("# time_offset one\n0 0 0 0 0 0 0 1\n", "line 1"),
        ("0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1\n", "stands twice"),
    ],
)
def test_a_bad_reference_is_one_sentence_and_its_line(files, capsys, text, sentence):
    (files / "ref.tum").write_text(text)
    assert compare("est.tum", "ref.tum") == 2
    said = capsys.readouterr().err
    assert said.startswith("endogs: ref.tum")
    assert sentence in said


def test_a_reference_that_never_moves_is_refused(files, capsys):
    write_tum("ref.tum", TIMES, np.tile(TRUE[3], (COUNT, 1, 1)))
    assert compare("est.tum", "ref.tum") == 2
    assert "its camera never moves (60 poses, path length 0)" in capsys.readouterr().err
    still = TRUE.copy()
    still[:30] = TRUE[0]
    write_tum("ref.tum", TIMES, still)
    write_tum("est.tum", TIMES[:30], ESTIMATED[:30])
    assert compare("est.tum", "ref.tum") == 2
    assert "in the 30 poses that est.tum has too" in capsys.readouterr().err


def test_doubts_are_told_with_numbers(files, capsys):
    write_tum("est.tum", TIMES, moved(noisy(TRUE), scale=0.001))
    assert compare("est.tum", "ref.tum") == 0
    assert "metres beside millimetres" in capsys.readouterr().err
    write_tum("est.tum", TIMES, np.tile(TRUE[3], (COUNT, 1, 1)))
    assert compare("est.tum", "ref.tum") == 0
    assert "never moves" in capsys.readouterr().err
    assert compare("ref.tum", "ref.tum") == 0
    assert "both hold the same poses" in capsys.readouterr().err
    line = np.tile(np.eye(4), (COUNT, 1, 1))
    line[:, 2, 3] = np.arange(COUNT)
    write_tum("ref.tum", TIMES, line)
    assert compare("est.tum", "ref.tum") == 0
    assert "straight line" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["est", "ref"])
def test_poses_the_other_way_round_are_found_and_the_option_mends_them(files, capsys, wrong):
    poses = {"est": ESTIMATED, "ref": TRUE}
    write_tum(f"{wrong}.tum", TIMES, invert_rigid(poses[wrong]))
    assert compare("est.tum", "ref.tum") == 0
    said = capsys.readouterr().err
    option = "--pose-convention" if wrong == "est" else "--reference-convention"
    assert f"{option} world-to-camera-opencv" in said
    assert "other units" not in said, "what is another convention is no other unit too"
    assert compare("est.tum", "ref.tum", option, "world-to-camera-opencv", "--out", "n.json") == 0
    assert "note:" not in capsys.readouterr().err
    assert json.loads((files / "n.json").read_text())["absolute"]["se3"]["ratio_to_zero_motion"] < 0.1


def test_other_orders_and_axes_are_named():
    quats = Rotation.from_matrix(ESTIMATED[:, :3, :3]).as_quat()
    w_first = ESTIMATED.copy()
    w_first[:, :3, :3] = Rotation.from_quat(quats[:, [3, 0, 1, 2]]).as_matrix()
    assert convention_doubt(w_first, TRUE).convention == "camera-to-world-opencv-wxyz"
    opengl = ESTIMATED @ np.diag([1.0, -1, -1, 1])
    assert convention_doubt(opengl, TRUE).convention == "camera-to-world-opengl"
    assert convention_doubt(ESTIMATED, TRUE) is None
    assert convention_doubt(opengl, TRUE).sides == ("estimate", "reference"), "axes may be either's"
    inverse = invert_rigid(TRUE)
    assert convention_doubt(ESTIMATED, inverse).sides == ("reference",)
    assert convention_doubt(ESTIMATED, inverse, ("estimate",)) is None
    assert convention_doubt(winding_path(COUNT, 5), TRUE) is None, "a path that fits in no way is only wrong"


def test_a_late_clock_is_told_and_the_offset_that_is_named_mends_it(files, capsys):
    true = smooth_path()
    write_tum("ref.tum", np.arange(len(true)) / 30, true)
    write_tum("est.tum", np.arange(len(true)) / 30 + 4 / 30, moved(noisy(true, length=0.01, turn=1e-4)))
    assert compare("est.tum", "ref.tum") == 0
    said = capsys.readouterr().err
    assert "4 poses" in said
    offset = said.split("moved by ")[1].split(" s")[0]
    assert float(offset) == pytest.approx(-4 / 30, abs=1e-4)
    assert compare("est.tum", "ref.tum", "--time-offset", offset) == 0
    assert "note:" not in capsys.readouterr().err


def smooth_path(count=120):
    """A camera on a winding way, whose speed changes slowly."""
    t = np.linspace(0, 9, count)
    true = np.tile(np.eye(4), (count, 1, 1))
    true[:, :3, :3] = Rotation.from_rotvec(np.stack([0.2 * np.sin(t), 0.3 * np.cos(2 * t), 0.1 * t], 1)).as_matrix()
    true[:, :3, 3] = np.stack([10 * np.sin(t), 6 * np.cos(1.7 * t), 2 * t], 1)
    return true


def test_a_still_camera_that_is_measured_with_noise_is_told(files, capsys):
    write_tum("ref.tum", TIMES, noisy(np.tile(TRUE[3], (COUNT, 1, 1)), length=1e-4))
    assert compare("est.tum", "ref.tum") == 0
    said = capsys.readouterr().err
    assert "as of a still camera with noise" in said
    assert "other units" not in said
    assert tremble_doubt(smooth_path(), "reference") is None


def test_one_wild_pose_is_no_other_unit():
    wild = ESTIMATED.copy()
    wild[20, :3, 3] += 1e5
    assert unit_doubt(wild, TRUE) is None


@pytest.mark.parametrize(("factor", "said"), [(0.1, "centimetres"), (1e3, "1000"), (5, "not known"), (2, None)])
def test_lengths_that_differ_by_factors_are_told(factor, said):
    found = unit_doubt(moved(ESTIMATED, scale=factor), TRUE)
    assert found is None if said is None else said in found


def test_a_file_is_read_as_it_describes_itself(tmp_path):
    rows = tum_rows(TIMES, TRUE)
    path = tmp_path / "a.csv"
    lines = [", ".join(map(str, row[[0, 1, 2, 3, 7, 4, 5, 6]])) for row in rows[::-1]]
    path.write_text("# time_offset 2.5\n# time tx ty tz qw qx qy qz\n" + "\n".join(lines) + "\n")
    found = read_tum(path)
    np.testing.assert_allclose(found.times, TIMES + 2.5)
    np.testing.assert_allclose(found.poses, TRUE, atol=1e-9)
    assert "begin with w" in found.notes[0]
    path.write_text("0 0 0 0 0 0 0 inf\n")
    with pytest.raises(InputError, match="NaN or infinity"):
        read_tum(path)


def test_scenes_and_clips_are_paths_too(files, capsys):
    clip = StillClip()
    scene = still_scene(clip)
    true = winding_path(FRAMES)
    scene.world_to_camera = invert_rigid(true)
    (files / "fit").mkdir()
    save_scene(scene, files / "fit" / "scene.safetensors")
    (files / "clip" / "images").mkdir(parents=True)
    for i in range(FRAMES):
        cv2.imwrite(str(files / "clip" / "images" / f"{i:03d}.png"), clip.picture[..., ::-1])
    numbers = {"fx": 60, "fy": 60, "cx": 24, "cy": 16, "fps": 10}
    (files / "clip" / "calibration.json").write_text(json.dumps(numbers))
    assert compare("fit", "clip") == 2
    assert "has no poses" in capsys.readouterr().err
    write_tum("clip/poses.tum", clip.times, true)
    assert compare("fit", "clip") == 0
    assert "both hold the same poses" in capsys.readouterr().err
    scene.origin = replace(scene.origin, cameras="tracked", unplaced_frames=(2, 3))
    save_scene(scene, files / "fit" / "scene.safetensors")
    assert compare("fit", "clip") == 0
    assert f"lost: 2 of {FRAMES} frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--plot", "a.svg"], "give a name in .png"),
        (["--out", "ref.tum"], "would be replaced"),
        (["--out", "x.png", "--plot", "x.png"], "same file"),
        (["--out", "est.tum/n.json"], "cannot be written"),
        (["--keyframes", "ref.json"], "ref.json"),
        (["--keyframes", "late.txt"], "0 of its 2 times, which cover 100 to 101 s"),
        (["--max-difference", "-1"], "--max-difference"),
        (["--pose-convention", "camera-to-world-opencv", "--time-offset", "nan"], "--time-offset"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(files, capsys, words, sentence):
    (files / "late.txt").write_text("100\n101\n")
    assert compare("est.tum", "ref.tum", *words) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
