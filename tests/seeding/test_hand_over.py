"""What a segment takes over from the one before: which Gaussians, where they are, and where they go from there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.sliding_clip import HEIGHT, SPEED, WIDTH, sliding_clip

from endogs.gaussians import CHANNELS, COLORS, OPACITY
from endogs.geometry import project
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.appearance import Appearance, Exposure, HeadlightColors
from endogs.seeding.hand_over import hand_over
from endogs.seeding.observations import Observations
from endogs.seeding.unlit_images import take_off

DEPTH = 100.0
SHARED = 4
"""Frames that the segment before has of those that the window begins with."""


@pytest.fixture(scope="module")
def observations(tmp_path_factory) -> Observations:
    clip = sliding_clip(tmp_path_factory.mktemp("clip"), frames=12)
    frames = [clip.frame(i) for i in range(12)]
    flat = np.full((HEIGHT, WIDTH), DEPTH, np.float32)
    return Observations(frames, ClipFlows(clip.image, finest_scale=0), lambda k: flat, metric=True)


def before(observations: Observations, pixels: list[tuple[float, float]], opacity: float = 3.0) -> Scene:
    """A segment whose Gaussians, at these pixels of its last frame, moved with the tissue until then."""
    count = len(pixels)
    K, last = observations.K[0], SHARED - 1
    base = torch.zeros(count, CHANNELS)
    places = torch.tensor([[(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], 1.0] for x, y in pixels]) * DEPTH
    base[:, :3], base[:, 3], base[:, OPACITY], base[:, 7:10], base[:, COLORS] = places, 1.0, opacity, 0.0, 0.4
    times = observations.times[:SHARED]
    knots = Knots.over(0.0, float(times[-1]), float(times[-1]))
    step = SPEED * DEPTH / float(K[0, 0]) / float(times[1])
    spots = torch.tensor([(k - 1) * float(times[-1]) for k in range(knots.count)])
    control = torch.zeros(knots.count, count, CHANNELS)
    control[:, :, 0] = step * (spots[:, None] - float(times[last]))
    scene = Scene(
        base,
        SplineDeformation(control, knots),
        times,
        observations.K[:SHARED],
        observations.world_to_camera[:SHARED],
        WIDTH,
        HEIGHT,
        "mm",
    )
    scene.identity = torch.arange(1, count + 1) * 10
    return scene


def pixels_of(rows: torch.Tensor, observations: Observations, k: int) -> np.ndarray:
    return project(rows[:, :3].double().numpy(), observations.K[k], observations.world_to_camera[k])[0]


def test_they_are_where_they_were_and_go_on_with_the_tissue(observations):
    scene = before(observations, [(12.5, 10.5), (20.5, 18.5), (16.5, 24.5)])
    knots = Knots.over(0.0, float(observations.times[-1]), 0.15)
    found = hand_over(observations, scene, knots, most=10)
    assert found.identity.tolist() == [10, 20, 30]
    motion = SplineDeformation(found.control, knots)
    for k in range(len(observations)):
        now = pixels_of(motion.packed_at(found.base, float(observations.times[k])), observations, k)
        wanted = pixels_of(found.base, observations, k) + np.array([SPEED * (k - (SHARED - 1)), 0])
        assert np.abs(now - wanted).max() < 0.35, f"frame {k}"


def test_where_tissue_moves_as_a_whole_they_are_where_they_were_too(observations):
    """Canonical places lose what all tissue has moved, and splines have it."""
    scene = before(observations, [(12.5, 10.5), (20.5, 18.5)])
    knots = Knots.over(0.0, float(observations.times[-1]), 0.15)
    breath = np.sin(np.arange(12.0))[:, None] * np.array([1.0, 2.0, 0.5])
    moving = Observations(
        observations.frames, ClipFlows(lambda k: None), observations.depth, True, lambda number: breath[number]
    )
    moving._flows = observations._flows
    found, plain = (hand_over(seen, scene, knots, most=10) for seen in (moving, observations))
    np.testing.assert_allclose(found.base[:, :3] + torch.from_numpy(breath[SHARED - 1]), plain.base[:, :3], atol=1e-5)
    motion, usual = SplineDeformation(found.control, knots), SplineDeformation(plain.control, knots)
    for time in observations.times[:SHARED].tolist():
        now, then = motion.packed_at(found.base, time), usual.packed_at(plain.base, time)
        np.testing.assert_allclose(now[:, :3], then[:, :3], atol=0.2)


def test_no_more_than_asked_for_go_on_and_the_faint_do_not(observations):
    places = [(8.5 + 3 * i, 10.5) for i in range(8)]
    scene = before(observations, places)
    scene.base[:, 7:10] = torch.arange(8)[:, None] * 0.1
    assert hand_over(observations, scene, None, most=3).identity.tolist() == [60, 70, 80], "the largest"
    scene.base[::2, OPACITY] = -6.0
    assert hand_over(observations, scene, None, most=10).identity.tolist() == [20, 40, 60, 80]


def test_what_no_frame_can_see_stays_behind(observations):
    scene = before(observations, [(20.5, 10.5), (500.0, 10.5)])
    scene = replace(scene, base=torch.cat([scene.base, scene.base[:1]]), deformation=StaticDeformation())
    scene.base[2, 2] = -DEPTH
    scene.identity = torch.tensor([1, 2, 3])
    assert hand_over(observations, scene, None, most=10).identity.tolist() == [1]


def test_what_lies_behind_the_surface_rests(observations):
    scene = before(observations, [(20.5, 10.5)])
    hidden = before(observations, [(20.5, 10.5)])
    hidden.base[:, :3] *= 1.5
    knots = Knots.over(0.0, float(observations.times[-1]), 0.15)
    for one, moves in ((scene, True), (hidden, False)):
        one = replace(one, deformation=StaticDeformation())
        one.identity = torch.tensor([1])
        found = hand_over(observations, one, knots, most=10)
        motion = SplineDeformation(found.control, knots)
        far = motion.packed_at(found.base, float(observations.times[-1]))[0, 0] - found.base[0, 0]
        assert (abs(float(far)) > 0.1 * DEPTH / 50) == moves


def test_without_shared_frames_they_go_on_from_where_they_were_last(observations):
    """As where the camera was lost at the end of one segment and the beginning of the next."""
    scene = before(observations, [(20.5, 10.5)])
    scene = replace(scene, times=scene.times - 100.0)
    scene.identity = torch.tensor([1])
    last = scene.packed_at(float(scene.times[-1]))
    knots = Knots.over(0.0, float(observations.times[-1]), 0.15)
    found = hand_over(observations, scene, knots, most=10)
    np.testing.assert_allclose(found.base[:, :3], last[:, :3], atol=1e-5)
    began = SplineDeformation(found.control, knots).packed_at(found.base, float(observations.times[0]))
    np.testing.assert_allclose(began[:, :3], last[:, :3], atol=0.35)
    assert found.identity.tolist() == [1]


def test_colours_lose_the_light_of_their_own_segment_and_that_of_the_new_one(observations):
    """They show the same in the shared frame, in either segment's headlight and exposures."""
    scene = before(observations, [(12.5, 10.5), (20.5, 18.5)])
    reach = (0.5, 0.4)
    old = HeadlightColors(torch.tensor([0.1, 0.8, 0.0, 0.2, -0.4, -0.3, 0.0]), 90.0, reach)
    scene = replace(scene, appearance=Appearance(old, Exposure.neutral(scene.times)))
    new = HeadlightColors(torch.tensor([-0.2, 0.5, 0.1, 0.0, -0.6, -0.5, 0.1]), 110.0, reach)
    exposure = Exposure.neutral(observations.times)
    exposure.values[:, 0] = 0.2
    window = Observations(observations.frames, ClipFlows(lambda k: None), observations.depth, True)
    take_off(window, Appearance(new, exposure))
    found = hand_over(window, scene, None, most=10, followed=False)
    at = float(scene.times[SHARED - 1])
    shown = window.lost.shown(found.base, scene.camera(SHARED - 1), at)
    assert torch.allclose(shown[:, COLORS], scene.shown_at(at)[:, COLORS], atol=1e-5)
