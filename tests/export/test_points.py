"""Points: what is in each format, which points are left out, and what a scene knows of having seen them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plyfile import PlyData
from samples.player_scenes import sheet

from endogs.cli import main
from endogs.errors import InputError
from endogs.export.evidence import evidence, training_frames
from endogs.export.neighbours import inliers, surface_normals
from endogs.export.points import export_points
from endogs.export.selection import Selection
from endogs.open3d_library import import_open3d
from endogs.pictures.find_visibility import find_visibility
from endogs.scene.origin import Origin
from endogs.scene.scene_file import save_scene
from endogs.scene.visibility import Visibility


def known_sheet():
    """A sheet whose right half no training frame shows; frame 1 shows everything but is a test frame."""
    scene = sheet(frames=7)
    left = np.arange(scene.width) < scene.width // 2
    masks = [np.broadcast_to(left | (frame == 1), (scene.height, scene.width)) for frame in range(7)]
    scene.visibility = find_visibility(scene, lambda frame: masks[frame])
    scene.origin = Origin(training_frames=(0, 2, 3, 4, 5, 6))
    return scene


def columns(path):
    rows = PlyData.read(path)["vertex"].data
    return {name: np.array(rows[name]) for name in rows.dtype.names}


def test_points_say_which_training_frames_show_them(tmp_path):
    scene = known_sheet()
    (path,) = export_points(scene, [0.3], tmp_path / "a.ply", min_opacity=0.0)
    found = columns(path)
    projected = scene.world_to_camera[1] @ np.column_stack([scene.packed_at(0.3)[:, :3], np.ones(len(scene))]).T
    column = scene.K[1, 0, 0] * projected[0] / projected[2] + scene.K[1, 0, 2]
    on_left, on_right = (column > 6) & (column < 40), (column > 56) & (column < 90)
    assert found["seen"][on_left].mean() > 0.95
    assert found["seen"][on_right].sum() == 0
    assert found["visible_frames"].max() == 6
    assert found["confidence"].max() == 1
    np.testing.assert_array_equal(found["seen"] == 1, found["visible_frames"] > 0)
    np.testing.assert_array_equal(training_frames(scene), [0, 2, 3, 4, 5, 6])


def test_confidence_is_the_share_of_frames_without_an_instrument_in_front():
    scene = sheet(frames=7)
    scene.origin = Origin(training_frames=(0, 2, 3, 4, 5, 6))
    drawn = torch.tensor([[0b1111111], [0b0011101], [0b0000010]], dtype=torch.uint8)
    seen = torch.tensor([[0b0001111], [0b0011101], [0b0000010]], dtype=torch.uint8)
    found = evidence(replace(scene, visibility=Visibility(drawn, seen)))
    np.testing.assert_array_equal(found.frames, [3, 4, 0])
    np.testing.assert_allclose(found.confidence, [0.5, 1, 0])
    np.testing.assert_array_equal(found.seen, [True, True, False])


@pytest.mark.parametrize(
    ("selection", "test"),
    [
        (Selection(0.0, min_frames=4), lambda e: e.frames >= 4),
        (Selection(0.0, show="seen"), lambda e: e.seen),
        (Selection(0.0, show="filled-in"), lambda e: ~e.seen),
    ],
)
def test_points_are_selected_by_what_shows_them(selection, test, tmp_path):
    scene = known_sheet()
    (path,) = export_points(scene, "first", tmp_path / "a.npz", selection=selection)
    with np.load(path) as arrays:
        kept = np.flatnonzero(test(evidence(scene)))
        assert 50 < len(kept) < len(scene) - 50
        np.testing.assert_array_equal(arrays["gaussian"], kept)
        np.testing.assert_array_equal(arrays["positions"], scene.packed_at(0.0)[kept, :3])
        assert (str(arrays["units"]), float(arrays["time_seconds"])) == ("millimetres", 0.0)


def test_outliers_are_those_that_open3d_finds():
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.uniform(0, 10, (900, 3)) * [1, 1, 0.01], rng.uniform(20, 40, (12, 3))])
    kept = inliers(points, 2.0)
    assert not kept[900:].any()
    assert kept[:900].mean() > 0.99
    open3d = import_open3d()
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    theirs = np.zeros(len(points), bool)
    theirs[cloud.remove_statistical_outlier(21, 2.0)[1]] = True
    assert (theirs == kept).mean() > 0.995


def test_normals_are_those_of_the_surface_and_face_the_camera():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-20, 20, (2, 1500))
    points = np.stack([x, y, 60 + 0.5 * x - 0.2 * y], 1)
    normals = surface_normals(points, np.zeros(3))
    truth = np.array([0.5, -0.2, -1]) / np.linalg.norm([0.5, -0.2, -1])
    np.testing.assert_allclose(normals @ truth, 1, atol=1e-5)
    open3d = import_open3d()
    wavy = points + np.stack([0 * x, 0 * x, 3 * np.sin(x / 5)], 1)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(wavy))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(21))
    agreement = np.abs((surface_normals(wavy, np.zeros(3)) * np.asarray(cloud.normals)).sum(1))
    assert np.quantile(agreement, 0.01) > 0.999


def test_text_and_binary_ply_and_pcd_agree(tmp_path):
    scene = known_sheet()
    binary, text, pcd = (
        export_points(scene, [0.5], tmp_path / name, format)[0]
        for name, format in (("b.ply", "ply"), ("t.ply", "ply-ascii"), ("c.pcd", "pcd"))
    )
    assert text.read_bytes().startswith(b"ply\nformat ascii 1.0\ncomment endogs\ncomment units millimetres\n")
    one, other = columns(binary), columns(text)
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    open3d = import_open3d()
    cloud = open3d.t.io.read_point_cloud(str(pcd)).point
    np.testing.assert_array_equal(cloud.positions.numpy(), np.stack([one[n] for n in "xyz"], 1))
    np.testing.assert_array_equal(cloud.normals.numpy(), np.stack([one[n] for n in ("nx", "ny", "nz")], 1))
    np.testing.assert_array_equal(cloud.colors.numpy(), np.stack([one[n] for n in ("red", "green", "blue")], 1))
    np.testing.assert_array_equal(cloud["visible_frames"].numpy()[:, 0], one["visible_frames"])
    np.testing.assert_array_equal(cloud["confidence"].numpy()[:, 0], one["confidence"])
    assert b"# units millimetres\n" in pcd.read_bytes()[:300]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--min-opacity", "1"], "lower --min-opacity"),
        (["--min-frames", "99"], "the most is 6; lower --min-frames"),
        (["--min-frames", "2", "--show", "filled-in"], "contradict"),
        (["--outlier-deviations", "0"], "is out of range"),
        (["--min-frames", "-1"], "is out of range"),
        (["--time", "9"], "runs from 0 to 1.2 seconds"),
        (["--out", "x.stl"], "end the name in .ply or .pcd or .xyz or .npz"),
    ],
)
def test_what_leaves_nothing_or_makes_no_sense_is_a_sentence(options, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(known_sheet(), tmp_path / "scene.safetensors")
    assert main(["export", "points", ".", *options]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scene.safetensors"]


def test_a_scene_that_knows_nothing_still_exports_but_not_its_labels(tmp_path, capsys):
    scene = sheet()
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", "points", str(tmp_path)]) == 0
    assert "note: no confidence" in capsys.readouterr().err
    assert "confidence" not in columns(tmp_path / "points.ply")
    assert main(["export", "points", str(tmp_path), "--show", "seen", "--out", str(tmp_path / "b.ply")]) == 2
    assert "--show needs to know which frames show what" in capsys.readouterr().err
    assert not (tmp_path / "b.ply").exists()
    with pytest.raises(InputError, match="fit it again"):
        export_points(scene, "first", tmp_path / "c.ply", selection=Selection(show="seen"))


def test_nothing_seen_is_told(tmp_path):
    scene = sheet()
    nothing = torch.zeros(len(scene), 1, dtype=torch.uint8)
    scene.visibility = Visibility(nothing, nothing)
    with pytest.raises(InputError, match="No Gaussian at 0 s is seen"):
        export_points(scene, "first", tmp_path / "a.ply", selection=Selection(show="seen"))


def test_xyz_is_six_columns_and_nothing_else(tmp_path):
    """MeshLab reads 0 points from files with a heading or with other numbers of columns, without a word."""
    scene = sheet()
    (path,) = export_points(scene, "first", tmp_path / "a.xyz")
    lines = path.read_text().splitlines()
    assert len(lines) > 100
    assert {len(line.split()) for line in lines} == {6}
    assert not any(line.startswith("#") for line in lines)
