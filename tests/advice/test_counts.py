"""What is dropped or not used is said with its number, and the number is true."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from advised import read, the_one
from clip.written_videos import numbered, write
from layouts.endoslam import write_unity
from layouts.hamlyn import write_hamlyn
from layouts.stereo_video import write_packed
from layouts.stereomis import write_stereomis
from layouts.tum_rgbd import write_tum
from samples.clip_samples import write_calibrated, write_depth, write_endonerf, write_images, write_masks
from samples.live_scene import stretching_scene

from endogs.cli import main
from endogs.scene.scene_file import save_scene


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.#])\d+(?:\.\d+)?", text)]


def with_right_views(folder: Path) -> Path:
    write_endonerf(folder, 3)
    write_images(folder / "images_right", 3)
    return folder


def plain_pair(folder: Path) -> Path:
    write_images(folder / "images", 4)
    write_images(folder / "images_right", 4)
    return folder


def hamlyn_without_extrinsics(folder: Path) -> Path:
    write_hamlyn(folder)
    (folder / "extrinsics.txt").unlink()
    return folder


def two_mask_folders(folder: Path) -> Path:
    write_endonerf(folder, 3)
    write_masks(folder / "gt_masks", 2)
    return folder


def two_depth_folders(folder: Path) -> Path:
    write_endonerf(folder, 3)
    write_depth(folder / "depth", 3)
    write_depth(folder / "gt_depth", 2)
    return folder


def other_depths(folder: Path) -> Path:
    path, _ = write_unity(folder)
    next(iter(sorted((path / "Pixelwise Depths").iterdir()))).unlink()
    return path


def tum(folder: Path) -> Path:
    write_tum(folder)
    return folder


def late_poses(folder: Path) -> Path:
    write_stereomis(folder / "s", start=2)
    return folder / "s"


def unity(folder: Path) -> Path:
    return write_unity(folder)[0]


def same_times(folder: Path) -> Path:
    stamps = [0, 40, 80, 80, 120, 160, 200, 240]
    return write(folder / "v.mkv", [numbered(i) for i in range(8)], stamps)


SAID = {
    "right views of EndoNeRF": (with_right_views, "right views are not used", {3}),
    "right views of frames": (plain_pair, "right views are not used", {4}),
    "right views of Hamlyn": (hamlyn_without_extrinsics, "right views are not used", {4}),
    "second folder of masks": (two_mask_folders, "gt_masks/ is not used", {2}),
    "second folder of depth": (two_depth_folders, "gt_depth/ is not used", {2}),
    "depth of other frames": (other_depths, "Pixelwise Depths/ is not used", {4, 5}),
    "images without a partner": (tum, "left out", {1, 5}),
    "frames without a pose": (unity, "no pose", {1, 5}),
    "frames before the poses": (late_poses, "no pose", {2, 6}),
    "frames with one time": (same_times, "no timestamp of their own", {1, 8}),
}


@pytest.mark.parametrize("name", SAID)
def test_a_note_that_drops_something_counts_it(name, tmp_path):
    make, about, expected = SAID[name]
    note = the_one(read(make(tmp_path)).notes, about)
    assert expected <= set(numbers(note)), note


def test_the_right_view_that_is_not_used_is_counted_in_frames(tmp_path):
    clip = read(write_packed(tmp_path / "p.mp4", "top-bottom"), "--stereo", "top-bottom")
    assert len(clip) in numbers(the_one(clip.notes, "is not used"))


def test_pixels_that_are_left_out_are_counted(tmp_path):
    """A round view in black: the share of the frame that is said is the share that is ignored."""
    inside = np.hypot(np.arange(96)[:, None] - 48, np.arange(128) - 64) < 45
    noise = np.random.default_rng(0).integers(90, 200, (96, 128, 3), np.uint8)
    for i in range(4):
        image = np.where(inside[..., None], np.roll(cv2.GaussianBlur(noise, (5, 5), 1), i, 1), 0)
        cv2.imwrite(str(tmp_path / f"{i}.png"), image.astype(np.uint8))
    clip = read(tmp_path)
    note = the_one(clip.notes, "is excluded")
    assert numbers(note)[0] == pytest.approx(100 * clip.ignored.mean(), abs=0.1)


@pytest.mark.parametrize("words", [("points",), ("splats", "--min-opacity", "0.5")])
def test_gaussians_that_an_export_leaves_out_are_counted(words, tmp_path, capsys):
    scene = stretching_scene(12, 15)
    scene.base[:40, 10] = -6.0
    save_scene(scene, tmp_path / "scene.safetensors")
    assert main(["export", words[0], str(tmp_path / "scene.safetensors"), *words[1:]]) == 0
    said = capsys.readouterr().err
    assert f"40 of {len(scene)} Gaussians are left out by --min-opacity" in said
    header = (tmp_path / f"{words[0]}.ply").read_bytes()[:400].decode("latin-1")
    assert f"element vertex {len(scene) - 40}\n" in header


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, capsys):
    save_scene(stretching_scene(12, 15), tmp_path / "scene.safetensors")
    main(["export", "splats", str(tmp_path / "scene.safetensors")])
    assert "left out" not in capsys.readouterr().err
    calibrated = read(write_calibrated(tmp_path / "whole"))
    assert not [note for note in calibrated.notes if "not used" in note or "left out" in note]
    shutil.rmtree(tmp_path / "whole")
