"""Optical flow, tracks and virtual frames on images whose motion is known."""

import cv2
import numpy as np
import pytest

from endogs.clip.frame_source import Frame
from endogs.errors import InputError
from endogs.priors.motion.flow import ClipFlows, consistency_mask, dis_flow, warp
from endogs.priors.motion.motion_between import Path, backwards, paths_between
from endogs.priors.motion.virtual_frames import flow_from_between, interpolate, virtual_frames_between

SIZE = (96, 128)


def texture(seed=0, size=SIZE):
    noise = np.random.default_rng(seed).standard_normal((size[0] + 64, size[1] + 64, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 235 + 10).astype(np.float32)


def cut(image, dx, dy, size=SIZE):
    """The window of a big texture whose content has moved by (dx, dy)."""
    matrix = np.float32([[1, 0, dx - 32], [0, 1, dy - 32]])
    return np.round(cv2.warpAffine(image, matrix, size[::-1], flags=cv2.INTER_CUBIC)).clip(0, 255).astype(np.uint8)


class MovingClip:
    """Frames of a texture that moves by a constant velocity."""

    def __init__(self, frames=5, velocity=(2.0, -1.0)):
        big = texture()
        self.frames = [cut(big, velocity[0] * i, velocity[1] * i) for i in range(frames)]
        self.times = np.arange(frames) / 10
        self.masks = [np.ones(SIZE, bool) for _ in range(frames)]
        self.reads = 0

    def image(self, i):
        self.reads += 1
        return self.frames[i]

    def listed(self, *numbers):
        """Frames as a source gives them, and their tissue masks."""
        camera = np.eye(3), np.eye(4)
        frames = [Frame(i, float(self.times[i]), self.frames[i], self.masks[i], *camera) for i in numbers]
        return frames, [self.masks[i] for i in numbers]


def test_flow_finds_a_translation():
    clip = MovingClip()
    flow = dis_flow(clip.image(0), clip.image(1))
    assert flow.shape == (*SIZE, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(flow[16:-16, 16:-16].reshape(-1, 2).mean(0), (2, -1), atol=0.05)


def test_flow_does_not_depend_on_opencvs_threads():
    clip = MovingClip(2)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        two = dis_flow(clip.image(0), clip.image(1))
        assert cv2.getNumThreads() == 2, "the caller's thread count comes back"
        cv2.setNumThreads(1)
        one = dis_flow(clip.image(0), clip.image(1))
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(one, two)


def test_frames_too_small_for_flow_are_refused():
    tiny = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="8 x 8 pixels are too small"):
        dis_flow(tiny, tiny)


def test_warp_shows_a_where_b_is_looked_up_by_the_flow_from_a_to_b():
    clip = MovingClip(2)
    flow = np.full((*SIZE, 2), (2, -1), np.float32)
    seen = warp(clip.image(1), flow)
    np.testing.assert_array_equal(seen[8:-8, 8:-8], clip.image(0)[8:-8, 8:-8])


def test_consistency_refuses_what_does_not_come_back_and_what_leaves():
    forward = np.full((20, 30, 2), (3, 0), np.float32)
    backward = -forward
    ok = consistency_mask(forward, backward)
    assert ok[:, :27].all()
    assert not ok[:, 28:].any(), "leaves the image"
    backward[:, 15:] = 0
    ok = consistency_mask(forward, backward)
    assert ok[:, :11].all()
    assert not ok[:, 13:].any(), "does not come back"


def test_clip_flows_are_computed_once_and_in_both_directions():
    clip = MovingClip(4)
    flows = ClipFlows(clip.image)
    seen = []
    flows.precompute([0, 1, 3], lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)
    reads = clip.reads
    there, back = flows.flow(1, 3), flows.flow(3, 1)
    assert clip.reads == reads, "memoized"
    np.testing.assert_allclose(there[30:-30, 30:-30].mean((0, 1)), (4, -2), atol=0.1)
    np.testing.assert_allclose(back[30:-30, 30:-30].mean((0, 1)), (-4, 2), atol=0.1)
    exact = dis_flow(clip.image(1), clip.image(3))
    assert np.abs(there - exact).max() < 0.02, "half precision loses at most a hundredth of a pixel"


def zoom_flow(size, factor):
    """Flow of a zoom about the image's centre, in the convention that pixel centres are at +0.5."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return np.stack([(x - size[1] / 2) * (factor - 1), (y - size[0] / 2) * (factor - 1)], -1).astype(np.float32)


@pytest.mark.parametrize("fraction", [0.0, 1 / 3, 0.5, 1.0])
def test_interpolation_of_a_translation_is_the_frame_in_between(fraction):
    big = texture()
    a, b, truth = cut(big, 0, 0), cut(big, 6, -3), cut(big, 6 * fraction, -3 * fraction)
    forward = np.full((*SIZE, 2), (6, -3), np.float32)
    image = interpolate(a, b, flow_from_between(forward, fraction), flow_from_between(-forward, 1 - fraction), fraction)
    error = np.abs(image.astype(float) - truth)[8:-8, 8:-8]
    assert error.mean() < 1.0
    blend = (1 - fraction) * a + fraction * b.astype(float)
    if 0 < fraction < 1:
        assert error.mean() < 0.2 * np.abs(blend - truth)[8:-8, 8:-8].mean()


def test_flow_from_between_solves_a_zoom():
    size, factor, fraction = (60, 80), 1.1, 0.5
    y, x = np.mgrid[:60, :80] + 0.5
    middle = 1 + fraction * (factor - 1)
    truth = np.stack([(x - 40) * (1 / middle - 1), (y - 30) * (1 / middle - 1)], -1)
    found = flow_from_between(zoom_flow(size, factor), fraction)
    assert np.abs(found - truth)[8:-8, 8:-8].max() < 0.01
    assert np.abs(-fraction * zoom_flow(size, factor) - truth)[8:-8, 8:-8].max() > 0.05, "the naive form is off"


def test_virtual_frames_times_weights_and_the_side_an_instrument_hides():
    clip = MovingClip(4)
    clip.masks[1][:, 60:80] = False
    clip.frames[1] = clip.frames[1].copy()
    clip.frames[1][:, 60:80] = 255
    flows = ClipFlows(clip.image)
    frames, masks = clip.listed(0, 1, 3)
    made = [
        v
        for gap in (0, 1)
        for v in virtual_frames_between(frames, flows, gap, (1 / 3, 2 / 3), masks[gap : gap + 2], False)
    ]
    np.testing.assert_allclose([v.time for v in made], [0.1 / 3, 0.2 / 3, 0.1 + 0.2 / 3, 0.1 + 0.4 / 3])
    first = made[0]
    assert first.image.dtype == np.uint8
    assert first.weight.dtype == np.float32
    assert first.weight[20:-20, 20:50].min() == 1
    assert first.image[20:-20, 64:76].max() < 255, "the instrument of frame 1 is not blended in"

    all_hidden = virtual_frames_between(frames[:2], flows, 0, (0.5,), [np.zeros(SIZE, bool)] * 2, False)
    assert not all_hidden[0].weight.any()


def test_a_virtual_frame_is_the_frame_that_was_left_out():
    clip = MovingClip(4)
    frames, masks = clip.listed(0, 1, 3)
    [made] = virtual_frames_between(frames, ClipFlows(clip.image), 1, [0.5], masks[1:], straight=False)
    truth = clip.frames[2].astype(float)[16:-16, 16:-16]
    assert made.time == pytest.approx(0.2)
    assert np.abs(made.image[16:-16, 16:-16] - truth).mean() < 2


def test_a_path_passes_through_its_ends_with_the_speeds_it_was_given():
    rng = np.random.default_rng(0)
    flow, start, end = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    path = Path(flow, start, end)
    np.testing.assert_array_equal(path.displacement(0.0), 0)
    np.testing.assert_allclose(path.displacement(1.0), flow, atol=1e-6)
    h = 1e-3
    np.testing.assert_allclose(path.displacement(h) / h, flow + start, atol=2e-2)
    np.testing.assert_allclose((flow - path.displacement(1 - h)) / h, flow + end, atol=2e-2)
    np.testing.assert_allclose(Path(flow, None, None).displacement(0.25), 0.25 * flow, atol=1e-6)


class SpeedingFlows:
    """Exact flows of an image that moves as a whole: `position(i)` pixels to the right at frame i."""

    def __init__(self, position, shape=(6, 8)):
        self.position, self.shape = position, shape

    def flow(self, a, b):
        return np.full((*self.shape, 2), (self.position[b] - self.position[a], 0), np.float32)


def test_paths_follow_motion_that_speeds_up_and_straight_ones_do_not():
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    position = 40 * times**2  # frame 2 is left out
    ahead, back = paths_between(SpeedingFlows(position), times, [0, 1, 3, 4], 1)
    there, straight = position[2] - position[1], (position[3] - position[1]) / 2
    for found, truth in (
        (ahead.displacement(0.5), there),
        (back.displacement(0.5), position[2] - position[3]),
        (-backwards(ahead.displacement(0.5)), there),
    ):
        assert abs(found[..., 0].mean() - truth) < 0.25 * abs(straight - there)
    ahead, _ = paths_between(SpeedingFlows(position), times, [0, 1, 3, 4], 1, straight=True)
    np.testing.assert_allclose(ahead.displacement(0.5)[..., 0], straight, rtol=1e-5)


def test_a_wild_speed_bends_a_path_only_so_far():
    times = np.arange(4) / 10
    position = np.array([-500.0, 0, 2, 4])
    ahead, _ = paths_between(SpeedingFlows(position), times, [0, 1, 2, 3], 1)
    assert abs(ahead.displacement(0.5)[0, 0, 0] - 1) <= 0.125 * 2 * (2 + 0.5) + 1e-5
