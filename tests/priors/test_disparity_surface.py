"""Matches that contradict the surface around them: dropped where small pieces of them stray, moved at edges."""

import cv2
import numpy as np
from samples.stereo_scene import BASELINE, K, write_pair

from endogs.clip import load_clip
from endogs.priors.depth import stereo
from endogs.priors.depth.disparity import matches
from endogs.priors.depth.disparity_surface import with_sharp_edges, without_strays
from endogs.priors.depth.prediction import DepthInput
from endogs.priors.depth.stereo import StereoDepth

SHAPE = (100, 140)
SLOPE = np.linspace(10, 24, SHAPE[1], dtype=np.float32)[None].repeat(SHAPE[0], 0)


def piece(factor):
    """Disparity with a piece of 9x12 pixels in a hole that is `factor` times what is around it, and what is known."""
    disparity, known = SLOPE.copy(), np.ones(SHAPE, bool)
    known[30:50, 40:70] = False
    known[36:45, 50:62] = True
    disparity[36:45, 50:62] *= factor
    return disparity, known


def test_a_small_piece_stays_where_it_continues_what_is_around_it():
    disparity, known = piece(1)
    np.testing.assert_array_equal(without_strays(disparity, known), known)


def test_a_small_piece_that_contradicts_what_is_around_it_goes():
    for factor in (0.5, 2):
        disparity, known = piece(factor)
        expected = known.copy()
        expected[36:45, 50:62] = False
        np.testing.assert_array_equal(without_strays(disparity, known), expected)


def test_a_large_piece_stays_whatever_its_disparity():
    disparity, known = SLOPE.copy(), np.ones(SHAPE, bool)
    disparity[20:60, 40:80] *= 2
    np.testing.assert_array_equal(without_strays(disparity, known), known)


def test_where_all_pieces_are_small_nothing_is_told_apart():
    known = np.zeros(SHAPE, bool)
    known[::20, ::20] = True
    disparity = SLOPE * np.random.default_rng(0).uniform(0.3, 3, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(without_strays(disparity, known), known)


def test_what_is_unknown_may_be_anything():
    disparity, known = piece(1)
    for nothing in (np.nan, -1.0, 0.0):
        broken = np.where(known, disparity, np.float32(nothing))
        np.testing.assert_array_equal(without_strays(broken, known), known)


NEAR, FAR = 14, 6


def near_square():
    """Views (H, W) of a square at disparity NEAR before a wall at FAR, and the left one's disparity."""
    generator = np.random.default_rng(3)

    def texture():
        return cv2.GaussianBlur(generator.integers(0, 256, (80, 160), np.uint8), (0, 0), 0.8)

    wall, square = texture(), texture()
    left, right = wall.copy(), np.roll(wall, -FAR, 1)
    left[20:60, 60:100] = square[20:60, 60:100]
    right[20:60, 60 - NEAR : 100 - NEAR] = square[20:60, 60:100]
    disparity = np.full(left.shape, FAR, np.float32)
    disparity[20:60, 60:100] = NEAR
    return left, right, disparity


def test_what_is_near_no_longer_reaches_over_its_edge():
    left, right, truth = near_square()
    widened = cv2.dilate(truth, np.ones((5, 5), np.uint8))
    sharp = with_sharp_edges(widened, np.ones(truth.shape, bool), left, right)
    seen_by_both = np.ones(truth.shape, bool)
    seen_by_both[:, 60 - (NEAR - FAR) : 60] = False  # the square hides this from the right eye
    wrong = [np.count_nonzero((one != truth) & seen_by_both) for one in (widened, sharp)]
    assert wrong[0] > 200
    assert wrong[1] < 0.4 * wrong[0], "only the outermost pixels, beside which colours are mixed"


def test_an_edge_that_is_right_stays():
    left, right, truth = near_square()
    sharp = with_sharp_edges(truth, np.ones(truth.shape, bool), left, right)
    inside = np.zeros(truth.shape, bool)
    inside[20:60, 60:100] = True
    assert (sharp[inside] == NEAR).mean() > 0.98
    np.testing.assert_array_equal(sharp[~inside], truth[~inside])


def test_an_edge_beside_a_hole_is_none():
    left, right, truth = near_square()
    known = truth == NEAR
    np.testing.assert_array_equal(with_sharp_edges(truth, known, left, right), truth)


def test_stereo_depth_is_without_strays(tmp_path, monkeypatch):
    z = write_pair(tmp_path, baseline_mm=BASELINE)
    clip = load_clip(tmp_path)
    frame, prior = DepthInput.of(clip, 0), StereoDepth()
    rows, columns = slice(60, 76), slice(2, 14)

    def strayed(*views):
        """What the right eye does not see, matched with what resembles it."""
        disparity, found = matches(*views)
        found[rows, columns] = True
        disparity[rows, columns] = 0.5 * K[0, 0] * BASELINE / z[rows, columns]
        return disparity, found

    monkeypatch.setattr(stereo, "matches", strayed)
    depth = prior.predict(frame).value
    assert (depth > 0).mean() > 0.7
    assert (depth[rows, columns] == 0).all()
