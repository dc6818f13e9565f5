"""Depth of corners: from a map of another size, not at edges, and from a pair."""

import cv2
import numpy as np

from endogs.clip.frame_source import Frame
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import affine_between, carried_over, correlation, follow, new_corners
from endogs.tracking.luma import evened, look_at, looking_size
from endogs.tracking.measured_depth import FrameDepths, given_depth, pair_depth

CONFIG = TrackingConfig()
WIDTH, HEIGHT, FOCAL = 320, 240, 200.0
K = np.array([[FOCAL, 0, 160], [0, FOCAL, 120], [0, 0, 1]])


def picture(shift=0.0, seed=0):
    """A textured picture moved to the left by `shift` pixels."""
    rng = np.random.default_rng(seed)
    whole = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH + 80)).astype(np.float32), (0, 0), 2)
    whole = np.clip(128 + 4 * (whole - whole.mean()), 10, 230)
    moved = cv2.warpAffine(whole, np.array([[1, 0, -shift - 20.0], [0, 1, 0]]), (WIDTH, HEIGHT))
    return np.repeat(moved[..., None], 3, 2).astype(np.uint8)


def look(image, size=(WIDTH, HEIGHT)):
    mask = np.ones(image.shape[:2], bool)
    return look_at(Frame(0, 0.0, image, mask, K, np.eye(4)), size, CONFIG)


def test_given_depth_is_read_in_the_frames_own_pixels_and_not_at_edges():
    column = np.arange(WIDTH, dtype=np.float32)
    depth = np.tile(np.where(column < 200, 20 + 0.02 * column, 60), (HEIGHT, 1)).astype(np.float32)
    depth[:50] = 0
    small = look(picture(), (WIDTH // 2, HEIGHT // 2))
    pixels = np.array([[40.0, 60], [80, 60], [100, 60], [140, 60], [40, 10]])
    inverse, weight = given_depth(small, depth, pixels, CONFIG)
    assert np.allclose(1 / inverse[[0, 1, 3]], [20 + 0.02 * 79.5, 20 + 0.02 * 159.5, 60], rtol=1e-3)
    assert (weight[[0, 1, 3]] > 0).all()
    assert (weight[[2, 4]] == 0).all()
    assert given_depth(small, depth, np.zeros((0, 2)), CONFIG)[0].shape == (0,)


def test_a_pair_gives_depth_to_a_fraction_of_a_pixel():
    left, right = look(picture()), look(picture(7.3))
    corners = new_corners(left, np.zeros((0, 2)), CONFIG, 150)
    inverse, weight = pair_depth(left, right, 4.0, corners, CONFIG)
    known = weight > 0
    assert known.sum() > 60
    assert np.percentile(np.abs(inverse[known] * FOCAL * 4.0 - 7.3), 90) < 0.15
    nothing = FrameDepths(left, None, None, None, CONFIG).keyframe(corners)
    assert not nothing[0].any()


def test_views_that_share_nothing_give_no_depth():
    left = look(picture())
    corners = new_corners(left, np.zeros((0, 2)), CONFIG, 150)
    _, weight = pair_depth(left, look(picture(seed=5)), 4.0, corners, CONFIG)
    assert (weight > 0).mean() < 0.1


def test_followed_corners_move_with_the_picture_whatever_the_light_does():
    first = picture()
    dimmed = (picture(3.4) * np.linspace(0.5, 1.0, WIDTH)[None, :, None]).astype(np.uint8)
    a, b = look(first), look(dimmed)
    corners = new_corners(a, np.zeros((0, 2)), CONFIG, 200)
    moved, good = follow(a, b, corners, corners, CONFIG)
    assert good.mean() > 0.7
    assert np.percentile(np.abs(moved[good] - corners[good] + [3.4, 0]), 90) < 0.2
    assert np.median(correlation(a, b, corners[good], moved[good], CONFIG.patch)) > 0.9


def test_a_picture_is_carried_over_with_its_pixel_centres():
    affine = np.array([[1.2, 0.1, -20.0], [-0.1, 1.1, 10.0]])
    a = look(picture())
    b = carried_over(a, affine)
    here = np.random.default_rng(1).uniform([100, 80], [220, 160], (60, 2))
    there = here @ affine[:, :2].T + affine[:, 2]
    assert np.allclose(affine_between(here, there), affine)
    at = (there - 0.5).astype(np.float32)[:, None]
    drawn = cv2.remap(b.grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[:, 0].astype(float)
    at = (here - 0.5).astype(np.float32)[:, None]
    source = cv2.remap(a.grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[:, 0].astype(float)
    assert np.corrcoef(drawn, source)[0, 1] > 0.97


def test_looking_size_halves_what_shows_tissue():
    mask = np.zeros((1080, 1920), bool)
    mask[100:900, 500:1300] = True
    assert looking_size(mask, 400) == (960, 540)
    assert looking_size(np.ones((256, 320), bool), 400) == (320, 256)
    assert looking_size(np.zeros((256, 320), bool), 400) == (320, 256)


def test_evening_out_forgets_slow_light():
    luma = picture()[..., 0]
    shaded = (luma * np.linspace(0.4, 1.0, HEIGHT)[:, None]).astype(np.uint8)
    assert np.corrcoef(evened(luma).ravel(), evened(shaded).ravel())[0, 1] > 0.95
