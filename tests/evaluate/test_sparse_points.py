"""Depth at known points: one scale for a clip, the spread of single frames', and points that others hide."""

import json
import struct

import cv2
import numpy as np
import pytest
from samples.camera_paths import moved, write_tum
from samples.still_scene import FRAMES, HEIGHT, WIDTH, K, StillClip, Z, still_scene

from endogs.cli import main
from endogs.clip.cameras.colmap_model import read_points
from endogs.errors import InputError
from endogs.evaluate.metrics.point_visibility import visible_points
from endogs.evaluate.metrics.sparse_depth import sparse_depth_errors
from endogs.evaluate.ply_points import read_ply_points
from endogs.export.formats.ply import write_ply
from endogs.scene.scene_file import load_scene, save_scene

COLUMNS, ROWS = np.meshgrid(np.arange(4, WIDTH, 8) + 0.5, np.arange(4, HEIGHT, 8) + 0.5)
PIXELS = np.stack([COLUMNS.ravel(), ROWS.ravel()], 1)
POINTS = np.concatenate([(PIXELS - K[:2, 2]) / K[0, 0], np.ones((len(PIXELS), 1))], 1) * Z
"""On the plane that the still clip shows."""
FRAME, POINT = (grid.ravel() for grid in np.meshgrid(np.arange(FRAMES), np.arange(len(POINTS)), indexing="ij"))


def test_errors_are_those_computed_by_hand():
    true = np.tile(np.arange(1.0, 11.0), 2)
    depth = np.concatenate([true[:10] / 2, true[10:] / 2.5])
    found = sparse_depth_errors(depth, true, np.repeat([3, 5], 10))
    assert (found.sightings, found.frames) == (20, 2)
    assert found.scale == pytest.approx(2.25)
    assert found.abs_rel == pytest.approx((0.125 + 0.1) / 2)
    assert found.abs_rel_own_scales == pytest.approx(0, abs=1e-12)
    assert found.frame_scale_spread == pytest.approx(0.25 / 2.25)
    assert found.frame_scale_range == pytest.approx((2 / 2.25, 2.5 / 2.25))
    assert found.abs_rel_unscaled == pytest.approx((0.5 + 0.6) / 2)
    doubled = sparse_depth_errors(7 * depth, true, np.repeat([3, 5], 10))
    assert doubled.abs_rel == pytest.approx(found.abs_rel), "a scale changes nothing"
    few = sparse_depth_errors(depth[:5], true[:5], np.zeros(5, int))
    assert np.isnan(few.frame_scale_spread), "five points are no scale of a frame"
    with pytest.raises(ValueError, match="no sightings"):
        sparse_depth_errors(depth[:0], true[:0], np.zeros(0, int))


def wall(z, half, count):
    x, y = np.meshgrid(*[np.linspace(-half, half, count)] * 2)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], 1)


def test_a_point_behind_nearer_points_is_hidden():
    near, far = wall(10.0, 3, 20), wall(30.0, 6, 10)
    seen = visible_points(np.concatenate([near, far]))
    assert seen[:400].mean() > 0.95
    behind = np.abs(far[:, :2] / 3).max(1) < 2.5
    assert seen[400:][behind].mean() < 0.1
    assert visible_points(far).mean() > 0.95, "alone it is seen"
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    tube = np.array([[5 * np.cos(a), 5 * np.sin(a), z] for a in angles for z in np.linspace(2, 60, 30)])
    assert visible_points(tube).mean() > 0.95, "a tube is seen from within"
    assert visible_points(np.zeros((0, 3))).shape == (0,)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A clip of a plane in mm, and a scene of it that is right, beside a file of sightings."""
    monkeypatch.chdir(tmp_path)
    clip = StillClip()
    (tmp_path / "clip" / "images").mkdir(parents=True)
    for i in range(FRAMES):
        cv2.imwrite(str(tmp_path / "clip" / "images" / f"{i:03d}.png"), clip.picture[..., ::-1])
    numbers = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "fps": 10, "baseline_mm": 4}
    (tmp_path / "clip" / "calibration.json").write_text(json.dumps(numbers))
    still = np.tile(np.eye(4), (FRAMES, 1, 1))
    still[:, 0, 3] = 1e-3 * np.arange(FRAMES)
    write_tum(tmp_path / "clip" / "poses.tum", clip.times, still)
    options = {"pose_unit_mm": 1.0}
    save_scene(still_scene(clip, clip="clip", clip_options=options, masks="none"), tmp_path / "scene.safetensors")
    np.savez(tmp_path / "points.npz", points=POINTS.astype(np.float32), frame=FRAME, point=POINT)
    return tmp_path


def evaluate(*words):
    return main(["evaluate", "scene.safetensors", "--measures", "psnr", "--out", "n.json", *map(str, words)])


def measured():
    with open("n.json") as file:
        return json.load(file)["whole_clip"]["sparse_points"]


def test_a_scene_that_is_right_has_no_error_at_points(folder, capsys):
    assert evaluate("--sparse-points", "points.npz") == 0
    found = measured()
    assert (found["sightings"], found["frames"], found["visibility"]) == (len(FRAME), FRAMES, "listed")
    assert found["abs_rel"] < 2e-3
    assert found["scale"] == pytest.approx(1, abs=2e-3)
    assert found["median_abs_unscaled"] < 0.1
    said = capsys.readouterr().out
    assert "depth at known points: abs-rel" in said
    assert "in mm, unscaled" in said


def test_a_wrong_scale_is_free_but_told(folder, capsys):
    np.savez("points.npz", points=POINTS / 10, frame=FRAME, point=POINT)
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    poses[:, 0, 3] = 1e-4 * np.arange(FRAMES)
    write_tum("small.tum", np.arange(FRAMES) / 10, moved(poses))
    np.savez("points.npz", points=moved_points(POINTS / 10), frame=FRAME, point=POINT)
    assert evaluate("--sparse-points", "points.npz", "--trajectory", "small.tum") == 0
    found = measured()
    assert found["abs_rel"] < 2e-3
    assert found["scale"] == pytest.approx(0.1, rel=2e-3)
    assert found["abs_rel_unscaled"] == pytest.approx(9, rel=0.02)
    assert "the points seem to be in another unit" in capsys.readouterr().err


def moved_points(points):
    """Points in the world that `moved` puts poses into."""
    poses = np.tile(np.eye(4), (len(points), 1, 1))
    poses[:, :3, 3] = points
    return moved(poses)[:, :3, 3]


def test_points_without_lists_are_seen_where_nothing_hides_them(folder):
    x, y = np.meshgrid(np.arange(1, WIDTH, 2) + 0.5, np.arange(1, HEIGHT, 2) + 0.5)
    near = Z * np.stack([(x.ravel() - WIDTH / 2) / K[0, 0], (y.ravel() - HEIGHT / 2) / K[1, 1], np.ones(x.size)], 1)
    both = np.concatenate([near, 1.5 * near[np.hypot(*near[:, :2].T) < 8]]).astype(np.float32)
    write_ply(folder / "cloud.ply", dict(zip("xyz", both.T, strict=True)))
    assert evaluate("--sparse-points", "cloud.ply") == 0
    found = measured()
    assert found["visibility"] == "by other points"
    assert 0.95 * FRAMES * len(near) < found["sightings"] < 1.02 * FRAMES * len(near)
    assert found["abs_rel"] < 0.01, "what lies behind, a fifth as many points, does not count"
    write_ply(folder / "cloud.ply", dict(zip("xyz", POINTS.astype(np.float32).T, strict=True)), ascii=True)
    assert evaluate("--sparse-points", "cloud.ply") == 0
    assert measured()["abs_rel"] < 2e-3


def write_model(folder, binary, names):
    """A COLMAP model of the plane, in which every image sees every point but the first, which only the first sees."""
    folder.mkdir(parents=True)
    images = [(10 + i, name) for i, name in enumerate(names)]
    tracks = [[images[0][0]] if k == 0 else [number for number, _ in images] for k in range(len(POINTS))]
    shift = [-1e-3 * i for i in range(len(names))]
    if not binary:
        (folder / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 60 60 {WIDTH / 2} {HEIGHT / 2}\n")
        lines = [f"{n} 1 0 0 0 {x} 0 0 1 {name}\n\n" for (n, name), x in zip(images, shift, strict=True)]
        (folder / "images.txt").write_text("".join(lines))
        lines = [
            f"{k + 7} {' '.join(map(str, p))} 9 9 9 0.5 {' '.join(f'{n} 0' for n in track)}\n"
            for k, (p, track) in enumerate(zip(POINTS, tracks, strict=True))
        ]
        (folder / "points3D.txt").write_text("# a comment\n" + "".join(lines))
        return
    camera = struct.pack("<QIiQQ4d", 1, 1, 1, WIDTH, HEIGHT, 60, 60, WIDTH / 2, HEIGHT / 2)
    (folder / "cameras.bin").write_bytes(camera)
    data = struct.pack("<Q", len(images))
    for (n, name), x in zip(images, shift, strict=True):
        data += struct.pack("<I7dI", n, 1, 0, 0, 0, x, 0, 0, 1) + name.encode() + b"\0" + struct.pack("<Q", 0)
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(POINTS))
    for k, (p, track) in enumerate(zip(POINTS, tracks, strict=True)):
        data += struct.pack("<Q3d3BdQ", k + 7, *p, 9, 9, 9, 0.5, len(track))
        data += b"".join(struct.pack("<II", n, 0) for n in track)
    (folder / "points3D.bin").write_bytes(data)


@pytest.mark.parametrize("binary", [False, True])
def test_a_colmap_model_is_matched_by_the_names_of_images(folder, binary):
    names = [f"{i:03d}.png" for i in range(FRAMES)][::-1][:6][::-1]
    write_model(folder / "model" / "sparse" / "0", binary, names)
    assert evaluate("--sparse-points", "model") == 0
    found = measured()
    assert (found["frames"], found["sightings"]) == (6, 6 * (len(POINTS) - 1) + 1)
    assert found["abs_rel"] < 2e-3


def test_a_model_without_lists_is_seen_where_nothing_hides_it(folder, capsys):
    write_model(folder / "model", False, [f"{i:03d}.png" for i in range(FRAMES)])
    file = folder / "model" / "points3D.txt"
    lines = [" ".join(line.split()[:8]) for line in file.read_text().splitlines() if not line.startswith("#")]
    file.write_text("\n".join(lines) + "\n")
    assert evaluate("--sparse-points", "model") == 0
    assert "no point says which images see it" in capsys.readouterr().err
    assert (measured()["visibility"], measured()["frames"]) == ("by other points", FRAMES)


def test_points_need_poses_where_the_scenes_cameras_move(folder, capsys):
    (folder / "clip" / "poses.tum").unlink()
    scene = load_scene("scene.safetensors")
    scene.world_to_camera = scene.world_to_camera.copy()
    scene.world_to_camera[:, 0, 3] = np.arange(FRAMES)
    save_scene(scene, "scene.safetensors")
    assert evaluate("--sparse-points", "points.npz") == 2
    assert "give the poses that belong to them with --trajectory" in capsys.readouterr().err


def test_a_cut_or_strange_model_is_one_sentence(tmp_path):
    write_model(tmp_path / "m", True, ["a.png"])
    file = tmp_path / "m" / "points3D.bin"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated"):
        read_points(tmp_path / "m")
    file.write_bytes(struct.pack("<Q3d3BdQ", 1, 0, 0, 1, 9, 9, 9, 0.5, 2**60))
    with pytest.raises(InputError, match="truncated"):
        read_points(tmp_path / "m")
    file.unlink()
    with pytest.raises(InputError, match="no points3D"):
        read_points(tmp_path / "m")
    (tmp_path / "m" / "points3D.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match="not a point with its images"):
        read_points(tmp_path / "m")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"frame": FRAME, "point": POINT}, "needs an array points"),
        ({"points": POINTS[:0], "frame": FRAME, "point": POINT}, "holds no points"),
        ({"points": POINTS * np.nan, "frame": FRAME, "point": POINT}, "finite numbers"),
        ({"points": POINTS, "frame": FRAME}, "as many of both"),
        ({"points": POINTS, "frame": FRAME + 0.5, "point": POINT}, "whole numbers"),
        ({"points": POINTS, "frame": FRAME, "point": POINT + 1}, f"points 1 to {len(POINTS)} of {len(POINTS)}"),
        ({"points": POINTS, "frame": FRAME + 100, "point": POINT}, "none of its"),
        ({"points": -POINTS, "frame": FRAME, "point": POINT}, "not in the world of these poses"),
    ],
)
def test_bad_sightings_are_one_sentence(folder, capsys, arrays, sentence):
    np.savez("points.npz", **arrays)
    assert evaluate("--sparse-points", "points.npz") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert sentence in said[0]


def test_sightings_in_other_frames_are_counted(folder, capsys):
    np.savez("points.npz", points=POINTS, frame=FRAME + 5, point=POINT)
    assert evaluate("--sparse-points", "points.npz") == 0
    assert f"{len(FRAME) // 2} of {len(FRAME)} sightings are in frames that the clip has not" in capsys.readouterr().err
    assert measured()["frames"] == 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x y z\n", "not a PLY file"),
        (b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n0\n0\n", "without points"),
        (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\nproperty float y\n"
            b"property float z\nend_header\n1234",
            "cut off: 9 points need 108 bytes, 4 follow",
        ),
        (
            b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
            b"end_header\n0 0 1\n0 a 1\n",
            "does not hold 3 numbers",
        ),
        (
            b"ply\nformat ascii 1.0\nelement vertex 2\nproperty list uchar int x\nend_header\n0\n",
            "write plain numbers",
        ),
    ],
)
def test_a_bad_ply_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_ply_points(tmp_path / "a.ply")


def test_big_endian_points_are_read(tmp_path):
    kind = [("x", ">f8"), ("n", "u1"), ("y", ">f8"), ("z", ">f8")]
    rows = np.array([(1.5, 7, 2.5, 3.5), (4, 7, np.nan, 6)], kind)
    head = "ply\nformat binary_big_endian 1.0\ncomment made by hand\nelement vertex 2\nproperty double x\n"
    head += "property uchar n\nproperty double y\nproperty double z\nend_header\n"
    (tmp_path / "a.ply").write_bytes(head.encode() + rows.tobytes())
    np.testing.assert_array_equal(read_ply_points(tmp_path / "a.ply"), [[1.5, 2.5, 3.5]])


def test_bare_trajectory_means_the_clips_own_poses(folder, capsys):
    assert evaluate("--trajectory", "--trajectory-plot", "p.png", "--report", "r.html") == 0
    report = (folder / "r.html").read_text()
    assert "<h2>Cameras</h2>" in report
    assert "SE(3)-aligned" in report
    assert "the estimate never moves" in report
    said = capsys.readouterr()
    assert "clip: " in said.err
    assert "ATE of 10 poses" in said.out
    assert (folder / "p.png").stat().st_size > 5000
    (folder / "clip" / "poses.tum").unlink()
    assert evaluate("--trajectory") == 2
    assert "no path to compare with" in capsys.readouterr().err
    assert evaluate("--trajectory-plot", "p.png") == 2
    assert "give --trajectory too" in capsys.readouterr().err
