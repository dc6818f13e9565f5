"""Patches are found again where size, slant and light are others, and keyframes that see a point agree on it."""

import cv2
import numpy as np
import pytest
from samples.ball_clip import HEIGHT, WIDTH, K, shown, winding

from endogs.clip.frame_source import Frame
from endogs.evaluate.metrics.trajectory import compare_paths
from endogs.geometry import invert_rigid
from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import SparseMap
from endogs.tracking.patch_bending import bending, depth_slopes
from endogs.tracking.patches import light, matched
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.rigid_motion import moved_by
from endogs.tracking.sub_maps import merge, new_piece
from endogs.tracking.tracker import Tracker

CONFIG = TrackingConfig()
SIDE = CONFIG.patch


def textured(seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (240, 320)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 4 * (smooth - smooth.mean()), 10, 230)


def pair(affine, dimmed=0.0):
    """A picture and another, in which a pixel at x is at affine x (2, 3), darker from left to right by a share."""
    picture, centred = textured(), affine.copy()
    centred[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    moved = cv2.warpAffine(picture, centred, (320, 240), flags=cv2.INTER_CUBIC)
    moved *= 1 - dimmed * np.linspace(0, 1, 320)
    return light(picture.astype(np.uint8)), light(moved.astype(np.uint8))


@pytest.mark.parametrize(
    "shape", [np.eye(2), [[1.4, 0], [0, 1.4]], [[1.15, 0.1], [-0.05, 0.85]]], ids=["same", "closer", "slanted"]
)
def test_a_patch_is_found_whatever_its_shape_and_light(shape):
    affine = np.c_[np.asarray(shape, float), [3.3, -2.7]]
    affine[:, 2] -= (affine[:, :2] - np.eye(2)) @ [160, 120]
    first, second = pair(affine, dimmed=0.6)
    random = np.random.default_rng(1)
    here = random.uniform([110, 80], [210, 160], (80, 2))
    there = here @ affine[:, :2].T + affine[:, 2]
    size = np.sqrt(np.linalg.det(affine[:, :2]))
    shapes = np.tile(np.eye(2) / size, (80, 1, 1))
    found = matched(first, second, here, there + random.normal(0, 0.5, (80, 2)), shapes, SIDE)
    error = np.linalg.norm(found.pixels - there, axis=1)
    assert np.median(error) < 0.12
    assert np.percentile(error, 90) < 0.25
    assert (found.alike > 0.8).mean() > 0.9


def test_what_is_not_there_is_not_alike():
    first, _ = pair(np.eye(2, 3))
    other = light(textured(seed=7).astype(np.uint8))
    here = np.random.default_rng(1).uniform([40, 40], [280, 200], (80, 2))
    found = matched(first, other, here, here, np.tile(np.eye(2), (80, 1, 1)), SIDE)
    assert (found.alike > 0.8).mean() < 0.15
    nothing = matched(first, np.zeros_like(first), here, here, np.tile(np.eye(2), (80, 1, 1)), SIDE)
    assert np.isfinite(nothing.pixels).all()
    assert not (nothing.alike > 0.6).any()


def test_bending_is_the_mean_displacement_of_a_slanted_patch():
    random = np.random.default_rng(2)
    pixels = random.uniform([50, 40], [150, 120], (60, 2))
    slope = np.array([3.5e-4, -1.5e-4])
    inverse = 1 / 25 + (pixels - [100, 80]) @ slope
    found = depth_slopes(pixels, inverse)
    assert np.allclose(found, slope, rtol=0.1, atol=1e-5)
    motion = moved_by(np.eye(4), np.array([0.5, -0.3, 8.0, 0.02, -0.03, 0.1]))
    bent = bending(K, motion, pixels, inverse, np.tile(slope, (60, 1)), SIDE)

    def drawn(at):
        deep = 1 / (1 / 25 + (at - [100, 80]) @ slope)
        points = np.c_[(at - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(at))] * deep[:, None]
        return measured(seen_from(motion, points), K, np.zeros(len(at)))[:, :2]

    reach = np.arange(SIDE) - SIDE // 2
    steps = np.stack(np.meshgrid(reach, reach), -1).reshape(-1, 2)
    exact = np.mean([drawn(pixels + step) for step in steps], 0) - drawn(pixels)
    assert np.linalg.norm(exact, axis=1).mean() > 0.02
    assert np.allclose(bent, exact, atol=0.003)
    still = bending(K, np.eye(4), pixels, inverse, np.tile(slope, (60, 1)), SIDE)
    assert np.abs(still).max() < 1e-9


def test_a_neighbour_beyond_an_edge_tilts_no_surface():
    columns = np.stack(np.meshgrid(np.arange(0, 120, 8.0), np.arange(0, 80, 8.0)), -1).reshape(-1, 2)
    inverse = np.where(columns[:, 0] < 60, 1 / 20, 1 / 60)
    slopes = depth_slopes(columns, inverse)
    assert np.abs(slopes).max() * 8 < 0.1 * (1 / 20 - 1 / 60)
    assert not depth_slopes(columns[:5], inverse[:5]).any()


def test_errors_of_keyframes_do_not_add_up():
    """Where the last keyframe sees a point agrees with where the first saw it, by the true poses and depth."""
    poses = winding(30)
    tracker = Tracker(units="mm")
    mask, unknown = np.ones((HEIGHT, WIDTH), bool), np.full((4, 4), np.nan)
    for k, pose in enumerate(poses):
        image, depth = shown(pose)
        tracker.feed(Frame(k, k / 30, image, mask, K, unknown), depth)
    world = tracker._pieces[0].world
    assert len(world.keyframes) > 4
    last = world.keyframes[-1]
    from_first = world.patch_of[last.seen.ids] == 0
    assert from_first.sum() > 40
    pixels = world.patch_at[last.seen.ids[from_first]]
    begin, end = poses[world.keyframes[0].look.frame], poses[last.look.frame]
    _, depth = shown(begin)
    at = (pixels - 0.5).astype(np.float32)[:, None]
    z = cv2.remap(depth.astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_LINEAR)[:, 0].astype(np.float64)
    rays = np.c_[(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(pixels))]
    here = seen_from(end @ invert_rigid(begin), rays * z[:, None])
    error = np.linalg.norm(last.seen.pixels[from_first] - measured(here, K, np.zeros(len(here)))[:, :2], axis=1)
    assert np.median(error) < 0.12
    found = tracker.finish()
    path = compare_paths(invert_rigid(found.world_to_camera), invert_rigid(poses)).absolute["se3"]
    assert path.percent_of_path < 0.2


def test_patches_go_with_their_points_into_another_map():
    older, newer = new_piece(0, 0.0, CONFIG), new_piece(1, 0.0, CONFIG)
    for piece in (older, newer):
        tracker = Tracker(units="mm")
        for k, pose in enumerate(winding(3)):
            image, depth = shown(pose)
            mask = np.ones((HEIGHT, WIDTH), bool)
            tracker.feed(Frame(k, k / 30, image, mask, K, np.full((4, 4), np.nan)), depth)
        piece.world, piece.following = tracker._pieces[0].world, tracker._pieces[0].following
    points, keyframes = len(older.world), len(older.world.keyframes)
    patch_of, patch_at = newer.world.patch_of.copy(), newer.world.patch_at.copy()
    merge(older, newer, 1.0, np.eye(3), np.zeros(3))
    assert (older.world.patch_of[points:] == np.where(patch_of < 0, -1, patch_of + keyframes)).all()
    assert np.array_equal(older.world.patch_at[points:], patch_at, equal_nan=True)


def test_a_map_that_grows_keeps_its_patches():
    world = SparseMap(0.0)
    first = world.add(1000)
    world.patch_of[first], world.patch_at[first] = 3, (5.0, 6.0)
    more = world.add(100)
    assert (world.patch_of[first] == 3).all()
    assert (world.patch_at[first] == (5, 6)).all()
    assert (world.patch_of[more] == -1).all()
