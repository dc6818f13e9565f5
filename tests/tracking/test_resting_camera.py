"""A camera that moves on slowly, or moves for a part of the clip, does not stand still; one before breathing does."""

import numpy as np
import pytest
from samples.ball_clip import write_ball_clip

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.tracking.camera_motion import SLOW, camera_motion


def motion_of(folder, offsets, fps=2.0):
    """Of a camera shifted by `offsets` (F, 3) mm."""
    poses = np.tile(np.eye(4), (len(offsets), 1, 1))
    poses[:, :3, 3] = offsets
    return camera_motion(load_clip(write_ball_clip(folder, poses), ClipOptions(fps=fps)))


@pytest.mark.parametrize("way", [(0.25, 0, 0), (0, 0, -0.25)], ids=["sideways", "ahead"])
def test_a_slow_camera_that_moves_on_may_move(tmp_path, way):
    moves = motion_of(tmp_path / "on", np.arange(64)[:, None] * np.array(way))
    assert moves.speed < SLOW
    assert moves.verdict == "unclear"


def test_slow_tissue_that_comes_back_is_still(tmp_path):
    back = np.sin(np.arange(64) / 8)[:, None] * np.array([2.0, 0, 0])
    found = motion_of(tmp_path / "back", back)
    assert 0.1 * SLOW < found.speed < SLOW
    assert found.verdict == "still"


def test_a_camera_that_moves_ahead_and_then_rests_may_move(tmp_path):
    ahead = np.minimum(np.arange(64), 24)[:, None] * np.array([0, 0, -1.2])
    found = motion_of(tmp_path / "ahead", ahead, 30.0)
    assert found.speed < SLOW
    assert found.verdict == "unclear"
    assert f"and fast at {found.fast} of them" in found.evidence
