"""What neighbouring frames say of one another's depth: noise goes, what does not agree is left out."""

import numpy as np
import pytest

from endogs.geometry import invert_rigid, look_at, pixel_rays
from endogs.priors.depth.agreement import FIRMEST, FrameWord, agreed

WIDTH, HEIGHT, STEP = 64, 48, 2
K = np.array([[55.0, 0, 31], [0, 53, 23], [0, 0, 1]])
NOISE = 0.05


def pose(x):
    return look_at(np.array([x, 0.4 * x, 0.5 * x]), np.array([0.0, 0, 80]), np.array([0.0, -1, 0]))


def sloping(world_to_camera):
    """Inverse depth (h, w) of the plane z = 60 + 0.3 x at every second pixel."""
    rays = pixel_rays(K, WIDTH, HEIGHT)[STEP // 2 :: STEP, STEP // 2 :: STEP]
    back = invert_rigid(world_to_camera)
    normal, level = np.array([-0.3, 0, 1.0]), 60.0
    away = (rays @ back[:3, :3].T) @ normal
    return (away / (level - normal @ back[:3, 3])).astype(np.float32)


def word(x, seed, relative=NOISE):
    inverse = sloping(pose(x))
    noisy = inverse * np.exp(np.random.default_rng(seed).normal(0, relative, inverse.shape))
    return FrameWord(noisy.astype(np.float32), np.full(inverse.shape, relative, np.float32), K, pose(x), STEP)


def errors(value):
    inside = value[4:-4, 4:-4]
    return np.log(np.maximum(inside, 1e-9) / sloping(pose(0))[4:-4, 4:-4])


def test_a_frame_and_its_neighbours_know_more_than_the_frame():
    own, others = word(0, 0), [word(x, 7 + x) for x in (-3, -2, -1, 1, 2, 3)]
    value, relative = agreed(own, others)
    assert errors(own.inverse).std() == pytest.approx(NOISE, rel=0.1)
    assert errors(value).std() < 0.5 * NOISE
    assert abs(errors(value).mean()) < 0.1 * NOISE
    assert np.median(relative) < 0.6 * NOISE


def test_a_neighbour_of_another_depth_is_outvoted():
    own, others = word(0, 0, 0.01), [word(x, 7 + x, 0.01) for x in (-1, 1)]
    wrong = FrameWord(others[0].inverse / 2, others[0].relative, K, others[0].world_to_camera, STEP)
    value, _ = agreed(own, [*others, wrong])
    known = value[4:-4, 4:-4] > 0
    assert known.mean() > 0.9
    assert np.abs(errors(value)[known]).max() < 0.06


def test_neighbours_speak_where_the_frame_is_silent_and_nobody_where_all_are():
    own, other = word(0, 0, 0.01), word(1, 1, 0.01)
    silent = own.inverse.copy()
    silent[8:14, 8:14] = 0
    holed = FrameWord(silent, np.where(silent > 0, own.relative, np.inf).astype(np.float32), K, pose(0), STEP)
    value, _ = agreed(holed, [other])
    np.testing.assert_allclose(value[8:14, 8:14], sloping(pose(0))[8:14, 8:14], rtol=0.05)
    alone, relative = agreed(holed, [])
    assert (alone[8:14, 8:14] == 0).all()
    assert np.isinf(relative[8:14, 8:14]).all()


def test_nobody_is_surer_than_the_pictures_that_all_share():
    sure = word(0, 0, 1e-6)
    assert agreed(sure, [sure])[1].min() > FIRMEST / 2
