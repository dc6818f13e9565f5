"""Events of a phantom: they are seen in the frames that they name, the truth says which, and nothing else changes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.open3d_there import require_open3d

from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.phantom.config import Phantom
from endogs.phantom.path import camera_path
from endogs.phantom.spans import read_spans
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom

TINY = dict(frames=9, width=64, height=48, fps=4.0, tracks=80, camera="moving", noise=0.0)
EVENTS = dict(blackout=("1:3",), smoke=("4:6",), blur=("6:8",), jump=8)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """The same clip without and with events."""
    require_open3d()
    folder = tmp_path_factory.mktemp("events")
    quiet = write_phantom(Phantom(folder / "quiet", **TINY))
    return quiet, write_phantom(Phantom(folder / "eventful", **TINY, **EVENTS))


def image(folder: Path, frame: int) -> np.ndarray:
    return cv2.imread(str(folder / f"images/{frame:06d}.png")).astype(float)


def test_frames_are_changed_as_named_and_the_others_are_not(pair):
    quiet, eventful = pair
    for frame in (0, 3):
        np.testing.assert_array_equal(image(quiet, frame), image(eventful, frame))
    for frame in (1, 2):
        assert image(eventful, frame).max() == 0
    for frame in (4, 5):
        before, after = image(quiet, frame), image(eventful, frame)
        assert after.std() < 0.75 * before.std()
        assert np.ptp(after.reshape(-1, 3).mean(0)) < 0.8 * np.ptp(before.reshape(-1, 3).mean(0)), "smoke is grey"
    for frame in (6, 7):
        sharp, soft = (np.abs(cv2.Laplacian(image(folder, frame), cv2.CV_64F)).mean() for folder in pair)
        assert soft < 0.7 * sharp
        assert abs(image(eventful, frame).mean() - image(quiet, frame).mean()) < 6


def test_depth_and_poses_stay_true_and_a_blackout_shows_no_track(pair):
    quiet, eventful = pair
    for frame in range(8):
        file = f"depth/{frame:06d}.png"
        assert (quiet / file).read_bytes() == (eventful / file).read_bytes()
    truth = PhantomTruth.read(eventful)
    positions, visible = truth.tracks()
    still, seen = PhantomTruth.read(quiet).tracks()
    np.testing.assert_array_equal(positions, still)
    assert not visible[1:3].any()
    np.testing.assert_array_equal(visible[3:8], seen[3:8])
    assert not truth.seen_points(1).any()
    assert truth.seen_points(4).any()


def test_the_truth_says_what_happens_when(pair):
    quiet, eventful = pair
    assert not (quiet / "truth/events.json").exists()
    told = json.loads((eventful / "truth/events.json").read_text())
    assert (told["blackout"], told["smoke"], told["blur"]) == ([[1, 3]], [[4, 6]], [[6, 8]])
    names = {1: "blackout", 2: "blackout", 4: "smoke", 5: "smoke", 6: "blur", 7: "blur", 8: "jump"}
    assert told["affected_frames"] == {str(frame): [name] for frame, name in names.items()}
    truth = PhantomTruth.read(eventful)
    assert [truth.events(frame) for frame in range(9)] == [[names[i]] if i in names else [] for i in range(9)]
    options = json.loads((eventful / "truth/phantom.json").read_text())
    assert options["blackout"] == ["1:3"]
    assert options["jump"] == 8


def test_a_jump_takes_the_camera_along_its_path_and_says_how_far(pair):
    told = json.loads((pair[1] / "truth/events.json").read_text())["jump"]
    rows = np.loadtxt(pair[1] / "poses.tum")
    assert np.linalg.norm(rows[8, 1:4] - rows[7, 1:4]) == pytest.approx(told["mm"], abs=1e-6)
    assert told["mm"] >= 10 or told["degrees"] >= 15
    quiet = camera_path(Phantom(Path("unused"), **{**TINY, "frames": 200, "fps": 20.0}))
    later = invert_rigid(quiet.world_to_camera)[round((8 / 4 + told["skipped_seconds"]) * 20), :3, 3]
    np.testing.assert_allclose(rows[8, 1:4], later, atol=1e-6)


def test_a_trajectory_that_ends_leaves_nothing_to_jump_to(tmp_path):
    file = tmp_path / "path.tum"
    file.write_text("\n".join(f"{0.1 * i:.1f} 0 0 {0.8 * i} 0 0 0 1" for i in range(31)))
    path = camera_path(Phantom(tmp_path / "clip", trajectory=file, frames=11, fps=10.0, jump=5))
    assert path.jump is not None
    assert path.jump.millimetres == pytest.approx(10, abs=0.5)
    with pytest.raises(InputError, match=r"leaves nothing to skip; lower --frames"):
        camera_path(Phantom(tmp_path / "clip", trajectory=file, frames=31, fps=10.0, jump=5))
    file.write_text("\n".join(f"{0.1 * i:.1f} 0 0 {0.01 * i} 0 0 0 1" for i in range(31)))
    with pytest.raises(InputError, match="lower --frames so that more of the path is left"):
        camera_path(Phantom(tmp_path / "clip", trajectory=file, frames=20, fps=10.0, jump=5))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(blackout=("3",)), "--blackout 3: give two frames A:B"),
        (dict(smoke=("-1:3",)), "--smoke -1:3: give two frames A:B"),
        (dict(smoke=("a:b",)), "--smoke a:b: give two frames"),
        (dict(blur=("5:5",)), "--blur 5:5: holds no frame"),
        (dict(blackout=("7:12",)), "--blackout 7:12: ends beyond the clip of 9 frames"),
        (dict(blackout=("5:8", "1:6")), "--blackout: its spans overlap at frame 5"),
        (dict(jump=9), "--jump 9: the clip has 9 frames; give 1 to 8"),
        (dict(jump=3, camera="still"), "--jump with a still camera"),
        (dict(jump=1, frames=1), "--jump 1: the clip has one frame"),
    ],
)
def test_events_that_cannot_be_are_refused(options, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        Phantom(tmp_path, **{**TINY, **options}).check()


def test_spans_are_sorted():
    assert read_spans("--blur", ("5:8", "1:3"), 9) == [(1, 3), (5, 8)]
