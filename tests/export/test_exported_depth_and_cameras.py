"""Depth maps and cameras mean the same to other programs: OpenCV, OpenEXR, pycolmap, and plain arithmetic."""

import json
import sys

import cv2
import numpy as np
import pytest
from samples.player_scenes import sheet
from scipy.spatial.transform import Rotation

from endogs.cli import main
from endogs.clip.files.exr_files import read_exr
from endogs.errors import InputError
from endogs.evaluate.tum_file import read_tum
from endogs.export.cameras import export_cameras
from endogs.export.depth_maps import export_depth
from endogs.export.formats.exr_writer import write_exr
from endogs.geometry import invert_rigid
from endogs.pictures.scene_frames import depth_picture
from endogs.scene.origin import Origin
from endogs.scene.scene_file import save_scene

OpenEXR = pytest.importorskip("OpenEXR")


def test_depth_maps_hold_the_rendered_depth_in_stated_units(tmp_path):
    scene = sheet(moving_camera=True)
    for format in ("png", "exr", "npy"):
        files = export_depth(scene, [0.2, 0.7], tmp_path / format, format)
        assert [file.name for file in files] == [f"000000.{format}", f"000001.{format}"]
        about = json.loads((tmp_path / format / "depth.json").read_text())
        assert about["units"] == "millimetres"
        for file, time, frame in zip(files, (0.2, 0.7), about["frames"], strict=True):
            truth = depth_picture(scene, time)
            if format == "png":
                stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
                assert stored.dtype == np.uint16
                np.testing.assert_allclose(stored * about["units_per_level"], truth, atol=0.0051)
            else:
                np.testing.assert_array_equal(np.load(file) if format == "npy" else read_exr(file), truth)
            assert frame["time_seconds"] == time
            near = scene.nearest_frame(time)
            np.testing.assert_allclose(frame["world_to_camera"], scene.world_to_camera[near], atol=1e-6)


def test_an_exr_says_its_units(tmp_path):
    depth = np.random.default_rng(0).random((37, 21), np.float32)
    write_exr(tmp_path / "a.exr", depth, "millimetres")
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        np.testing.assert_array_equal(file.channels()["Z"].pixels, depth)
        assert file.header()["units"] == "millimetres"


def test_without_openexr_an_export_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r"needs OpenEXR .*pip install 'endogs\[exr\]'"):
        export_depth(sheet(), "first", tmp_path / "d", "exr")
    assert list(tmp_path.iterdir()) == []


def test_deep_scenes_get_coarser_levels(tmp_path):
    scene = sheet(units="relative")
    scene.base[:, :3] *= 20
    scene.base[:, 7:10] += np.log(20)
    (file,) = export_depth(scene, "first", tmp_path / "d")
    about = json.loads((tmp_path / "d" / "depth.json").read_text())
    assert about["units_per_level"] == 0.1
    assert about["units"].startswith("relative")
    truth = depth_picture(scene, 0.0)
    assert truth.max() > 655
    np.testing.assert_allclose(cv2.imread(str(file), cv2.IMREAD_UNCHANGED) * 0.1, truth, atol=0.06)


def test_scaled_maps_have_scaled_cameras(tmp_path):
    scene = sheet()
    (file,) = export_depth(scene, "first", tmp_path / "d", "npy", 0.5)
    about = json.loads((tmp_path / "d" / "depth.json").read_text())
    assert np.load(file).shape == (about["height"], about["width"]) == (scene.height // 2, scene.width // 2)
    np.testing.assert_allclose(np.array(about["frames"][0]["K"])[:2] * 2, scene.K[0, :2])


def test_tum_holds_world_from_camera(tmp_path):
    scene = sheet(moving_camera=True)
    export_cameras(scene, tmp_path / "c.tum")
    rows = np.loadtxt(tmp_path / "c.tum")
    np.testing.assert_allclose(rows[:, 0], scene.times, atol=1e-9)
    truth = invert_rigid(scene.world_to_camera)
    np.testing.assert_allclose(rows[:, 1:4], truth[:, :3, 3], atol=1e-8)
    np.testing.assert_allclose(Rotation.from_quat(rows[:, 4:]).as_matrix(), truth[:, :3, :3], atol=1e-8)
    assert "millimetres" in (tmp_path / "c.tum").read_text().splitlines()[0]
    scene.origin = Origin(time_offset=2.5)
    export_cameras(scene, tmp_path / "late.tum")
    np.testing.assert_allclose(np.loadtxt(tmp_path / "late.tum"), rows)
    back = read_tum(tmp_path / "late.tum")
    np.testing.assert_allclose(back.times, scene.times + 2.5, atol=1e-8)  # evaluate counts from the input's first frame
    np.testing.assert_allclose(back.poses, truth, atol=1e-8)


def test_frames_without_a_pose_have_no_camera(tmp_path, capsys):
    scene = sheet(moving_camera=True)
    scene.origin = Origin(cameras="tracked", unplaced_frames=(0, 2))
    save_scene(scene, tmp_path / "scene.safetensors")
    known = [i for i in range(len(scene.times)) if i not in (0, 2)]
    for format, name in (("tum", "c.tum"), ("colmap", "model"), ("nerfstudio", "t.json")):
        words = ["export", "cameras", str(tmp_path / "scene.safetensors"), "--out", str(tmp_path / name)]
        assert main([*words, "--format", format]) == 0
        assert f"2 of {len(scene.times)} frames have no camera" in capsys.readouterr().err
    text = (tmp_path / "c.tum").read_text()
    assert f"# lost {scene.times[2]:.9f}" in text
    np.testing.assert_allclose(read_tum(tmp_path / "c.tum").times, scene.times[known], atol=1e-8)
    lines = (tmp_path / "model" / "images.txt").read_text().splitlines()
    assert [line.split()[-1] for line in lines[2:] if line] == [f"{i:06d}.png" for i in known]
    frames = json.loads((tmp_path / "t.json").read_text())["frames"]
    assert [frame["file_path"] for frame in frames] == [f"images/{i:06d}.png" for i in known]


@pytest.mark.parametrize("zoom", [False, True])
def test_pycolmap_projects_as_we_do(zoom, tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    scene = sheet(moving_camera=True)
    if zoom:
        scene.K[3:, 0, 0] += 10
    export_cameras(scene, tmp_path / "model", "colmap", 200)
    model = pycolmap.Reconstruction(str(tmp_path / "model"))
    assert len(model.images) == len(scene.times)
    assert len(model.cameras) == (2 if zoom else 1)
    assert len(model.points3D) == 200
    point = np.array([4.0, -7, 58])
    for image in model.images.values():
        frame = int(image.name.removesuffix(".png"))
        seen = scene.world_to_camera[frame] @ [*point, 1]
        ours = (scene.K[frame] @ (seen[:3] / seen[2]))[:2]
        np.testing.assert_allclose(image.project_point(point), ours, atol=1e-6)
    positions = np.stack([model.points3D[i].xyz for i in sorted(model.points3D)])
    assert np.abs(positions[:, None] - scene.packed_at(0.0)[None, :, :3].numpy()).sum(2).min(1).max() < 1e-4
    assert "millimetres" in (tmp_path / "model" / "images.txt").read_text().splitlines()[0]


@pytest.mark.parametrize("zoom", [False, True])
def test_nerfstudio_frames_are_opengl_cameras(zoom, tmp_path):
    scene = sheet(moving_camera=True)
    if zoom:
        scene.K[3:, 0, 0] += 10
    export_cameras(scene, tmp_path / "transforms.json", "nerfstudio")
    content = json.loads((tmp_path / "transforms.json").read_text())
    assert content["units"] == "millimetres"
    point = np.array([4.0, -7, 58, 1])
    for frame, entry in enumerate(content["frames"]):
        right, up, backward, _ = np.linalg.inv(entry["transform_matrix"]) @ point
        lens = content | entry
        x, y = lens["fl_x"] * right / -backward + lens["cx"], -lens["fl_y"] * up / -backward + lens["cy"]
        seen = scene.K[frame] @ (scene.world_to_camera[frame] @ point)[:3]
        np.testing.assert_allclose([x, y], seen[:2] / seen[2], atol=1e-9)
    assert (content["w"], content["h"], content["frames"][2]["file_path"]) == (96, 72, "images/000002.png")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["depth", "--out", "a.png"], "go into a folder"),
        (["depth", "--scale", "0"], "above 0"),
        (["depth", "--time", "5"], "runs from 0"),
        (["cameras", "--out", "a.json"], "a name in .tum"),
        (["cameras", "--format", "colmap", "--out", "a.txt"], "without an ending"),
        (["cameras", "--format", "colmap", "--max-points", "-1"], "--max-points -1 is out of range"),
        (["cameras", "--max-points", "5"], "--max-points is not used by --format tum"),
    ],
)
def test_bad_requests_are_sentences(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_scene(sheet(), tmp_path / "scene.safetensors")
    assert main(["export", arguments[0], ".", *arguments[1:]]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.safetensors"]


def test_an_old_folder_is_not_written_into(tmp_path):
    export_depth(sheet(), "first", tmp_path / "d")
    with pytest.raises(InputError, match="not empty"):
        export_depth(sheet(), "first", tmp_path / "d")
