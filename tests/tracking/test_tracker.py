"""The tracker on small pictures of a textured wall: right poses, and none where there is nothing to see."""

import cv2
import numpy as np
import pytest
from samples.ball_clip import HEIGHT, WIDTH, K, shown, winding

from endogs.clip.frame_source import Frame
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.evaluate.tum_file import read_tum
from endogs.geometry import invert_rigid
from endogs.tracking.config import TrackingConfig
from endogs.tracking.tracker import Tracker
from endogs.tracking.trajectory import State, write_trajectory

POSES = winding(30)
SHOWN = [shown(pose) for pose in POSES]


def frame(k, image=None):
    picture = SHOWN[k][0] if image is None else image
    return Frame(k, k / 30, picture, np.ones((HEIGHT, WIDTH), bool), K, np.full((4, 4), np.nan))


def compared(frames, alignment):
    found = [one for one in frames if one.world_to_camera is not None]
    ours = invert_rigid(np.stack([one.world_to_camera for one in found]))
    return compare_paths(ours, invert_rigid(POSES[[one.frame for one in found]])).absolute[alignment]


@pytest.fixture(scope="module")
def with_depth():
    tracker = Tracker(units="mm")
    for k in range(len(POSES)):
        tracker.feed(frame(k), SHOWN[k][1])
    return tracker.finish()


def test_with_depth_every_pose_is_found_in_mm(with_depth):
    assert with_depth.units == "mm"
    assert with_depth.found.all()
    assert compared(with_depth.frames, "first_frame").percent_of_path < 1
    assert compared(with_depth.causal, "first_frame").percent_of_path < 2
    assert with_depth.landmarks is not None
    assert sum(one.keyframe for one in with_depth.frames) >= 2


def test_from_one_eye_the_first_frames_get_their_poses_afterwards():
    tracker = Tracker()
    for k in range(len(POSES)):
        tracker.feed(frame(k))
    found = tracker.finish()
    assert found.units == "relative"
    assert found.found.mean() > 0.9
    assert any(one.state is State.INITIAL for one in found.frames)
    assert all(one.world_to_camera is None for one in found.causal[:2])
    assert compared(found.frames, "sim3").percent_of_path < 1.5


def test_held_out_frames_change_nothing_for_the_others():
    found = []
    for held_out in (True, False):
        tracker, fed = Tracker(), [frame(k) for k in range(20) if held_out or k % 5 != 4]
        for one in fed:
            tracker.feed(one, maps=one.number % 5 != 4)
        for k, one in enumerate(fed):
            if one.number in (12, 13):  # as if they had been lost, so that they are followed backwards
                tracker._records[k] = None
        tracker.follow_back(lambda k, fed=fed: (fed[k], None, None))
        found.append({one.frame: one for one in tracker.finish().frames})
    for number, one in found[1].items():
        other = found[0][number]
        assert one.state is other.state
        assert (one.world_to_camera is None) == (other.world_to_camera is None)
        if one.world_to_camera is not None:
            assert np.array_equal(one.world_to_camera, other.world_to_camera)
    assert all(found[0][k].world_to_camera is not None for k in (12, 13, 14))
    assert not any(found[0][k].keyframe for k in (4, 9, 14, 19))


def test_dark_frames_are_lost_and_the_camera_is_found_again():
    tracker = Tracker(units="mm")
    for k in range(24):
        dark = 10 <= k < 16
        tracker.feed(frame(k, np.zeros((HEIGHT, WIDTH, 3), np.uint8) if dark else None), SHOWN[k][1])
    found = tracker.finish()
    for one in found.frames[10:16]:
        assert one.state is State.LOST
        assert one.reason == "dark"
        assert one.world_to_camera is None
    assert found.found[17:].all()
    assert compared(found.frames, "first_frame").percent_of_path < 2


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("kind", ["black", "white", "still", "noise"])
def test_no_pose_is_made_up(kind, count):
    tracker = Tracker()
    rng = np.random.default_rng(0)
    pictures = {
        "black": lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        "white": lambda: np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        "still": lambda: SHOWN[0][0],
        "noise": lambda: rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8),
    }
    for k in range(count):
        tracker.feed(frame(k, pictures[kind]()))
    found = tracker.finish()
    assert not found.found.any()
    assert all(one.reason for one in found.frames)


def test_a_written_path_is_read_again(with_depth, tmp_path):
    write_trajectory(with_depth, tmp_path)
    again = read_tum(tmp_path / "trajectory.tum")
    assert np.allclose(again.poses, invert_rigid(with_depth.world_to_camera), atol=1e-6)
    assert np.allclose(again.times, with_depth.times)
    assert (tmp_path / "trajectory.json").is_file()


def test_another_scene_is_another_map_and_the_first_goes_on_when_it_comes_back():
    tracker = Tracker(units="mm", config=TrackingConfig(new_map=2))
    for k in range(26):
        image, depth = shown(POSES[k], seed=1) if 8 <= k < 16 else SHOWN[k]
        tracker.feed(frame(k, image), depth)
    found = tracker.finish()
    assert found.found[:8].all()
    assert not found.found[8:16].any()
    assert found.found[20:].all()
    assert any(one.sub_map != found.sub_map and one.world_to_camera is not None for one in found.frames[8:16])
    assert any("maps" in note for note in found.notes)
    assert compared([found.frames[k] for k in np.flatnonzero(found.found)], "first_frame").percent_of_path < 2


@pytest.mark.parametrize("depth", [True, False], ids=["depth", "one eye"])
def test_maps_of_one_scene_become_one(monkeypatch, depth):
    monkeypatch.setattr(Tracker, "_known", lambda *_: None)
    tracker = Tracker(units="mm", config=TrackingConfig(new_map=2, parallax=0.02, start_parallax=0.005))
    for k in range(len(POSES)):
        dark = 11 <= k < 14
        tracker.feed(frame(k, np.zeros((HEIGHT, WIDTH, 3), np.uint8) if dark else None), SHOWN[k][1] if depth else None)
    found = tracker.finish()
    assert {one.sub_map for one in found.causal} == {0, 1}
    assert {one.sub_map for one in found.frames if one.world_to_camera is not None} == {0}
    assert compared(found.frames, "first_frame" if depth else "sim3").percent_of_path < 2


def test_lost_frames_are_followed_backwards():
    tracker = Tracker()
    fed = [frame(k) for k in range(20)]
    for k in range(20):
        tracker.feed(fed[k])
    start = next(one.frame for one in tracker.finish().causal if one.world_to_camera is not None)
    for k in range(start):
        tracker._records[k] = None
    tracker.follow_back(lambda k: (fed[k], None, None))
    found = tracker.finish()
    assert found.found.all()
    assert all(one.state is State.INITIAL for one in found.frames[:start])
    assert compared(found.frames, "sim3").percent_of_path < 2


def test_smoke_makes_no_keyframe_and_moves_no_pose():
    tracker = Tracker(units="mm")
    wisps = np.clip(180 + 25 * np.random.default_rng(3).normal(0, 1, (24, 32)), 120, 240).astype(np.float32)
    for k in range(24):
        image = SHOWN[k][0]
        if 10 <= k < 16:
            at = cv2.resize(wisps, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            smoke = np.roll(at, 9 * k, 1)[..., None]
            image = np.clip(0.15 * image + 0.85 * smoke, 0, 255).astype(np.uint8)
        tracker.feed(frame(k, image), SHOWN[k][1])
    found = tracker.finish()
    assert not any(one.keyframe for one in found.frames[10:16])
    assert found.found[18:].all()
    assert compared(found.frames, "first_frame").percent_of_path < 2
