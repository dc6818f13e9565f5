"""--trajectory: frames at the file's times, placed in the open; a file that is no path is refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest
from samples.open3d_there import require_open3d

from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.phantom import run
from endogs.phantom.anatomy import make_anatomy
from endogs.phantom.config import Phantom
from endogs.phantom.optics import make_optics
from endogs.phantom.path import CameraPath, camera_path, placed, turned
from endogs.phantom.placement import check_placement
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom

TINY = dict(frames=4, width=64, height=48, fps=5.0, tracks=60)


def rotation(axis: int, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turn = np.eye(4)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


def write_path(file: Path, *, rate: float = 10.0, rows: int = 21, speed: float = 8.0, swing: float = 10.0) -> Path:
    """A camera that goes ahead and to the side of a tilted world, and turns to and fro."""
    from scipy.spatial.transform import Rotation

    lines = ["# time tx ty tz qx qy qz qw"]
    for i in range(rows):
        t = i / rate
        pose = rotation(0, 40) @ rotation(1, swing * np.sin(2 * t))
        place = np.array([100.0, -50, 30]) + (rotation(0, 40) @ [2 * np.sin(t), t, speed * t, 1])[:3]
        quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
        lines.append(" ".join(f"{v:.12f}" for v in (1000 + t, *place, *quaternion)))
    file.write_text("\n".join(lines) + "\n")
    return file


def options(file: Path, **changes) -> Phantom:
    return Phantom(file.parent / "clip", **{**TINY, "trajectory": file, **changes})


def test_frames_are_taken_at_the_trajectorys_times(tmp_path):
    """Every second row of ten a second, moved as a whole: distances and turns between frames are the file's."""
    file = write_path(tmp_path / "path.tum")
    rows = np.loadtxt(file)[::2][:4]
    poses = invert_rigid(camera_path(options(file)).world_to_camera)
    given = np.linalg.norm(rows[:, None, 1:4] - rows[None, :, 1:4], axis=-1)
    found = np.linalg.norm(poses[:, None, :3, 3] - poses[None, :, :3, 3], axis=-1)
    np.testing.assert_allclose(found, given, atol=1e-7)
    cosines = np.abs(rows[1:, 4:] @ rows[0, 4:])
    np.testing.assert_allclose(turned(poses[1:], poses[:1].repeat(3, 0)), 2 * np.arccos(cosines), atol=1e-5)


def test_between_rows_the_path_is_interpolated_and_scaled(tmp_path):
    file = write_path(tmp_path / "path.tum", swing=0.0)
    fine = camera_path(options(file, fps=20.0)).world_to_camera
    scaled = camera_path(options(file, fps=20.0, trajectory_scale=0.5)).world_to_camera
    places, half = invert_rigid(fine)[:, :3, 3], invert_rigid(scaled)[:, :3, 3]
    np.testing.assert_allclose(places[1], (places[0] + places[2]) / 2, atol=1e-9)
    np.testing.assert_allclose(np.diff(half, axis=0), np.diff(places, axis=0) / 2, atol=1e-9)


def test_the_mean_view_looks_along_z_from_the_origin(tmp_path):
    whole = camera_path(options(write_path(tmp_path / "path.tum"))).whole
    np.testing.assert_allclose(whole[:, :3, 3].mean(0), 0, atol=1e-9)
    forward = whole[:, :3, 2].mean(0)
    np.testing.assert_allclose(forward / np.linalg.norm(forward), [0, 0, 1], atol=1e-9)
    moved = rotation(2, 77) @ whole
    moved[:, :3, 3] += [5, 6, 7]
    np.testing.assert_allclose(np.abs(placed(moved)[:, 2, 3]), np.abs(whole[:, 2, 3]), atol=1e-9)


@pytest.mark.parametrize("anatomy", ["abdomen", "colon"])
def test_the_clip_keeps_the_trajectory_and_its_truth_is_worked_out_again(tmp_path, anatomy, capsys):
    require_open3d()
    file = write_path(tmp_path / "path.tum")
    folder = run(options(file, anatomy=anatomy))
    said = capsys.readouterr().out
    assert "path.tum: 4 of 11 frames at 5 a second, interpolated from 10 rows a second" in said
    assert "as near as" in said
    assert (folder / "truth/trajectory.tum").read_bytes() == file.read_bytes()
    file.unlink()
    truth = PhantomTruth.read(folder)
    rows = np.loadtxt(folder / "poses.tum")
    np.testing.assert_allclose(rows[:, 0], np.arange(4) / 5)
    for frame in range(4):
        eye = invert_rigid(truth.world_to_camera(frame))[:3, 3]
        np.testing.assert_allclose(eye, rows[frame, 1:4], atol=1e-8)
        assert truth.tissue_depth(frame).min() > 2, "a hole"
    positions, visible = truth.tracks()
    pixels, z = truth.project(3, positions[3].astype(float))
    x, y = pixels[visible[3]].astype(int).T
    assert visible[3].sum() > 15
    assert np.median(np.abs(truth.tissue_depth(3)[y, x] - z[visible[3]])) < 1.5


def changed(file: Path, row: int, column: int, value: str) -> Path:
    lines = file.read_text().splitlines()
    words = lines[row].split()
    words[column] = value
    lines[row] = " ".join(words)
    file.write_text("\n".join(lines))
    return file


def test_files_that_are_no_path_are_refused(tmp_path):
    def refused(file: Path, sentence: str, **changes) -> None:
        with pytest.raises(InputError, match=sentence) as told:
            camera_path(options(file, **changes))
        assert str(told.value).count("\n") == 0

    good = tmp_path / "path.tum"
    refused(tmp_path / "none.tum", "none.tum")
    good.write_text("# nothing\n")
    refused(good, "holds no poses; give rows of time tx ty tz")
    good.write_text("0 1 2 3 0 0 0 1\n")
    refused(good, "holds one pose")
    good.write_text("1 2 3 0 0 0 1\n2 3 4 0 0 0 1\n")
    refused(good, "have no times")
    refused(changed(write_path(good), 5, 2, "nan"), "line 6 is not")
    refused(changed(write_path(good), 5, 0, "1000.1"), "times must increase")
    refused(changed(write_path(good), 5, 1, "130"), r"jumps by 2\d\.?\d* mm in 0\.1 s after row 4")
    refused(changed(changed(write_path(good), 5, 4, "0.9"), 5, 7, "0.1"), r"jumps by [\d.]+ degrees")
    write_path(good)
    refused(good, r"lasts 2\.00 s: give --frames 11", frames=40)
    camera_path(options(good, frames=11))
    lines = good.read_text().splitlines()
    good.write_text("\n".join(lines[:3] + lines[16:]))
    refused(good, r"nothing is known for 1\.4 s after row 2")
    write_path(good)
    note = " ".join(camera_path(options(good, trajectory_scale=0.001)).notes)
    assert "metres" in note
    assert "--trajectory-scale 1000" in note


def made(config: Phantom) -> CameraPath:
    config.check()
    path, optics = camera_path(config), make_optics(config)
    check_placement(config, make_anatomy(config, path, optics), path, optics)
    return path


def test_a_path_through_tissue_is_refused_and_what_is_advised_helps(tmp_path):
    require_open3d()
    deep = write_path(tmp_path / "deep.tum", rows=60, rate=10, speed=28.0)
    config = dict(frames=59, fps=10.0, instruments=0)
    with pytest.raises(InputError, match=r"raise --distance, or lower --trajectory-scale"):
        made(options(deep, **config))
    made(options(deep, **config, distance=140.0))
    made(options(deep, **config, trajectory_scale=0.4))


def test_a_path_into_an_instrument_is_refused(tmp_path):
    require_open3d()
    file = tmp_path / "side.tum"
    # From the middle to where the instrument enters at the right, at 0.72, 0.4 and 0.22 of the distance.
    file.write_text(
        "\n".join(f"{0.1 * i:.1f} {2.4 * (i - 15)} {1.3 * (i - 15)} {0.7 * (i - 15)} 0 0 0 1" for i in range(31))
    )
    config = dict(frames=31, fps=10.0)
    with pytest.raises(InputError, match=r"mm from the axis of an instrument: use --instruments 0, raise --distance"):
        made(options(file, **config, distance=50.0))
    made(options(file, **config, distance=50.0, instruments=0))


def test_both_eyes_of_a_pair_are_in_the_colon(tmp_path):
    require_open3d()
    file = write_path(tmp_path / "path.tum")
    path = made(options(file, anatomy="colon", view="stereo", baseline=20.0, breathing=0.0))
    assert "not 22, so that the path fits" in " ".join(path.notes)


def test_a_camera_that_looks_around_is_refused_before_a_sheet(tmp_path):
    require_open3d()
    around = write_path(tmp_path / "around.tum", rows=80, rate=10, swing=100.0)
    with pytest.raises(InputError, match=r"turns by up to \d+ degrees .* lower --field-of-view"):
        made(options(around, frames=70, fps=10.0, field_of_view=100.0))


def test_options_that_do_not_go_together(tmp_path):
    file = write_path(tmp_path / "path.tum")
    for changes, sentence in (
        (dict(camera="moving"), "--camera moving with --trajectory"),
        (dict(camera="still"), "--camera still with --trajectory"),
        (dict(trajectory=None, trajectory_scale=2.0), "--trajectory-scale without --trajectory"),
        (dict(anatomy="colon", instruments=1), "leave --instruments out"),
        (dict(anatomy="colon", peristalsis=2.0), "use --wave"),
        (dict(anatomy="colon", distance=60.0), "use --radius"),
        (dict(anatomy="colon", folds=8.0, radius=20.0), "raise --radius"),
        (dict(lens="fisheye", view="stereo"), "use --view mono"),
        (dict(field_of_view=120.0), "need --lens fisheye"),
    ):
        with pytest.raises(InputError, match=sentence):
            options(file, **changes).check()


def test_a_refused_trajectory_leaves_no_folder(tmp_path):
    file = tmp_path / "path.tum"
    file.write_text("")
    with pytest.raises(InputError, match="no poses"):
        write_phantom(options(file))
    assert [entry.name for entry in tmp_path.iterdir()] == ["path.tum"]
