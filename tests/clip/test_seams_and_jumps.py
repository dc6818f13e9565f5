"""Two pictures beside each other, and cameras that jump between neighbouring frames: told, with what helps."""

import re

import numpy as np
import pytest
from drawn_frames import save, series, tissue
from drawn_screens import compressed, moving_tissue

from endogs.clip import ClipOptions, load_clip
from endogs.clip.checks.pose_jumps import pose_jump_note, pose_jumps, poses_apart
from endogs.clip.checks.seams import seam_note


def beside(axis, seed=7, count=5):
    pairs = [(moving_tissue(i, 240, 200), moving_tissue(3 * i, 240, 200, seed)) for i in range(count)]
    return [np.concatenate(pair, axis) for pair in pairs]


@pytest.mark.parametrize("quality", [None, 50])
@pytest.mark.parametrize(("axis", "where"), [(1, "column 240"), (0, "row 200")])
def test_two_pictures_beside_each_other_are_told(axis, where, quality):
    frames = beside(axis)
    (note,) = seam_note(compressed(frames, quality) if quality else frames, None)
    assert where in note


def test_the_crop_that_is_named_leaves_no_seam(tmp_path):
    clip = load_clip(series(tmp_path, "{}.png", beside(1)))
    (note,) = (note for note in clip.notes if "seam" in note)
    box = re.search(r"--crop ([\d,]+)", note)
    assert box
    x0, y0, x1, y1 = (int(side) for side in box[1].split(","))
    cropped = load_clip(tmp_path, ClipOptions(crop=(x0, y0, x1, y1)))
    assert (cropped.width, cropped.height) == (240, 200)
    assert not any("seam" in note for note in cropped.notes)


def shaft(frames):
    """A straight upright instrument with sharp edges that stands still."""
    for frame in frames:
        frame[:150, 200:260] = (150, 155, 160)
    return frames


ONE = [moving_tissue(i, 480, 320) for i in range(5)]


@pytest.mark.parametrize(
    "frames", [ONE, shaft([frame.copy() for frame in ONE]), [ONE[0]] * 5], ids=["one", "shaft", "still"]
)
@pytest.mark.parametrize("quality", [None, 30])
def test_one_picture_has_no_seam(frames, quality):
    assert seam_note(compressed(frames, quality) if quality else frames, None) == []


def path(positions):
    poses = np.eye(4)[None].repeat(len(positions), 0)
    poses[:, 0, 3] = -np.asarray(positions)
    return poses


def test_a_pose_far_from_its_neighbours_and_a_lost_track_are_told():
    steady = 0.6 * np.arange(20.0)
    outlier, lost = steady.copy(), steady.copy()
    outlier[6] = 900
    lost[12:] += 400
    assert pose_jumps(path(steady)) == []
    assert pose_jumps(path(outlier)) == [6, 7]
    assert pose_jumps(path(lost)) == [12]
    (note,) = pose_jump_note(path(outlier))
    assert "that of frame 6 lies far from those of the frames before and after" in note
    (note,) = pose_jump_note(path(lost))
    assert "1 times between neighbouring frames (11 to 12)" in note


def test_a_single_pose_apart_is_told_also_where_it_is_near_or_only_turned():
    near, turned = path(0.6 * np.arange(20.0)), path(0.6 * np.arange(20.0))
    near[6, :3, 3] += 5
    turned[9, :3, :3] = turned[9, :3, :3] @ np.diag([-1.0, 1, -1])
    assert poses_apart(path(0.6 * np.arange(20.0))) == []
    assert poses_apart(near) == [6]
    assert poses_apart(turned) == [9]
    assert poses_apart(path(0.6 * (np.arange(20.0) >= 9))) == [], "it moved on, and stayed there"


@pytest.mark.parametrize("seed", range(5))
def test_cameras_that_rest_and_rush_do_not_jump(seed):
    generator = np.random.default_rng(seed)
    assert pose_jumps(path(np.cumsum(generator.lognormal(0, 1.2, 200)))) == []
    assert pose_jumps(path(np.repeat(np.arange(20.0), 5))) == []
    assert pose_jumps(path(np.zeros(20))) == []
    assert poses_apart(path(np.cumsum(generator.lognormal(0, 1.2, 200)))) == []


def test_links_that_lead_nowhere_are_counted(tmp_path):
    series(tmp_path, "{:04d}.png", [tissue(i) for i in range(4)])
    assert not any("lead nowhere" in note for note in load_clip(tmp_path, look=False).notes)
    (tmp_path / "0004.png").symlink_to(tmp_path / "absent.png")
    assert any("1 links to pictures lead nowhere" in note for note in load_clip(tmp_path, look=False).notes)


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_that_was_full_goes_on(tmp_path, first):
    numbers = [9997, 9998, 9999, first, first + 1]
    for i, number in enumerate(numbers):
        save(tmp_path / f"IMG_{number:04d}.png", tissue(3 * i))
    clip = load_clip(tmp_path, look=False)
    assert all((clip.image(i) == tissue(3 * i)).all() for i in range(5))
    assert any("IMG_9997.png is the first frame" in note for note in clip.notes)
    assert not any("jump" in note for note in clip.notes)
    (tmp_path / "IMG_9999.png").unlink()
    assert not any("first frame" in note for note in load_clip(tmp_path, look=False).notes)
