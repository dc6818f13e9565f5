"""Tissue that moves as a whole beside the poses is told from the cameras' motion, and still tissue from both."""

import cv2
import numpy as np
import pytest

from endogs.priors.motion.common_motion import CommonMotion, common_motion
from endogs.priors.motion.long_tracks import CornerTracks, followed_corners

FRAMES, POINTS = 40, 80
K = np.tile(np.array([[200.0, 0, 120], [0, 200, 96], [0, 0, 1]]), (FRAMES, 1, 1))
TIMES = np.arange(FRAMES) / 10
PLACES = np.random.default_rng(1).uniform((-25, -20, 40), (25, 20, 90), (POINTS, 3))
STILL = np.zeros((FRAMES, 3))


def path() -> np.ndarray:
    """World to camera (F, 4, 4) of a camera that goes to and fro, and on, and turns a little."""
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    for k, angle in enumerate(0.1 * np.sin(TIMES)):
        poses[k, :3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    centres = np.stack([6 * np.sin(1.1 * TIMES), 5 * np.cos(0.7 * TIMES), 4 * TIMES], -1)
    poses[:, :3, 3] = -np.einsum("kij,kj->ki", poses[:, :3, :3], centres)
    return poses


def breath() -> np.ndarray:
    moved = 3 * np.sin(2 * np.pi * TIMES / 1.6)[:, None] * np.array([0.3, 0.8, 0.5])
    return moved - moved.mean(0)


def seen(offsets: np.ndarray, noise: float, single: float = 0.0) -> tuple[CornerTracks, np.ndarray]:
    """Corners of tissue with these offsets, and their z-depth; a quarter of them swing by `single`, each by itself."""
    generator = np.random.default_rng(0)
    swing = single * generator.normal(size=(POINTS, 1, 3)) * np.sin(3 * TIMES + np.arange(POINTS)[:, None])[..., None]
    swing[POINTS // 4 :] = 0
    poses = path()
    camera = np.einsum("kij,pkj->pki", poses[:, :3, :3], PLACES[:, None] + offsets + swing) + poses[:, :3, 3]
    pixels = camera[..., :2] / camera[..., 2:] * 200 + K[0, :2, 2]
    pixels += generator.normal(size=pixels.shape) * noise
    shown = (camera[..., 2] > 5) & (np.abs(pixels - K[0, :2, 2]) < (120, 96)).all(-1)
    point, frame = np.nonzero(shown & (shown.sum(1) > 10)[:, None])
    known, named = np.unique(point, return_inverse=True)
    return CornerTracks(frame, named, pixels[point, frame], len(known)), camera[point, frame, 2]


def found_of(tracks: CornerTracks) -> CommonMotion:
    found = common_motion(tracks, K, path())
    assert found is not None
    return found


@pytest.mark.parametrize(("single", "part"), [(0.0, 0.1), (3.0, 0.15)])
def test_breathing_is_found_though_the_camera_moves_and_some_tissue_by_itself(single, part):
    found = found_of(seen(breath(), 0.2, single)[0])
    assert np.square(found.offsets - breath()).sum() < part**2 * np.square(breath()).sum()
    assert found.left < 0.5 < 1 < found.still
    np.testing.assert_allclose(found.offsets.mean(0), 0, atol=1e-9)


def test_the_corners_depth_is_that_in_the_frames_that_see_them():
    tracks, depth = seen(breath(), 0.0)
    found = found_of(tracks)
    for frame in (0, 17, 39):
        np.testing.assert_allclose(found.seen_at(frame)[0], tracks.pixels[tracks.frame == frame])
        np.testing.assert_allclose(found.seen_at(frame)[1], depth[tracks.frame == frame], rtol=0.08)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_still_tissue_is_left_alone_however_the_corners_jitter(noise):
    assert common_motion(seen(STILL, noise)[0], K, path()) is None


def test_tissue_of_which_a_part_moves_is_not_taken_for_a_whole():
    assert common_motion(seen(STILL, 0.2, single=3.0)[0], K, path()) is None


def test_too_few_corners_tell_nothing():
    tracks, _ = seen(breath(), 0.2)
    few = tracks.point < 20
    assert common_motion(CornerTracks(tracks.frame[few], tracks.point[few], tracks.pixels[few], 20), K, path()) is None


def test_a_frame_that_shows_nothing_has_what_is_around_it():
    tracks, _ = seen(breath(), 0.1)
    lit = tracks.frame != 21
    found = found_of(CornerTracks(tracks.frame[lit], tracks.point[lit], tracks.pixels[lit], tracks.count))
    np.testing.assert_allclose(found.offsets[21], (found.offsets[20] + found.offsets[22]) / 2, atol=1e-9)


def test_known_depth_decides_the_scale():
    tracks, depth = seen(breath(), 0.2)
    depth[::3] = 0
    found = common_motion(tracks, K, path(), depth)
    assert found is not None
    assert np.square(found.offsets - breath()).sum() < 0.02**2 * np.square(breath()).sum()
    double = common_motion(tracks, K, path(), 2 * depth)
    assert double is not None
    assert np.median(double.depth) == pytest.approx(2 * np.median(found.depth), rel=0.03)


def test_corners_are_followed_over_a_picture_that_shifts_and_not_onto_instruments():
    texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (120, 260)).astype(np.float32), (0, 0), 2)
    grey = np.asarray(cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)).astype(np.uint8)
    tissue = np.ones((120, 160), bool)
    tissue[:, :30] = False
    tracks = followed_corners(
        lambda i: np.repeat(grey[:, 2 * (i - 5) : 2 * (i - 5) + 160, None], 3, 2), lambda i: tissue, range(5, 25)
    )
    assert tracks.count > 50
    assert np.bincount(tracks.point).min() >= 4
    assert tissue[tracks.pixels[:, 1].astype(int), tracks.pixels[:, 0].astype(int)].all()
    rested = tracks.pixels + 2 * tracks.frame[:, None] * np.array([1, 0])
    first = rested[np.unique(tracks.point, return_index=True)[1]]
    assert np.median(np.abs(rested - first[tracks.point])) < 0.2
