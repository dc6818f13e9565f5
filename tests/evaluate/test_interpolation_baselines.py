"""Baselines on images whose motion is known, and on the real clip where it is there."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from endogs.clip.splits import split_frames
from endogs.evaluate.baselines import Neighbours, linear_blend, neighbours, temporal_baselines
from endogs.evaluate.metrics.metrics import psnr, psnr_masked
from endogs.evaluate.right_view import predict_right_view, splat_disparity
from endogs.priors.motion.flow import ClipFlows

SIZE = (80, 112)


def texture(size, seed=0):
    noise = np.random.default_rng(seed).standard_normal((*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return ((smooth - smooth.min()) / np.ptp(smooth) * 235 + 10).astype(np.uint8)


class SlidingClip:
    def __init__(self, frames, step):
        big = texture((SIZE[0], SIZE[1] + 2 * frames * step))
        self.frames = [np.ascontiguousarray(big[:, i * step : i * step + SIZE[1]]) for i in range(frames)]
        self.times = np.arange(frames) / 25

    def image(self, i):
        return self.frames[i]


def test_neighbours_of_test_frames():
    times = np.array([0, 1, 2, 3, 5, 6.0])
    assert neighbours(times, [0, 2, 3, 5], 1) == Neighbours(0, 2, 0.5)
    assert neighbours(times, [0, 3, 5], 4) == Neighbours(3, 5, pytest.approx(2 / 3))
    assert neighbours(times, [2, 3], 0) == Neighbours(2, 2, 0.0)
    assert neighbours(times, [2, 3], 5) == Neighbours(3, 3, 0.0)
    with pytest.raises(ValueError, match="no training frame"):
        neighbours(times, [], 2)


def test_linear_blend_is_rounded():
    a, b = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    assert linear_blend(a, b, 0.5).max() == 128
    assert linear_blend(a, b, 0.0).max() == 0
    assert linear_blend(a, b, 1.0).min() == 255


def test_standard_baselines_of_a_sliding_texture():
    clip = SlidingClip(10, 2)
    split = split_frames(10, "standard")
    assert split.test == [1, 9]
    found = temporal_baselines(clip, ClipFlows(clip.image), split.train, 1, "standard")
    mean = np.round((clip.image(0).astype(float) + clip.image(2)) / 2)
    assert np.abs(found["neighbour_mean"] - mean).max() <= 1
    inside = (slice(8, -8), slice(8, -8))
    assert psnr(found["flow_midpoint"][inside], clip.image(1)[inside]) > 38
    assert psnr(found["neighbour_mean"][inside], clip.image(1)[inside]) < 32

    last = temporal_baselines(clip, ClipFlows(clip.image), split.train, 9, "standard")
    np.testing.assert_array_equal(last["flow_midpoint"], clip.image(8), "one neighbour only at the clip's end")
    np.testing.assert_array_equal(last["neighbour_mean"], clip.image(8))


def test_gap_baselines_go_to_the_right_fraction():
    clip = SlidingClip(20, 1)
    split = split_frames(20, "gap")
    flows = ClipFlows(clip.image)
    for test, near in ((10, 9), (11, 9), (13, 15), (14, 15)):
        found = temporal_baselines(clip, flows, split.train, test, "gap")
        assert list(found) == ["nearest", "linear_blend", "flow_interpolation"]
        np.testing.assert_array_equal(found["nearest"], clip.image(near))
        inside = (slice(8, -8), slice(12, -12))
        errors = {name: psnr(guess[inside], clip.image(test)[inside]) for name, guess in found.items()}
        assert errors["flow_interpolation"] > 36
        assert errors["flow_interpolation"] > errors["linear_blend"] + 3
    with pytest.raises(ValueError, match="no baselines"):
        temporal_baselines(clip, flows, split.train, 10, "all")


def test_right_view_of_a_plane_and_a_near_square():
    height, width, focal, baseline = 40, 80, 100.0, 4.0
    left = texture((height, width))
    depth = np.full((height, width), 100.0, np.float32)  # disparity 4
    depth[10:30, 30:50] = 50  # disparity 8
    view = predict_right_view(left, depth, np.ones_like(depth, bool), focal, baseline)
    np.testing.assert_array_equal(view.depth_warp[:8, : width - 4], left[:8, 4:])
    np.testing.assert_array_equal(view.depth_warp[12:28, 23:41], left[12:28, 31:49])
    np.testing.assert_array_equal(view.left_shifted[:, : width - 4], left[:, 4:])
    assert view.tissue_mask[:8, : width - 5].all()
    assert not view.tissue_mask[:, width - 4 :].any(), "the right view's far edge is out of the left one"
    assert view.tissue_mask[12:28, 23:41].all()
    assert not view.tissue_mask[12:28, 43:45].any(), "uncovered behind the square: the left view does not see it"


def test_right_view_skips_instruments_and_unknown_depth():
    height, width = 30, 60
    left = texture((height, width))
    depth = np.full((height, width), 100.0, np.float32)
    tissue = np.ones_like(depth, bool)
    tissue[10:20, 20:30] = False
    depth[0:5, 40:50] = 0
    view = predict_right_view(left, depth, tissue, 100.0, 4.0)
    assert not view.tissue_mask[10:20, 16:26].any()
    assert not view.tissue_mask[0:5, 36:46].any()
    assert view.tissue_mask[22:, 5:50].all()
    nothing = predict_right_view(left, np.zeros_like(depth), tissue, 100.0, 4.0)
    assert not nothing.tissue_mask.any()
    np.testing.assert_array_equal(nothing.left_shifted, left)


def test_splat_keeps_the_nearest():
    disparity = np.array([[0, 0, 1, 0, 3, 0]], np.float32)
    assert splat_disparity(disparity).tolist() == [[0, 3, 0, 0, 0, 0]]
    assert splat_disparity(np.array([[0, 0, 0.5]], np.float32)).tolist() == [[0, 0.5, 0.5]]


def test_baselines_of_the_real_clip(tmp_path):
    """FIT.md measured 38.37 / 37.19 dB for the mean of the neighbours and 39.54 / 38.36 dB for the flow midpoint."""
    clips = Path(__file__).parents[3] / "shared" / "clips"
    if not (clips / "expand.py").exists():
        pytest.skip("the real clips are not beside the repository")
    from endogs.clip import ClipOptions, load_clip

    spec = importlib.util.spec_from_file_location("expand", clips / "expand.py")
    expand = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(expand)
    expand.expand_endonerf(tmp_path, 1, None)
    clip = load_clip(tmp_path, ClipOptions(ignore_rows=("495:512",)))
    assert len(clip) == 63
    split = split_frames(len(clip), "standard")
    flows = ClipFlows(clip.image)
    found = {"neighbour_mean": [], "flow_midpoint": []}
    for i in split.test:
        for name, guess in temporal_baselines(clip, flows, split.train, i, "standard").items():
            target, mask = clip.image(i), clip.tissue_mask(i)
            found[name].append((psnr(guess, target, mask), psnr_masked(guess, target, mask)))
    np.testing.assert_allclose(np.mean(found["neighbour_mean"], 0), (38.37, 37.19), atol=0.1)
    midpoint = np.mean(found["flow_midpoint"], 0)
    assert (midpoint > (39.5, 38.3)).all()
    assert (midpoint < (40.2, 39.0)).all()
