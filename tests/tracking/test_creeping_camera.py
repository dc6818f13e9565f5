"""A camera that moves on, however slowly, does not stand still; one before tissue that breathes does."""

import numpy as np
import pytest
from samples.ball_clip import write_ball_clip

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.tracking.camera_motion import SLOW, camera_motion


def motion_of(folder, offsets):
    """Of a camera shifted by `offsets` (F, 3) mm, at 2 frames a second."""
    poses = np.tile(np.eye(4), (len(offsets), 1, 1))
    poses[:, :3, 3] = offsets
    return camera_motion(load_clip(write_ball_clip(folder, poses), ClipOptions(fps=2.0)))


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
