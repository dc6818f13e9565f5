"""Observations made smaller show the same tissue in the same motion."""

import numpy as np
import pytest

from endogs.clip.frame_source import Frame
from endogs.priors.motion.flow import ClipFlows
from endogs.seeding.carried_motion import dense_motion
from endogs.seeding.coarse_frames import CoarseFrames
from endogs.seeding.observations import Observations

MOVE = 6


def observed(height: int, width: int) -> Observations:
    """Two frames of a soft pattern that moves MOVE pixels to the right."""
    y, x = np.mgrid[:height, :width]

    def image(k: int) -> np.ndarray:
        value = 120 + 50 * np.sin((x - MOVE * k) / 11) * np.sin(y / 9) + 20 * np.sin((x - MOVE * k) / 5 + y / 7)
        return np.repeat(value.astype(np.uint8)[..., None], 3, 2)

    frames = [Frame(k, k / 10, image(k), np.ones((height, width), bool), np.eye(3), np.eye(4)) for k in range(2)]
    flows = ClipFlows(lambda k: frames[k].image, finest_scale=0)
    return Observations(frames, flows, lambda k: np.full((height, width), 100, np.float32), False)


@pytest.mark.parametrize(("height", "width", "pitch", "size"), [(255, 675, 2, (128, 338)), (200, 820, 3, (67, 274))])
def test_motion_counts_in_the_small_pixels(height, width, pitch, size):
    observations = observed(height, width)
    small = CoarseFrames(observations)
    assert (small.pitch, small.size, len(small)) == (pitch, size, 2)
    assert small.images[1].shape == (*size, 3)
    move = dense_motion(small.carried(0, 1), small.size)
    assert move.shape == (*size, 2)
    inside = move[10:-10, 20:-20]
    assert np.abs(np.median(inside, (0, 1)) - (MOVE / pitch, 0)).max() < 0.1
    whole = dense_motion(observations.carried(0, 1), observations.size)
    assert np.abs(whole[::pitch, ::pitch] / pitch - move).max() < 0.5, "at the same places"


def test_masks_are_kept_by_half_or_as_a_whole():
    small = CoarseFrames(observed(60, 520))
    mask = np.zeros((60, 520), bool)
    mask[:, :101] = True
    assert small.coarse(mask).sum(1).tolist() == [51] * 30
    assert small.coarse(mask, least=1).sum(1).tolist() == [50] * 30


def test_small_clips_stay_as_they_are():
    observations = observed(60, 400)
    small = CoarseFrames(observations)
    assert small.pitch == 1
    assert small.images is observations.images
    assert small.coarse(observations.masks[0]) is observations.masks[0]
    assert (small.carried(0, 1) == observations.carried(0, 1)).all()
