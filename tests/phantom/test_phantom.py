"""The phantom as a clip folder: its files agree with each other, its options act, its errors are sentences."""

import dataclasses
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from endogs.errors import InputError
from endogs.geometry import unproject
from endogs.phantom import Phantom, run
from endogs.phantom.writer import write_phantom

TINY = dict(frames=3, width=64, height=48, fps=4.0, tracks=150)


def make(out: Path, **options) -> Path:
    return write_phantom(Phantom(out, **{**TINY, **options}))


def digest(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in without)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def picture(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def depth_mm(path: Path) -> np.ndarray:
    return picture(path).astype(np.float32) * 0.01


def read_tum(path: Path) -> list[np.ndarray]:
    """World-to-camera matrices, by the quaternion formula written out."""
    poses = []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        _, tx, ty, tz, x, y, z, w = map(float, line.split())
        camera_to_world = np.eye(4)
        camera_to_world[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        camera_to_world[:3, 3] = tx, ty, tz
        poses.append(np.linalg.inv(camera_to_world))
    return poses


def intrinsics(folder: Path) -> np.ndarray:
    c = json.loads((folder / "calibration.json").read_text())
    return np.array([[c["fx"], 0, c["cx"]], [0, c["fy"], c["cy"]], [0, 0, 1]])


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Everything at once: stereo, moving, two instruments."""
    out = tmp_path_factory.mktemp("phantom") / "clip"
    return make(
        out, camera="moving", view="stereo", instruments=2, noise=0.0, width=96, height=80, fps=2.0, tracks=1500
    )


def test_folder_holds_what_a_reader_expects(clip):
    names = [f"{i:06d}.png" for i in range(3)]
    for folder in ("images", "images_right", "masks", "depth", "truth/depth_without_instruments"):
        assert sorted(p.name for p in (clip / folder).iterdir()) == names, folder
        assert picture(clip / folder / names[0]).shape[:2] == (80, 96)
    assert picture(clip / "depth" / names[0]).dtype == np.uint16
    assert set(np.unique(picture(clip / "masks" / names[0]))) == {0, 255}
    calibration = json.loads((clip / "calibration.json").read_text())
    assert set(calibration) == {"fx", "fy", "cx", "cy", "baseline_mm", "fps", "depth_unit_mm"}
    assert calibration["cx"] == 48
    assert calibration["depth_unit_mm"] == 0.01
    assert not [p for p in clip.parent.iterdir() if p.name != "clip"], "temporary files were left"


def test_same_seed_gives_the_same_files_and_another_seed_does_not(tmp_path):
    first, again, other = (make(tmp_path / name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert digest(first) == digest(again)
    assert picture(first / "images/000000.png").tolist() != picture(other / "images/000000.png").tolist()


CHANGES = dict(
    frames=2, width=80, height=60, fps=7.0, camera="moving", view="stereo", instruments=2, seed=1, distance=90.0,
    field_of_view=75.0, pull=4.0, breathing=4.0, peristalsis=4.0, folds=1.0, wetness=0.0, vignetting=0.8,
    exposure=-1.0, noise=0.0, tracks=50, anatomy="colon", lens="fisheye", wave=1.0, auto_exposure=True,
    blackout=("1:2",), smoke=("1:2",), blur=("1:2",),
)  # fmt: skip
NEED_ANOTHER = {"baseline", "trajectory", "trajectory_scale", "radius", "wave_speed", "jump"}
"""Options that act together with others alone and have tests of their own."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, str]:
    return digest(make(tmp_path_factory.mktemp("plain") / "clip"), without=("phantom.json",))


def test_every_option_is_in_the_table_of_changes():
    assert set(CHANGES) == {f.name for f in dataclasses.fields(Phantom)} - {"out", *NEED_ANOTHER}


@pytest.mark.parametrize("option", CHANGES)
def test_every_option_acts(option, plain, tmp_path):
    changed = digest(make(tmp_path / "clip", **{option: CHANGES[option]}), without=("phantom.json",))
    assert changed != plain
    if option not in ("frames", "tracks"):
        pictures = {name for name in changed if name.startswith("images")}
        assert any(changed[name] != plain.get(name) for name in pictures), "the pictures do not show it"


def test_depth_with_and_without_instruments_differ_exactly_under_the_mask(clip):
    for i in range(3):
        mask = picture(clip / f"masks/{i:06d}.png") == 255
        seen = depth_mm(clip / f"depth/{i:06d}.png")
        tissue = depth_mm(clip / f"truth/depth_without_instruments/{i:06d}.png")
        assert mask.any()
        assert (tissue > 0).all(), "the tissue has a hole"
        np.testing.assert_array_equal(seen[~mask], tissue[~mask])
        assert (seen[mask] < tissue[mask]).all()
        assert seen.min() > 10
        assert tissue.max() < 200


def test_each_instrument_enters_from_a_border(clip):
    for i in range(3):
        count, labels = cv2.connectedComponents(picture(clip / f"masks/{i:06d}.png"))
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        sizes = np.bincount(labels.ravel())
        large = [label for label in range(1, count) if sizes[label] > 30]
        assert len(large) == 2
        assert all((border == label).any() for label in large)


def test_tracks_lie_on_the_depth_of_their_frame_and_avoid_the_instruments(clip):
    tracks = np.load(clip / "truth/tracks.npz")
    K, poses = intrinsics(clip), read_tum(clip / "poses.tum")
    assert tracks["positions"].shape == (3, 1500, 3)
    np.testing.assert_allclose(tracks["times"], [0, 0.5, 1.0])
    for i, pose in enumerate(poses):
        camera = tracks["positions"][i] @ pose[:3, :3].T + pose[:3, 3]
        pixel = camera @ K.T
        pixel = pixel[:, :2] / pixel[:, 2:]
        visible = tracks["visible"][i]
        inside = ((pixel >= 0) & (pixel < (96, 80))).all(1)
        assert 0.3 * len(visible) < visible.sum() < len(visible)
        assert not (visible & ~inside).any()
        column, row = np.floor(pixel[visible]).astype(int).T
        error = np.abs(depth_mm(clip / f"depth/{i:06d}.png")[row, column] - camera[visible, 2])
        # A pixel is 0.9 mm wide here, so a slanted surface differs within it.
        assert np.median(error) < 0.15
        assert np.percentile(error, 90) < 1.0
        masked = picture(clip / f"masks/{i:06d}.png")[row, column] == 255
        assert masked.mean() < 0.03
        hidden = inside & ~visible
        at = np.floor(pixel[hidden]).astype(int)
        nearer = depth_mm(clip / f"depth/{i:06d}.png")[at[:, 1], at[:, 0]] < camera[hidden, 2]
        assert nearer.mean() > 0.75


def test_poses_place_a_rigid_scene_at_the_same_place_in_every_frame(tmp_path):
    still = dict(pull=0.0, breathing=0.0, peristalsis=0.0, instruments=0)
    folder = make(tmp_path / "clip", camera="moving", fps=1.0, **still)
    K, poses = intrinsics(folder), read_tum(folder / "poses.tum")
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-9)
    assert np.abs(poses[2][:3, 3]).max() > 3
    tracks = np.load(folder / "truth/tracks.npz")["positions"]
    np.testing.assert_array_equal(tracks[0], tracks[2])
    first = unproject(depth_mm(folder / "depth/000000.png"), K, poses[0])
    later = depth_mm(folder / "depth/000002.png")

    def disagreement(pose):
        camera = first.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
        pixel = camera @ K.T
        column, row = np.floor(pixel[:, :2] / pixel[:, 2:]).astype(int).T
        inside = (column >= 0) & (column < 64) & (row >= 0) & (row < 48)
        assert inside.mean() > 0.4
        return np.median(np.abs(later[row[inside], column[inside]] - camera[inside, 2]))

    assert disagreement(poses[2]) < 0.3
    assert disagreement(np.linalg.inv(poses[2])) > 2 * disagreement(poses[2]), "the test cannot tell the direction"


def test_right_view_agrees_with_depth_and_baseline(clip):
    calibration = json.loads((clip / "calibration.json").read_text())
    left, right = (picture(clip / f"{name}/000000.png").astype(np.float32) for name in ("images", "images_right"))
    disparity = calibration["fx"] * calibration["baseline_mm"] / depth_mm(clip / "depth/000000.png")
    column, row = np.meshgrid(np.arange(96, dtype=np.float32), np.arange(80, dtype=np.float32))

    def difference(shift):
        warped = cv2.remap(right, column - shift, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.median(np.abs(warped - left)[:, 20:-20])

    assert difference(disparity) < 0.5 * min(difference(0 * disparity), difference(-disparity))


def test_baseline_acts(tmp_path):
    narrow, wide = (make(tmp_path / f"{b}", view="stereo", baseline=b, frames=1) for b in (2.0, 8.0))
    assert digest(narrow)["images_right/000000.png"] != digest(wide)["images_right/000000.png"]
    assert json.loads((wide / "calibration.json").read_text())["baseline_mm"] == 8.0


def test_a_still_clip_has_identity_poses_and_moving_tissue(tmp_path):
    folder = make(tmp_path / "clip")
    for pose in read_tum(folder / "poses.tum"):
        np.testing.assert_allclose(pose, np.eye(4), atol=1e-9)
    positions = np.load(folder / "truth/tracks.npz")["positions"]
    moved = np.linalg.norm(positions[2] - positions[0], axis=-1)
    assert 2 < moved.max() < 20


def test_lamp_follows_the_camera(clip):
    light = json.loads((clip / "truth/light.json").read_text())
    for pose, position in zip(read_tum(clip / "poses.tum"), light["position_world_mm"], strict=True):
        np.testing.assert_allclose(pose[:3, :3] @ position + pose[:3, 3], [2.2, 0, 0], atol=1e-5)


def test_run_writes_the_folder_and_names_it(tmp_path, capsys):
    folder = run(Phantom(tmp_path / "clip", **{**TINY, "frames": 1}))
    assert folder == tmp_path / "clip"
    assert str(folder) in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("option", ["frames", "width", "fps", "instruments", "distance", "noise", "vignetting"])
def test_out_of_range_options_are_named(option, tmp_path):
    with pytest.raises(InputError, match="--" + option):
        make(tmp_path / "clip", **{option: -1})
    with pytest.raises(InputError, match="--noise nan"):
        make(tmp_path / "clip", noise=float("nan"))
    assert not list(tmp_path.iterdir())


def test_options_that_do_not_go_together_are_named(tmp_path):
    with pytest.raises(InputError, match="raise --distance"):
        make(tmp_path / "clip", distance=40.0, pull=20.0, breathing=8.0)
    with pytest.raises(InputError, match="lower the height or the field of view"):
        make(tmp_path / "clip", height=256, field_of_view=90.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        dict(field_of_view=100.0, distance=40.0),
        dict(width=24, height=56, field_of_view=60.0, folds=8.0, breathing=8.0),
        dict(distance=45.0, pull=14.0, seed=1),
    ],
)
def test_no_ray_misses_the_tissue_at_extremes(options, tmp_path):
    extreme = dict(camera="moving", instruments=2, width=32, height=24, frames=5, fps=0.7)
    folder = make(tmp_path / "clip", **{**extreme, **options})
    for file in (folder / "truth/depth_without_instruments").iterdir():
        assert 2 < depth_mm(file).min() < depth_mm(file).max() < 250


def test_an_existing_folder_is_never_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/precious.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(InputError, match="not empty"):
            make(tmp_path / name)
    assert (tmp_path / "full/precious.txt").read_text() == "mine"
    with pytest.raises(InputError, match="cannot be written"):
        make(tmp_path / "file" / "clip")
    (tmp_path / "empty").mkdir()
    assert (make(tmp_path / "empty", frames=1) / "calibration.json").exists()


def test_an_interrupted_run_leaves_nothing(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(Phantom(tmp_path / "clip", **TINY), interrupt)
    assert not list(tmp_path.iterdir())
