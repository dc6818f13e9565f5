"""The headlight and exposures of a moving camera are found from its pictures, and taken off them again."""

import numpy as np
import pytest
import torch

from endogs.camera import Camera
from endogs.clip.frame_source import Frame
from endogs.priors.motion.flow import ClipFlows
from endogs.scene.appearance import HeadlightColors
from endogs.seeding.light_estimate import estimate_light
from endogs.seeding.observations import Observations
from endogs.seeding.unlit_images import light_on_image, take_off

WIDTH, HEIGHT, FAR = 64, 48, 60.0
K = np.array([[40.0, 0, 32], [0, 40, 24], [0, 0, 1]])
BEAM = torch.tensor([0.0, 0.8, 0.15, -0.1, -0.5, -0.4, 0.2])
PLACES = [(-8.0, 0, 0), (0, 5, 12), (6, -4, 24), (12, 3, 10), (4, 8, -6), (-10, -6, 18)]
GAINS = np.array([[1.0, 0.9, 1.05], [1.1, 1, 1], [0.85, 0.95, 0.9], [1.05, 1, 1.1], [1, 1.1, 1], [0.95, 1, 0.9]])
EVEN = HeadlightColors.even(50.0, Camera.from_numpy(K, np.eye(4), WIDTH, HEIGHT))
LIGHT = HeadlightColors(BEAM, EVEN.distance, EVEN.reach)


def albedo(x, y):
    """(..., 3) of a wall at points in its plane: smooth, because pictures are."""
    waves = (np.sin(x / 7) + np.cos(y / 6), np.sin(x / 9 + y / 8), np.cos(x / 8 - y / 9))
    return np.stack([0.45 + 0.06 * wave for wave in waves], -1)


def wall(places=PLACES, light=LIGHT, gains=GAINS):
    """A wall seen from camera centres `places`, in a light that goes with the camera."""
    frames, depths = [], []
    for k, place in enumerate(places):
        pose = np.eye(4)
        pose[:3, 3] = -np.array(place, float)
        z = FAR - place[2]
        column, row = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        x, y = (column - K[0, 2]) / K[0, 0] * z, (row - K[1, 2]) / K[1, 1] * z
        points = torch.from_numpy(np.stack([x, y, np.full_like(x, z)], -1))
        shade = (light.features(points) @ light.beam.double()).exp().numpy()[..., None]
        image = np.rint(
            np.clip((albedo(x + place[0], y + place[1]) + 0.055) * shade * gains[k] - 0.055, 0, 1) * 255
        ).astype(np.uint8)
        frames.append(Frame(k, 0.1 * k, image, np.ones((HEIGHT, WIDTH), bool), K, pose))
        depths.append(np.full((HEIGHT, WIDTH), z, np.float32))
    return Observations(frames, ClipFlows(lambda i: frames[i].image), lambda k: depths[k], True)


def test_light_and_exposures_are_found_up_to_one_factor():
    # Of a plane that the camera faces, a frame's distance and its exposure cannot be told apart; their product can.
    observations = wall()
    found = estimate_light(observations, EVEN)
    gains = found.exposure.values[:, 0].exp().numpy()
    ratios = [
        gains[k]
        * light_on_image(observations, found.headlight, k)[..., None]
        / (GAINS[k] * light_on_image(observations, LIGHT, k)[..., None])
        for k in range(len(observations))
    ]
    np.testing.assert_allclose(ratios / np.mean(ratios, (0, 1, 2)), 1, atol=0.06)
    assert np.std(ratios) / np.mean(ratios) < 0.02


def test_images_without_their_light_agree_where_they_show_the_same():
    observations = wall()
    take_off(observations, estimate_light(observations, EVEN))
    middle = np.array([image[HEIGHT // 2, WIDTH // 2] for image in observations.images], float)
    x, y, _ = np.array(PLACES).T
    factor = middle / albedo(x, y)
    np.testing.assert_allclose(factor / factor.mean(0), 1, atol=0.05)
    before = np.array([frame.image[HEIGHT // 2, WIDTH // 2] for frame in observations.frames]) / albedo(x, y)
    assert before.std(0).min() / before.mean() > 0.1


@pytest.mark.parametrize("places", [[(0.0, 0, 0)], [(0.0, 0, 0), (500, 0, 0)]], ids=["one frame", "nothing shared"])
def test_without_shared_places_the_light_is_even(places):
    found = estimate_light(wall(places), EVEN)
    assert not found.headlight.beam.any()
    assert not found.exposure.values.any()
