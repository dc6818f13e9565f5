"""The first Gaussians by known poses: every surface once, from where it is near, in every training frame."""

import numpy as np
import pytest

from endogs.clip.frame_source import Frame
from endogs.errors import InputError
from endogs.gaussians import COLORS, LOG_SCALES, MEANS
from endogs.priors.motion.flow import ClipFlows
from endogs.seeding.initialization import uncovered_mask
from endogs.seeding.observations import Observations
from endogs.seeding.placement import StartStyle
from endogs.seeding.posed_start import initialize_by_poses, on_surface, seeds_by_poses

WIDTH, HEIGHT, FAR = 48, 36, 60.0
K = np.array([[40.0, 0, 24], [0, 40.0, 18], [0, 0, 1]])
STYLE = StartStyle(0.8, 0.5)


def wall_seen_from(*places, masks=None):
    """A wall at z = FAR, coloured by its x, seen straight on from places (x, y, z)."""
    frames, depths = [], []
    for number, place in enumerate(places):
        pose = np.eye(4)
        pose[:3, 3] = -np.asarray(place, float)
        z = FAR - place[2]
        x = (np.arange(WIDTH) + 0.5 - K[0, 2]) / K[0, 0] * z + place[0]
        shade = np.clip(128 + x, 0, 255).astype(np.uint8)
        image = np.broadcast_to(shade[None, :, None], (HEIGHT, WIDTH, 3)).copy()
        mask = np.ones((HEIGHT, WIDTH), bool) if masks is None else masks[number]
        frames.append(Frame(number, 0.1 * number, image, mask, K, pose))
        depths.append(np.full((HEIGHT, WIDTH), z, np.float32))
    flows = ClipFlows(lambda i: frames[i].image)
    return Observations(frames, flows, lambda k: depths[k], True)


def points_of(observations, seeds):
    parts = [
        observations.unproject(f, seeds.pixels[k : k + 1], seeds.depth[k : k + 1]) for k, f in enumerate(seeds.frame)
    ]
    return np.concatenate(parts).astype(np.float32)


def test_every_frame_is_covered_and_no_surface_twice():
    observations = wall_seen_from(*((float(x), 0, 0) for x in range(0, 80, 8)))
    seeds = seeds_by_poses(observations, 2.0)
    points = points_of(observations, seeds)
    for frame in range(len(observations)):
        pixels = on_surface(observations, frame, points, observations.depth(frame))
        assert not uncovered_mask(pixels, observations.masks[frame], 2.0).any()
    swept = (WIDTH + 72 * K[0, 0] / FAR) * HEIGHT
    assert len(seeds) == pytest.approx(swept / 4, rel=0.2)


def test_the_nearest_frame_sows_first_and_the_others_what_it_does_not_see():
    observations = wall_seen_from((0, 0, 0), (0, 0, 40))
    seeds = seeds_by_poses(observations, 2.0)
    assert np.count_nonzero(seeds.frame == 1) == pytest.approx(WIDTH * HEIGHT / 4, rel=0.1)
    middle = (np.abs(seeds.pixels - [24, 18]) < [7, 5]).all(1)
    assert not (middle & (seeds.frame == 0)).any()


def test_what_lies_behind_a_frames_surface_covers_nothing():
    observations = wall_seen_from((0, 0, 0))
    points = np.float32([[0, 0, FAR], [0, 0, 2 * FAR], [0, 0, 0.5 * FAR], [0, 0, -FAR]])
    assert on_surface(observations, 0, points, observations.depth(0)).tolist() == [[24, 18]]


def test_gaussians_lie_on_the_wall_in_its_colours_and_are_never_too_many():
    observations = wall_seen_from((0, 0, 0), (20, 0, 10))
    base, control = initialize_by_poses(observations, 300, None, STYLE)
    assert control is None
    assert 200 < len(base) <= 300
    np.testing.assert_allclose(base[:, MEANS][:, 2], FAR, rtol=1e-5)
    np.testing.assert_allclose(base[:, COLORS][:, 1] * 255, 128 + base[:, MEANS][:, 0], atol=3)
    nearer = base[:, LOG_SCALES][:, 0].exp().numpy()
    assert nearer.max() / nearer.min() == pytest.approx(60 / 50, rel=1e-3), "as wide as the pixels that showed them"


def test_frames_without_tissue_are_passed_over():
    empty, full = np.zeros((HEIGHT, WIDTH), bool), np.ones((HEIGHT, WIDTH), bool)
    observations = wall_seen_from((0, 0, 0), (0, 0, 40), masks=[full, empty])
    assert set(seeds_by_poses(observations, 3.0).frame) == {0}
    with pytest.raises(InputError, match="too little tissue"):
        initialize_by_poses(wall_seen_from((0, 0, 0), masks=[empty]), 100, None, STYLE)
