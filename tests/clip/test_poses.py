import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import corner
from scipy.spatial.transform import Rotation

from endogs.clip import ClipOptions
from endogs.clip.cameras.pose_conventions import (
    CONVENTIONS,
    SHORT,
    with_pose_convention,
    with_pose_unit,
    world_to_camera,
)
from endogs.clip.checks import pose_check
from endogs.clip.checks.followed_points import LookingView, Pair, followed_pairs
from endogs.clip.checks.look import look_at
from endogs.clip.checks.pose_check import check_poses
from endogs.clip.checks.still_check import check_still
from endogs.clip.clip import Clip
from endogs.clip.config import PoseConvention
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.pipeline.config import Inspect
from endogs.pipeline.inspect import inspect

COUNT = 9


class Held:
    def __init__(self, frames):
        self.frames = frames

    def read(self, index):
        return self.frames[index]


def in_file(poses, convention):
    """The matrices that a file of `convention` holds for world_to_camera `poses`, written down one by one."""
    axes, variant = convention.split("-")[3], convention.split("-", 4)[4:]
    camera_to_world = invert_rigid(poses)
    right, down, forward, centre = (camera_to_world[:, :3, i] for i in range(4))
    if axes == "unity":  # y up everywhere, in the world too
        up = np.array([1, -1, 1])
        right, down, forward, centre = right * up, -down * up, forward * up, centre * up
    columns = {
        "opencv": (right, down, forward),
        "opengl": (right, -down, -forward),
        "llff": (down, right, -forward),
        "unity": (right, down, forward),
        "ros": (forward, -right, -down),
        "ned": (forward, right, down),
        "pytorch3d": (-right, -down, forward),
    }[axes]
    matrices = np.eye(4)[None].repeat(len(poses), 0)
    matrices[:, :3, :3], matrices[:, :3, 3] = np.stack(columns, -1), centre
    if convention.startswith("world-to-camera"):
        matrices = np.linalg.inv(matrices)
    if variant in (["transposed"], ["transposed-negated"]):
        matrices[:, :3, :3] = matrices[:, :3, :3].swapaxes(1, 2)
    if variant == ["transposed-negated"]:
        matrices[:, :3, 3] *= -1
    if variant == ["wxyz"]:  # written as w x y z, then read as x y z w
        written = np.roll(Rotation.from_matrix(matrices[:, :3, :3]).as_quat(), 1, axis=1)
        matrices[:, :3, :3] = Rotation.from_quat(written).as_matrix()
    return matrices


@pytest.fixture(scope="module")
def moving():
    """A camera that turns and moves in front of the corner, with exact depth."""
    poses = corner.world_to_camera(COUNT)
    views = [corner.see(pose) for pose in poses]
    return Recording(
        source=Path("made"),
        kind="made",
        width=corner.WIDTH,
        height=corner.HEIGHT,
        times=np.arange(COUNT) / 10,
        K=corner.K[None].repeat(COUNT, 0),
        world_to_camera=poses,
        images=Held([view.image for view in views]),
        depths=Held([view.depth.astype(np.float32) for view in views]),
    )


FOLLOWED = {}
"""Pairs by the frames that they were followed in, which do not depend on poses."""


def check(recording):
    clip = Clip(recording)
    view = LookingView(clip)
    if recording.images not in FOLLOWED:
        FOLLOWED[recording.images] = followed_pairs(view)
    return check_poses(clip, recording, view, FOLLOWED[recording.images])


def looked(recording, options=None):
    """The clip after the whole look."""
    clip = Clip(recording, options)
    look_at(clip, recording, options or ClipOptions())
    return clip


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("times", 2, np.inf, "made: its times are not all finite"),
        ("K", (1, 0, 2), np.nan, "made: its intrinsics are not all finite"),
        ("world_to_camera", (3, 1, 3), np.nan, "made: its poses are not all finite"),
        ("K", (4, 1, 1), 0, "made: a focal length is 0 but must be positive"),
        ("K", (0, 0, 0), -5, "made: a focal length is -5 but must be positive"),
    ],
)
def test_no_reader_can_make_a_clip_without_cameras(moving, name, at, value, message):
    values = getattr(moving, name).copy()
    values[at] = value
    with pytest.raises(InputError, match=message):
        Clip(replace(moving, **{name: values}))


def misread(recording, truth, read_as):
    matrices = in_file(recording.world_to_camera, truth)
    return replace(
        recording,
        world_to_camera=world_to_camera(matrices, read_as),
        file_poses=matrices,
        file_pose_convention=read_as,
        poses_are_quaternions=truth.endswith("wxyz"),
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_is_read_back_from_its_own_writing(convention):
    poses = corner.world_to_camera(3)
    np.testing.assert_allclose(world_to_camera(in_file(poses, convention), convention), poses, atol=1e-12)


def test_the_option_names_every_convention():
    assert set(PoseConvention.__args__) == {"auto", *SHORT, *CONVENTIONS}


def test_right_poses_pass(moving):
    found = check(moving)
    assert found.error < 0.5
    assert found.in_front > 0.97
    assert found.depth_ratio == pytest.approx(1, abs=0.05)
    assert found.best is None
    assert found.notes == []
    assert found.points > 200


@pytest.mark.parametrize(
    ("truth", "read_as"),
    [
        *((truth, "camera-to-world-opencv") for truth in CONVENTIONS),
        *((truth, "world-to-camera-opengl") for truth in CONVENTIONS[:4]),
    ],
)
def test_wrong_conventions_are_found_and_named(moving, truth, read_as):
    wrong = misread(moving, truth, read_as)
    found = check(wrong)
    if truth == read_as:
        assert found.notes == []
        return
    assert found.best == truth
    assert f"--pose-convention {truth} does it" in found.notes[0]
    assert found.error > 3 * found.best_error
    corrected = with_pose_convention(wrong, ClipOptions(pose_convention=truth))
    assert check(corrected).notes == []
    np.testing.assert_allclose(corrected.world_to_camera, moving.world_to_camera, atol=1e-9)


def test_depth_in_another_unit_than_the_poses_shows(moving):
    clip = looked(replace(moving, depth_unit=0.001))
    assert clip.pose_check.best is None
    assert clip.pose_check.depth_ratio == pytest.approx(1000, rel=0.05)
    said = re.search(r"times as far as the depth says; --depth-unit-mm (\S+) would bring", clip.contradictions[0])
    assert float(said[1]) == pytest.approx(1, rel=0.05)
    corrected = looked(replace(moving, depth_unit=float(said[1])), ClipOptions(depth_unit_mm=float(said[1])))
    assert corrected.notes == corrected.contradictions == []


@pytest.mark.parametrize(("unit", "factor"), [(1000.0, 0.001), (10.0, 0.1), (1.0, 1.0)])
def test_poses_in_metres_or_centimetres_are_told_from_depth_that_is_plausible(moving, unit, factor):
    poses = moving.world_to_camera.copy()
    poses[:, :3, 3] *= factor
    wrong = replace(moving, world_to_camera=poses, units="mm", pose_unit_mm=1.0)
    clip = looked(wrong)
    if factor == 1:
        assert clip.contradictions == clip.notes == []
        return
    assert f"--pose-unit-mm {unit:.0f} (" in clip.contradictions[0]
    options = ClipOptions(pose_unit_mm=unit)
    corrected = looked(with_pose_unit(wrong, options), options)
    assert corrected.notes == corrected.contradictions == []
    np.testing.assert_allclose(corrected.world_to_camera, moving.world_to_camera)


@pytest.mark.parametrize("late", [-3, 1, 2])
def test_rows_that_slipped_against_the_frames_are_found(moving, late):
    poses = corner.world_to_camera(COUNT + 6)
    shaken = poses.copy()  # an even motion would look the same one row later
    shaken[:, :3, 3] += 2.5 * np.random.default_rng(3).normal(size=(len(poses), 3))
    frames = Held([corner.see(pose).image for pose in shaken[3 : 3 + COUNT]])
    slipped = replace(moving, world_to_camera=shaken[3 - late : 3 - late + COUNT], images=frames, depths=None)
    clip = looked(slipped)
    way = "later" if late > 0 else "earlier"
    assert clip.pose_check.late == late
    assert f"the pose that is {abs(late)} frames {way}" in clip.contradictions[0]
    renumbered = looked(replace(slipped, world_to_camera=shaken[3 : 3 + COUNT]))
    assert renumbered.contradictions == renumbered.notes == []


def test_the_verdict_does_not_depend_on_the_size_of_the_fit(moving):
    wrong = misread(moving, "world-to-camera-opencv", "camera-to-world-opencv")
    whole = looked(wrong).pose_check
    small = looked(wrong, ClipOptions(max_size=40)).pose_check
    assert small.best == whole.best == "world-to-camera-opencv"
    assert small.error == pytest.approx(whole.error, rel=0.1)


def test_an_option_says_that_poses_are_meant_so(moving):
    wrong = misread(moving, "world-to-camera-opencv", "camera-to-world-opencv")
    refused = looked(wrong).contradictions[0]
    assert "--pose-convention world-to-camera-opencv does it" in refused
    assert "--pose-convention camera-to-world-opencv keeps them as they are" in refused
    insisted = looked(wrong, ClipOptions(pose_convention="camera-to-world-opencv"))
    assert insisted.contradictions == []
    assert "do not fit" in insisted.notes[0]


def test_quaternions_are_only_turned_round_where_there_are_some(moving):
    with pytest.raises(InputError, match="are matrices: leave out -wxyz"):
        with_pose_convention(moving, ClipOptions(pose_convention="camera-to-world-opencv-wxyz"))


def test_a_still_camera_that_moves_is_told(moving):
    pretended = replace(moving, world_to_camera=moving.world_to_camera[:1].repeat(COUNT, 0), depths=None)
    note = looked(pretended).notes[0]
    assert re.match(r"points move \d+ pixels within \d+ frames, nine of ten at least \d+, and all but \d", note)
    assert "by the clip's poses the camera stands still" in note
    assert "--camera track" in note
    assert not looked(replace(pretended, poses_are_given=False)).notes
    # Tissue that is pulled at one place, under a camera that does stand still.
    import cv2

    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float32)
    near = np.exp(-((x - 120) ** 2 + (y - 60) ** 2) / (2 * 30.0**2))
    pulled = [
        cv2.remap(moving.images.frames[0], x - 3.0 * i * near, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for i in range(COUNT)
    ]
    assert looked(replace(pretended, images=Held(pulled))).notes == []


def test_a_still_camera_that_goes_forward_is_told():
    """What it goes towards hardly moves; all else does, and as in a rigid world."""
    rng = np.random.default_rng(2)
    K = np.array([[250.0, 0, 160], [0, 250, 128], [0, 0, 1]])[None].repeat(2, 0)
    x, y = rng.uniform(-1, 1, (2, 300))
    depth = 25 + 20 * rng.random(300)

    def seen(points):
        return 250 * points[:, :2] / points[:, 2:] + [160, 128] + rng.normal(0, 0.15, (300, 2))

    points = np.stack([0.6 * x * depth, 0.5 * y * depth, depth], 1)
    here, forward = seen(points), seen(points - [0, 0, 4])
    check = check_still([Pair(0, 1, here, forward)], 320, K)
    assert check.as_rigid
    assert "all but 0." in check.notes[0]
    # Tissue that folds, as far on average: no camera moves it so.
    folded = points + 4 * np.stack([np.sin(y * 9), np.cos(x * 7), np.sin(x * 8 + y * 6)], 1)
    assert not check_still([Pair(0, 1, here, seen(folded))], 320, K).as_rigid


def test_poses_in_metres_without_depth_are_told_by_what_they_make_of_it(moving):
    alone = replace(moving, depths=None, right_images=None, units="mm", pose_unit_mm=1.0)
    assert not any("no endoscope sees" in note for note in looked(alone).notes)
    small = alone.world_to_camera.copy()
    small[:, :3, 3] /= 1000
    notes = looked(replace(alone, world_to_camera=small)).notes
    assert any("no endoscope sees" in note and "--pose-unit-mm 1000 (metres)" in note for note in notes)


def test_tissue_that_deforms_neither_hides_wrong_poses_nor_accuses_right_ones(moving):
    # A ripple of up to 1.5 pixels (5 in a frame of 640), different in every frame.
    import cv2

    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float32)
    frames = []
    for i, image in enumerate(moving.images.frames):
        dx, dy = 1.5 * np.sin(x / 30 + i), 1.5 * np.cos(y / 25 + 2 * i)
        frames.append(cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
    rippled = replace(moving, images=Held(frames), depths=None)
    right, wrong = check(rippled), check(misread(rippled, "world-to-camera-opencv", "camera-to-world-opencv"))
    assert 0.5 < right.error < 2
    assert right.notes == []
    assert wrong.best == "world-to-camera-opencv"


def test_poses_that_belong_to_other_frames_fit_by_no_convention(moving):
    shuffled = replace(moving, world_to_camera=moving.world_to_camera[[4, 0, 7, 2, 8, 1, 5, 3, 6]], depths=None)
    found = check(shuffled)
    assert found.best is None
    assert "in the closest other convention" in found.notes[0]


def test_a_camera_that_only_shifts_is_told_from_its_inverse_by_depths_sign(moving):
    # Both have the same epipolar lines; only one has the points in front.
    poses = np.eye(4)[None].repeat(COUNT, 0)
    poses[:, :3, 3] = np.arange(COUNT)[:, None] * np.array([1.1, -0.7, 0.9])
    frames = [corner.see(pose).image for pose in poses]
    shifting = replace(moving, world_to_camera=poses, images=Held(frames), depths=None)
    assert check(shifting).notes == []
    wrong = check(misread(shifting, "world-to-camera-opencv", "camera-to-world-opencv"))
    assert wrong.in_front < 0.1
    assert wrong.best == "world-to-camera-opencv"


def test_a_camera_that_only_turns_is_checked_too(moving):
    poses = moving.world_to_camera.copy()
    poses[:, :3, 3] = -poses[:, :3, :3] @ np.array([1.0, -2, 3])
    frames = [corner.see(pose).image for pose in poses]
    turning = replace(moving, world_to_camera=poses, images=Held(frames), depths=None)
    assert check(turning).error < 0.5
    assert check(misread(turning, "camera-to-world-opengl", "camera-to-world-opencv")).best is not None


def test_nothing_is_said_where_nothing_can_be_told(moving):
    still = replace(moving, images=Held([moving.images.frames[0]] * COUNT))
    assert check(still) is None, "images that do not move say nothing about poses"
    flat = replace(moving, images=Held([np.full((corner.HEIGHT, corner.WIDTH, 3), 90, np.uint8)] * COUNT))
    assert check(flat) is None
    standing = replace(moving, world_to_camera=moving.world_to_camera[:1].repeat(COUNT, 0))
    assert check(standing) is None
    same = with_pose_convention(standing, ClipOptions(pose_convention="world-to-camera-opencv"))
    assert "changes nothing" in same.notes[-1]


def test_loading_warns_and_inspect_reports(tmp_path, moving, capsys, monkeypatch):
    import json

    import cv2

    folder = tmp_path / "clip"
    (folder / "images").mkdir(parents=True)
    for i, image in enumerate(moving.images.frames):
        cv2.imwrite(str(folder / "images" / f"{i:03d}.png"), image[..., ::-1])
    numbers = {"fx": corner.K[0, 0], "fy": corner.K[1, 1], "cx": corner.K[0, 2], "cy": corner.K[1, 2], "fps": 10}
    (folder / "calibration.json").write_text(json.dumps(numbers))
    # A TUM trajectory places the camera in the world; this one holds the inverse.
    rows = [
        [i / 10, *pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        for i, pose in enumerate(moving.world_to_camera)
    ]
    np.savetxt(folder / "poses.tum", rows, fmt="%.9f")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    inspect(Inspect(folder))
    words = " ".join(capsys.readouterr().out.split())
    assert "--pose-convention world-to-camera-opencv does it" in words
    assert "pixels off" in words
    inspect(Inspect(folder, ClipOptions(pose_convention="world-to-camera-opencv")))
    words = " ".join(capsys.readouterr().out.split())
    assert "do not fit" not in words
    assert "0." in words.split("points are ")[1][:4]


@pytest.mark.parametrize(("best", "believed"), [(1.0, True), (1.3, True), (2.2, False)])
def test_a_reading_that_fits_badly_itself_must_be_far_better_than_the_files(moving, monkeypatch, best, believed):
    """Before tissue that breathes right poses are off too, and a wrong reading may by chance be off by half as much."""

    def error(K, poses, pairs):
        return 4.4 if np.allclose(poses, moving.world_to_camera) else best

    monkeypatch.setattr(pose_check, "median_error", error)
    monkeypatch.setattr(pose_check, "smallest_error", lambda K, pairs: 0.39)
    monkeypatch.setattr(pose_check, "_slip", lambda *about: (0, 4.4))
    clip = looked(replace(moving, depths=None))
    assert (clip.pose_check.best is not None) == believed
    assert bool(clip.contradictions) == believed
    assert "do not fit the images" in clip.notes[0]
