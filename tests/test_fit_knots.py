"""Where knots are laid."""

from types import SimpleNamespace

import numpy as np
import pytest

from endogs.fit.knots import clip_knots


def observed(speeds, times, masks=None):
    """Training frames at `times`; from each to the next the whole image moves by `speeds` pixels per second."""
    flows = [np.full((8, 10, 2), (v * (b - a), 0.0)) for v, a, b in zip(speeds, times, times[1:], strict=False)]

    class Frames:
        def __init__(self):
            self.times = np.asarray(times)
            self.masks = masks or [np.ones((8, 10), bool)] * len(times)

        def flow(self, here, there):
            assert there == here + 1
            return flows[here]

    return Frames()


class Clip(SimpleNamespace):
    def __len__(self):
        return len(self.times)


def clip(count, fps=10.0):
    return Clip(times=np.arange(count) / fps, width=640)


def test_moving_tissue_gets_the_knots_that_were_asked_for():
    knots = clip_knots(clip(41), observed([30.0] * 40, np.arange(41) / 10), 2.0)
    np.testing.assert_allclose(np.diff(knots.breakpoints), 0.2)
    assert (knots.breakpoints[0], knots.breakpoints[-1]) == (0.0, 4.0)


def test_resting_tissue_gets_a_quarter_of_them_and_the_spacing_changes_gently():
    speeds = [0.0] * 40 + [50.0] * 40
    knots = clip_knots(clip(81), observed(speeds, np.arange(81) / 10), 2.0)
    lengths = np.diff(knots.breakpoints)
    assert lengths[0] == pytest.approx(0.8, rel=0.1)
    assert lengths[-1] == pytest.approx(0.2, rel=0.1)
    assert (lengths[:-1] / lengths[1:]).max() < 3


def test_a_gap_without_frames_gets_fewer_knots_than_seen_motion():
    times = np.array([*range(10), *range(15, 25)]) / 10
    knots = clip_knots(clip(25), observed([30.0] * 19, times), 2.0)
    lengths = np.diff(knots.breakpoints)
    inside = [
        i for i, (a, b) in enumerate(zip(knots.breakpoints, knots.breakpoints[1:], strict=False)) if a > 0.9 and b < 1.5
    ]
    assert lengths[inside].min() > 0.2
    assert knots.breakpoints[-1] == 2.4


def test_knots_cover_frames_that_were_held_out_at_the_ends():
    knots = clip_knots(clip(12), observed([30.0] * 9, np.arange(1, 11) / 10), 2.0)
    assert (knots.breakpoints[0], knots.breakpoints[-1]) == (0.0, 1.1)


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_frames_still_have_knots(count):
    knots = clip_knots(clip(count), observed([30.0], np.arange(1) / 10), 2.0)
    assert knots.intervals == 1


def test_frames_without_tissue_count_as_at_rest():
    masks = [np.zeros((8, 10), bool)] * 21
    assert clip_knots(clip(21), observed([90.0] * 20, np.arange(21) / 10, masks), 2.0).intervals == 3
