"""Where knots are laid."""

from types import SimpleNamespace

import numpy as np
import pytest

from endogs.geometry import look_at
from endogs.seeding.knots import clip_knots


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


def clip(count, fps=10.0, static_camera=True):
    return Clip(times=np.arange(count) / fps, width=640, static_camera=static_camera)


class MovingCamera:
    """A wall at z = 100 in front of a camera that turns and approaches, with flows computed corner by corner; the wall
    slides by `slide` world units per frame."""

    size, focal = (12, 16), 400.0

    def __init__(self, count, slide=0.0, metric=True, holes=False):
        self.times, self.metric, self.slide = np.arange(count) / 10, metric, slide
        self.masks = [np.ones(self.size, bool)] * count
        self.K = np.tile([[self.focal, 0, 8.0], [0, self.focal, 6.0], [0, 0, 1]], (count, 1, 1))
        eyes = [np.array([3.0 * k, -k, 0.5 * k]) for k in range(count)]
        looks = [eye + np.array([5 + 0.3 * k, 2, 100]) for k, eye in enumerate(eyes)]
        up = np.array([0, -1.0, 0])
        self.world_to_camera = np.stack([look_at(eye, look, up) for eye, look in zip(eyes, looks, strict=True)])
        self.holes = holes

    def _wall(self, k):
        """Points of the wall at frame k's pixels, and their depth: ray by ray, by the plane's equation."""
        rotation, shift = self.world_to_camera[k, :3, :3], self.world_to_camera[k, :3, 3]
        eye = -rotation.T @ shift
        points, depth = np.zeros((*self.size, 3)), np.zeros(self.size)
        for y, x in np.ndindex(*self.size):
            ray = rotation.T @ [(x + 0.5 - 8.0) / self.focal, (y + 0.5 - 6.0) / self.focal, 1.0]
            depth[y, x] = (100 - eye[2]) / ray[2]
            points[y, x] = eye + depth[y, x] * ray
        return points, depth

    def depth(self, k):
        depth = self._wall(k)[1].astype(np.float32)
        if self.holes:
            depth[:, :8] = 0
        return depth

    def flow(self, here, there):
        points = self._wall(here)[0] + [self.slide, 0, 0]
        flow = np.zeros((*self.size, 2), np.float32)
        for y, x in np.ndindex(*self.size):
            camera = self.world_to_camera[there, :3, :3] @ points[y, x] + self.world_to_camera[there, :3, 3]
            flow[y, x] = self.focal * camera[:2] / camera[2] + [8.0 - x - 0.5, 6.0 - y - 0.5]
        if self.holes:
            flow[:, :8] += 99  # nothing can be said without depth, so it must not count
        return flow


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


@pytest.mark.parametrize("holes", [False, True])
def test_still_tissue_under_a_moving_camera_gets_the_knots_of_rest(holes):
    frames = MovingCamera(17, holes=holes)
    assert np.hypot(*frames.flow(0, 1)[6, 12]) > 1, "the image moves fast"
    assert clip_knots(clip(17, static_camera=False), frames, 2.0).intervals == 2


def test_tissue_that_moves_under_a_moving_camera_gets_all_knots():
    frames = MovingCamera(17, slide=0.5)
    assert clip_knots(clip(17, static_camera=False), frames, 2.0).intervals == 8


def test_relative_depth_under_a_moving_camera_lays_knots_evenly():
    frames = MovingCamera(17, metric=False)
    knots = clip_knots(clip(17, static_camera=False), frames, 2.0)
    np.testing.assert_allclose(np.diff(knots.breakpoints), 0.2)


@pytest.mark.parametrize(("count", "breakpoints"), [(1, (0.0, 2.0)), (2, (0.0, 0.1))])
def test_hardly_any_frames_still_have_knots(count, breakpoints):
    knots = clip_knots(clip(count), observed([30.0], np.arange(count) / 10), 2.0)
    assert knots.breakpoints == pytest.approx(breakpoints)


def test_frames_without_tissue_count_as_at_rest():
    masks = [np.zeros((8, 10), bool)] * 21
    assert clip_knots(clip(21), observed([90.0] * 20, np.arange(21) / 10, masks), 2.0).intervals == 3
