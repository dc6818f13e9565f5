"""Which part of a clip the focal search looks at."""

import numpy as np
import pytest
from samples.ball_clip import winding, write_ball_clip

from endogs.clip import load_clip
from endogs.tracking.telling_frames import telling_frames

MOST = 16
RESTS = range(14, 34)


@pytest.fixture(scope="module")
def poses():
    """A camera that rests in the middle of 48 frames, between moving before and after."""
    moves = winding(48 - len(RESTS))
    return moves[np.r_[: RESTS.start, [RESTS.start - 1] * len(RESTS), RESTS.start : len(moves)]]


def test_a_part_is_taken_in_which_the_camera_moves(tmp_path, poses):
    frames = telling_frames(load_clip(write_ball_clip(tmp_path / "clip", poses)), MOST)
    assert len(frames) == MOST
    assert len(set(frames) & set(RESTS)) < MOST / 2


def test_a_part_is_taken_that_is_lit(tmp_path):
    clip = load_clip(write_ball_clip(tmp_path / "clip", winding(48), RESTS))
    assert len(set(telling_frames(clip, MOST)) & set(RESTS)) < MOST / 2


def test_of_a_clip_that_tells_everywhere_the_middle_is_taken(tmp_path):
    clip = load_clip(write_ball_clip(tmp_path / "clip", winding(48)))
    assert telling_frames(clip, MOST) == list(range(16, 32))
    assert telling_frames(clip, MOST, held_out=[18, 20]) == [i for i in range(16, 32) if i not in (18, 20)]
    assert telling_frames(clip, 60) == list(range(48))
