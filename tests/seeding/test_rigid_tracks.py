"""Tracks under a moving camera: still tissue stands still, moving tissue moves, and what is not seen rests."""

import numpy as np
import pytest

from endogs.clip.frame_source import Frame
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Knots
from endogs.seeding.observations import ColoredTracks, Observations
from endogs.seeding.placement import Seeds, StartStyle, gaussians_from_seeds
from endogs.seeding.rigid_tracks import NEAR_FRAMES, explained_by_camera, track_points
from endogs.seeding.spline_fit import fit_control

SIZE, FRAMES, START = (96, 128), 15, 7
K = np.array([[120.0, 0, 64], [0, 120, 48], [0, 0, 1]])
PLACES = np.array([[x, y, 50.0 + x] for x in (-8.0, 0.0, 8.0) for y in (-6.0, 6.0)])


BREATH = 6 * np.sin(np.arange(FRAMES) / 2)[:, None] * np.array([0.2, 0.8, 0.5])
"""(F, 3) of tissue that moves as a whole."""


def looking(moving: bool = True, metric: bool = True, offset=None) -> Observations:
    frames = []
    for k in range(FRAMES):
        pose = np.eye(4)
        pose[0, 3] = -0.8 * k if moving else 0.0
        blank = np.zeros((*SIZE, 3), np.uint8)
        frames.append(Frame(k, 0.1 * k, blank, np.ones(SIZE, bool), K, pose))
    flows = ClipFlows(lambda k: frames[k].image)
    return Observations(frames, flows, lambda k: np.ones(SIZE, np.float32), metric, offset)


def tracks_of(observations: Observations, places: np.ndarray, noise: float, seed: int = 0) -> ColoredTracks:
    """Where cameras see `places` (F, P, 3), with pixels off by a fifth of `noise` and depth by that part of itself."""
    generator = np.random.default_rng(seed)
    seen = np.einsum("fij,fpj->fpi", observations.world_to_camera[:, :3, :3], places)
    seen = seen + observations.world_to_camera[:, None, :3, 3]
    pixels = seen[..., :2] / seen[..., 2:] * 120 + K[:2, 2]
    pixels = pixels + generator.normal(size=pixels.shape) * noise * 5
    depth = seen[..., 2] * (1 + generator.normal(size=seen.shape[:2]) * noise)
    shown = np.ones(depth.shape, bool)
    colors = np.broadcast_to(np.arange(FRAMES)[:, None, None] / FRAMES, (*depth.shape, 3)).astype(np.float32).copy()
    found = pixels.astype(np.float32), shown, shown.copy(), colors, depth.astype(np.float32)
    return ColoredTracks(*found, np.ones(depth.shape[1], bool))


START_OF = np.full(len(PLACES), START, np.intp)


def test_still_tissue_stands_still_at_its_place_however_the_depth_flickers():
    observations = looking()
    found = explained_by_camera(observations, tracks_of(observations, np.tile(PLACES, (FRAMES, 1, 1)), 0.06), START_OF)
    assert np.ptp(found, axis=0).max() < 1e-9
    single = np.abs(tracks_of(observations, np.tile(PLACES, (FRAMES, 1, 1)), 0.06).depth[START] - PLACES[:, 2]).max()
    assert np.abs(found[0] - PLACES).max() < single, "many frames know the place better than one"


def test_tissue_that_moves_otherwise_than_the_camera_explains_goes_where_its_track_goes():
    observations = looking()
    moved = np.tile(PLACES, (FRAMES, 1, 1))
    moved[..., 1] += 8 * np.sin(np.arange(FRAMES) / 3)[:, None]
    found = explained_by_camera(observations, tracks_of(observations, moved, 0.0), START_OF)
    np.testing.assert_allclose(found, moved, atol=1e-3)


def test_tissue_that_moves_as_a_whole_is_at_rest_in_it_also_where_it_is_not_followed():
    observations = looking(offset=lambda k: BREATH[k])
    tracks = tracks_of(observations, PLACES + BREATH[:, None], 0.02)
    tracks.valid[11:] = False
    found = explained_by_camera(observations, tracks, START_OF)
    assert np.ptp(found - BREATH[:, None], axis=0).max() < 1e-9
    np.testing.assert_allclose(found[0] - BREATH[0], PLACES, rtol=0.05, atol=0.5)


def test_gaussians_of_such_tissue_lie_at_its_mean_place_and_all_splines_are_the_same():
    observations = looking(offset=lambda k: BREATH[k])
    tracks = tracks_of(observations, PLACES + BREATH[:, None], 0.0)
    pixels, depth = tracks.positions[START], tracks.depth[START]
    knots = Knots.over(0.0, 0.1 * (FRAMES - 1), 0.1)
    spacing = np.ones(len(PLACES), np.float32)
    base, control = gaussians_from_seeds(
        observations, Seeds(START_OF, pixels, depth, spacing), knots, StartStyle(0.8, 0.6), tracks
    )
    assert control is not None
    np.testing.assert_allclose(base[:, :3], PLACES, atol=0.01)
    np.testing.assert_allclose(control[:, :1, :3].expand(-1, len(PLACES), -1), control[..., :3], atol=1e-4)
    rest = fit_control(knots, observations.times, BREATH[:, None].astype(np.float32))
    np.testing.assert_allclose(control[:, :1, :3], rest, atol=1e-3)


def test_what_the_camera_left_rests_where_it_was_last_seen_in_place_and_colour():
    observations = looking()
    moved = np.tile(PLACES, (FRAMES, 1, 1))
    moved[..., 1] += 8 * np.sin(np.arange(FRAMES) / 3)[:, None]
    tracks = tracks_of(observations, moved, 0.0)
    tracks.valid[11:] = False
    tracks.valid[11:, 0] = True
    tracks.valid[12:, 0] = False
    found = explained_by_camera(observations, tracks, START_OF)
    np.testing.assert_allclose(found[11:, 1:], np.broadcast_to(moved[10, 1:], (4, 5, 3)), atol=1e-3)
    np.testing.assert_allclose(found[12:, 0], np.broadcast_to(moved[11, 0], (3, 3)), atol=1e-3)
    np.testing.assert_allclose(tracks.colors[11:, 1:], 10 / FRAMES, atol=1e-6)


@pytest.mark.parametrize(("moving", "metric"), [(False, True), (True, False)])
def test_a_still_camera_and_relative_depth_explain_nothing(moving, metric):
    observations = looking(moving, metric)
    tracks = tracks_of(observations, np.tile(PLACES, (FRAMES, 1, 1)), 0.02)
    found = track_points(observations, tracks, START_OF)
    for k in range(FRAMES):
        np.testing.assert_array_equal(found[k], observations.unproject(k, tracks.positions[k], tracks.depth[k]))


def test_only_frames_nearby_tell_whether_tissue_moves():
    observations = looking()
    late = np.tile(PLACES, (FRAMES, 1, 1))
    start = np.zeros(len(PLACES), np.intp)
    late[NEAR_FRAMES + 2 :, :, 1] += 5.0
    found = explained_by_camera(observations, tracks_of(observations, late, 0.0), start)
    assert np.ptp(found, axis=0).max() < 1e-6
