"""Placing Gaussians: lattice, holes, tracks and what later frames uncover."""

import numpy as np
import pytest
import torch
from samples.sliding_clip import SPEED, masked_frames, sliding_clip

from endogs.errors import InputError
from endogs.gaussians import COLORS, LOG_SCALES, MEANS
from endogs.priors.motion.flow import ClipFlows
from endogs.scene import Knots
from endogs.seeding.initialization import filled, initialize, lattice, seed_tissue, uncovered_mask
from endogs.seeding.observations import Observations, follow, lookup
from endogs.seeding.placement import StartStyle


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    clip = sliding_clip(tmp_path_factory.mktemp("clip"))
    frames = [i for i in range(len(clip)) if i != 1]
    flows = ClipFlows(clip.image, finest_scale=0)
    depth = np.full((clip.height, clip.width), 100, np.float32)
    return clip, Observations([clip.frame(i) for i in frames], flows, lambda k: depth, False)


def test_lattice_is_even_and_inside():
    points = lattice(60, 40, 3.0)
    assert len(points) == pytest.approx(60 * 40 / 9, rel=0.1)
    assert (points >= 0).all()
    assert (points < [60, 40]).all()
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1) + 99 * np.eye(len(points))
    assert gaps.min() > 2.9


def test_holes_continue_from_around_them_and_known_values_stay():
    values = np.tile(np.linspace(50, 100, 64, dtype=np.float32), (48, 1))
    holed = values.copy()
    holed[10:30, 20:40] = 0
    out = filled(holed)
    assert np.array_equal(out[holed > 0], values[holed > 0])
    assert np.abs(out - values).max() < 8
    assert (filled(np.zeros((5, 7), np.float32)) == 0).all()


def test_lookup_reads_pixel_centres():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)[..., None]
    assert lookup(image, np.float32([[0.5, 0.5], [3.5, 2.5], [1.0, 0.5]])).ravel().tolist() == [0, 11, 0.5]
    assert lookup(image, np.zeros((0, 2), np.float32)).shape[0] == 0


def test_tracks_follow_the_tissue_from_each_points_own_frame(observed):
    _clip, observations = observed
    pixels = np.float32([[20.5, 18.5], [26.5, 10.5], [22.5, 25.5]])
    start = np.array([0, 4, 8])
    tracks = follow(observations, start, pixels, np.full(3, 100, np.float32))
    numbers = np.array([frame.number for frame in observations.frames])
    elapsed = numbers[:, None] - numbers[start][None]
    expected = pixels[None, :, 0] + SPEED * elapsed
    assert tracks.valid.mean() > 0.9
    error = np.abs(tracks.positions[..., 0] - expected)[tracks.valid]
    assert error.max() < 0.6
    assert np.abs(tracks.colors - tracks.colors[0, 0])[:, 0].max() < 0.1
    for point, frame in enumerate(start):
        assert np.array_equal(tracks.positions[frame, point], pixels[point])


def test_first_gaussians_project_onto_their_tissue_over_time(observed):
    clip, observations = observed
    knots = Knots.over(0.0, float(clip.times[-1]), 0.2)
    base, control = initialize(observations, 300, knots, StartStyle(0.8, 0.7))
    assert 200 < len(base) <= 300
    assert control.shape == (knots.count, len(base), 14)
    assert torch.isfinite(base).all()
    basis = torch.from_numpy(knots.basis(clip.times)).float()
    means = base[:, MEANS] + torch.einsum("fk,knc->fnc", basis, control)[..., MEANS]
    x = means[..., 0] / means[..., 2] * clip.K[0, 0, 0] + clip.K[0, 0, 2]
    y = means[..., 1] / means[..., 2] * clip.K[0, 1, 1] + clip.K[0, 1, 2]
    inner = (x[0] > 8) & (x[0] < 36) & (y[0] > 4) & (y[0] < 32)
    speed = (x[-1] - x[0])[inner] / (len(clip) - 1)
    assert inner.sum() > 50
    assert float(speed.median()) == pytest.approx(SPEED, abs=0.08)
    assert float(y[:, inner].std(0).median()) < 0.2
    rows = y[0, inner].numpy()
    assert rows.max() < 36.5
    image = clip.image(0).astype(np.float32) / 255
    color = image[y[0, inner].long(), x[0, inner].long()]
    start = (base[:, COLORS] + torch.einsum("k,knc->nc", basis[0], control)[:, COLORS])[inner]
    assert np.abs(start.numpy() - color).mean() < 0.06
    assert base[:, LOG_SCALES].exp().median() == pytest.approx(0.7 * np.sqrt(36 * 48 / (0.85 * 300)) * 2, rel=0.2)


def test_what_tracks_left_uncovered_is_found():
    mask = np.ones((40, 48), bool)
    points = lattice(48, 40, 2.0)
    assert not uncovered_mask(points, mask, 2.0).any()
    gap = uncovered_mask(points[points[:, 0] < 30], mask, 2.0)
    assert gap[:, 36:].all()
    assert not gap[:, :26].any()
    mask[:, 36:] = False
    assert not uncovered_mask(points[points[:, 0] < 36], mask, 2.0).any()


def test_occluded_pixels_get_a_backdrop(observed):
    clip, observations = observed
    numbers = [frame.number for frame in observations.frames]
    masks = [mask.copy() for mask in observations.masks]
    unseen = np.zeros_like(masks[0])
    unseen[10:24, 14:30] = True
    for mask in masks:
        mask[unseen] = False
    hidden = Observations(
        masked_frames(clip, numbers, masks),
        ClipFlows(clip.image),
        observations.depth,
        False,
    )
    base, _ = initialize(hidden, 300, None, StartStyle(0.8, 0.7), unseen)
    x = base[:, 0] / base[:, 2] * clip.K[0, 0, 0] + clip.K[0, 0, 2]
    y = base[:, 1] / base[:, 2] * clip.K[0, 1, 1] + clip.K[0, 1, 2]
    behind = (x > 15) & (x < 29) & (y > 11) & (y < 23)
    assert behind.sum() >= 4
    assert float(base[behind][:, COLORS].mean()) == pytest.approx(float(base[~behind][:, COLORS].mean()), abs=0.1)


def test_no_tissue_is_an_input_error(observed):
    clip, observations = observed
    numbers = [frame.number for frame in observations.frames]
    empty = [np.zeros_like(mask) for mask in observations.masks]
    nothing = Observations(
        masked_frames(clip, numbers, empty),
        ClipFlows(clip.image),
        observations.depth,
        False,
    )
    with pytest.raises(InputError, match="tissue"):
        initialize(nothing, 100, None, StartStyle(0.8, 0.7))


@pytest.mark.parametrize("metric", [True, False])
def test_a_frame_without_tissue_does_not_double_the_seeds(tmp_path, metric):
    clip = sliding_clip(tmp_path, 12)
    depth = np.full((clip.height, clip.width), 100, np.float32)
    counts = []
    for blank in (None, 7):
        masks = [clip.tissue_mask(i) & (i != blank) for i in range(12)]
        flows = ClipFlows(clip.image, finest_scale=0)
        observations = Observations(masked_frames(clip, range(12), masks), flows, lambda k: depth, metric)
        counts.append(sum(len(seeds) for seeds, _ in seed_tissue(observations, 2.0)))
    assert counts[1] == pytest.approx(counts[0], rel=0.05)
