"""Keyframes are aligned by their pictures: motions between them agree, poses come nearer to the truth."""

import numpy as np
import pytest
from samples.ball_clip import HEIGHT, WIDTH, K, shown, winding

from endogs.clip.frame_source import Frame
from endogs.geometry import corrected, invert_rigid
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import new_corners
from endogs.tracking.keyframe_alignment import align_keyframes, aligned_frames
from endogs.tracking.landmarks import Keyframe, Observations, SparseMap
from endogs.tracking.luma import look_at
from endogs.tracking.near_points import drawn_near_points
from endogs.tracking.pose_graph import Measured, agreed
from endogs.tracking.rigidity import log_odds
from endogs.tracking.trajectory import State, TrackedFrame

CONFIG = TrackingConfig()
POSES = winding(30)[:12:4]
OFF = np.array([0.0, 0.003, -0.004, 0.1, -0.2, 0.1])
"""Turn and shift, about a pixel, by which the middle keyframe is off."""


def shaken(poses, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([poses[0], *(corrected(pose, random.normal(0, 0.02, 6)) for pose in poses[1:])])


def measured(first, second, motion):
    return Measured(first, second, motion, np.full(6, 0.01))


def keyframes_off():
    """A map with keyframes, the middle one of which is off, and exact points."""
    world = SparseMap(log_odds(0.15))
    for k, pose in enumerate(POSES):
        image, depth = shown(pose)
        here = Frame(k, k / 8, image, np.ones((HEIGHT, WIDTH), bool), K, np.full((4, 4), np.nan))
        look = look_at(here, (WIDTH, HEIGHT), CONFIG)
        pixels = new_corners(look, np.zeros((0, 2)), CONFIG, 300)
        ids, nothing = world.add(len(pixels)), np.zeros(len(pixels))
        z = depth[pixels[:, 1].astype(int), pixels[:, 0].astype(int)]
        inside = np.c_[(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(z))] * z[:, None]
        world.positions[ids] = (inside - pose[:3, 3]) @ pose[:3, :3]
        start = corrected(pose, OFF) if k == 1 else pose
        world.keyframes.append(Keyframe(look, start, Observations(ids, pixels, nothing, nothing)))
    return world


def error(pose):
    return float(np.linalg.norm(invert_rigid(pose)[:3, 3] - invert_rigid(POSES[1])[:3, 3]))


def test_poses_agree_with_measured_motions_whatever_one_wrong_one_says():
    true = winding(12)
    pairs = [(i, j) for i in range(12) for j in range(i + 1, min(12, i + 4))]
    motions = [measured(i, j, true[j] @ invert_rigid(true[i])) for i, j in pairs]
    wrong = measured(2, 6, corrected(true[6] @ invert_rigid(true[2]), np.full(6, 0.3)))
    found = agreed(shaken(true), [*motions, wrong])
    np.testing.assert_allclose(found[0], true[0])
    np.testing.assert_allclose(found, true, atol=6e-3)


def test_a_keyframe_that_is_off_comes_back_and_a_frame_beside_it_follows():
    world = keyframes_off()
    start = world.keyframes[1].world_to_camera
    beside = TrackedFrame(1, 1 / 8, start, State.TRACKED, sub_map=0)
    (frame,) = aligned_frames([beside], {0: world}, CONFIG)
    assert error(world.keyframes[1].world_to_camera) < error(start) / 3
    np.testing.assert_allclose(frame.world_to_camera, world.keyframes[1].world_to_camera, atol=1e-9)


def test_without_neighbours_nothing_moves():
    world = keyframes_off()
    carried = align_keyframes(world, TrackingConfig(aligned=0))
    np.testing.assert_array_equal(carried, np.tile(np.eye(4), (3, 1, 1)))


@pytest.mark.parametrize("spoilt", ["deforming", "few", "on a line"])
def test_points_that_say_no_depth_draw_nothing(spoilt):
    world = keyframes_off()
    keyframe = world.keyframes[0]
    if spoilt == "deforming":
        world.log_odds[:] = log_odds(0.9)
    elif spoilt == "few":
        keyframe.seen = keyframe.seen.only(np.arange(len(keyframe.seen.ids)) < 10)
    else:
        keyframe.seen.pixels[:, 1] = 20.0
    assert drawn_near_points(keyframe, world) is None
