"""A camera that only turns: its directions are found from one eye, and what is no turn is none."""

import numpy as np
import pytest
from samples.ball_clip import winding, write_ball_clip
from samples.sliding_clip import write_sliding_clip
from scipy.spatial.transform import Rotation

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.geometry import rigid
from endogs.pipeline.camera_search import find_cameras
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.tracking.turning import Pair, averaged, turning_path

FRAMES, BLACK, HELD_OUT = 18, 10, 6


def turning_poses(count):
    times = 2 * np.arange(count)
    turns = np.stack([0.1 * np.sin(times / 9), 0.2 * np.sin(times / 6), 0.1 * np.sin(times / 11)], 1)
    return rigid(Rotation.from_rotvec(turns).as_matrix(), np.zeros((count, 3)))


TRUE = turning_poses(FRAMES)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = write_ball_clip(tmp_path_factory.mktemp("turning") / "clip", TRUE, (BLACK,))
    return load_clip(folder, ClipOptions())


def degrees_off(found, true):
    about = found[0, :3, :3].T @ true[0, :3, :3]
    errors = Rotation.from_matrix(found[:, :3, :3] @ about @ true[:, :3, :3].transpose(0, 2, 1))
    return np.degrees(errors.magnitude()).max()


def test_directions_are_found_and_the_place_is_held(clip):
    found = turning_path(clip, frozenset([HELD_OUT]))
    assert list(np.flatnonzero(~found.found)) == [BLACK]
    assert found.frames[BLACK].reason == "dark"
    assert sum(one.keyframe for one in found.frames) >= 2
    assert not found.frames[HELD_OUT].keyframe
    poses = found.world_to_camera[found.found]
    assert (poses[:, :3, 3] == 0).all()
    assert degrees_off(poses, TRUE[found.found]) < 0.15
    assert np.ptp(Rotation.from_matrix(poses[:, :3, :3]).as_rotvec(True), axis=0).max() > 10


def test_held_out_frames_change_nothing_for_the_others(clip):
    """Another picture in the place of a held-out frame leaves every other pose as it was, to the bit."""

    class Another:
        times, K = clip.times, clip.K

        def __len__(self):
            return len(clip)

        def frame(self, index):
            return clip.frame(HELD_OUT + 2 if index == HELD_OUT else index)

    one, other = (turning_path(some, frozenset([HELD_OUT])).world_to_camera for some in (clip, Another()))
    others = np.arange(FRAMES) != HELD_OUT
    np.testing.assert_array_equal(one[others], other[others])
    assert not np.allclose(one[HELD_OUT], other[HELD_OUT])


def test_auto_takes_the_directions_and_does_not_try_parallax(clip):
    found = find_cameras(clip, "auto")
    assert found.source == "tracked"
    assert found.clip.only_turns
    assert not found.clip.static_camera
    assert any("the camera only turns" in note for note in found.notes)
    assert any("shows no parallax" in note for note in found.notes)
    assert isinstance(choose_depth_prior("auto", found.clip), PhotometricDepth)
    assert not clip.only_turns, "a camera that stands still does not turn"
    assert not clip.with_cameras(winding(FRAMES)).only_turns


def test_what_is_no_turn_has_no_direction(tmp_path):
    moving = load_clip(write_ball_clip(tmp_path / "clip", winding(24)[::4]), ClipOptions())
    found = turning_path(moving)
    assert found.frames[0].keyframe
    assert {one.reason for one in found.frames[2:]} <= {"moves beyond a turn", "few points"}


def test_averaging_closes_loops_and_minds_no_wrong_pair():
    true = [one[:3, :3] for one in turning_poses(6)]
    random = np.random.default_rng(0)

    def pair(a, b, error):
        return Pair(a, b, Rotation.from_rotvec(error).as_matrix() @ true[b] @ true[a].T, 100.0)

    chain = [pair(k, k + 1, np.array([0.01, 0, 0])) for k in range(5)]
    start = [true[0]]
    for one in chain:
        start.append(one.rotation @ start[-1])
    others = [pair(a, b, random.normal(0, 1e-4, 3)) for a in range(6) for b in range(a + 2, 6)]
    found = averaged(start, [*chain, *others, pair(0, 3, np.array([0.0, 0.5, 0]))])
    error = max(np.linalg.norm(Rotation.from_matrix(f @ t.T).as_rotvec()) for f, t in zip(found, true, strict=True))
    assert error < 0.002
    assert np.linalg.norm(Rotation.from_matrix(start[-1] @ true[-1].T).as_rotvec()) > 0.03


def test_without_a_keyframe_there_is_nothing_to_average():
    assert averaged([], []) == []


def test_a_clip_without_a_keyframe_has_no_directions(tmp_path):
    """Pictures that are too small for corners are lost, and do not end the search with an error."""
    folder = write_sliding_clip(tmp_path / "clip", frames=4)
    assert not turning_path(load_clip(folder, ClipOptions())).found.any()
