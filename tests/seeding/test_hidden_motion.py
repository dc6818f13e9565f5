"""Tissue behind instruments: its motion is continued from around it, and points come out where they should."""

import numpy as np
import pytest
import torch
from samples.sliding_clip import HEIGHT, SPEED, WIDTH, masked_frames, sliding_clip

from endogs.gaussians import MEANS
from endogs.priors.motion.flow import ClipFlows, dis_flow
from endogs.priors.tissue_image import tissue_image
from endogs.scene import Knots
from endogs.seeding.carried_motion import carried_motion, grid_lookup
from endogs.seeding.gap_closing import close_gaps, gap_ends
from endogs.seeding.initialization import BACKDROP_DEPTH, initialize, keep_behind, spread_between
from endogs.seeding.observations import ColoredTracks, Observations, follow, lookup
from endogs.seeding.placement import StartStyle
from endogs.seeding.smooth_fill import fill_smoothly


def test_planes_are_continued_exactly_and_known_values_stay(monkeypatch):
    monkeypatch.setattr("endogs.seeding.smooth_fill.TENSION", 1e-6)
    from endogs.seeding.smooth_fill import _energy

    _energy.cache_clear()
    y, x = np.mgrid[:20, :24].astype(np.float32)
    plane = np.stack([0.3 * x - 0.2 * y + 1, -0.1 * x + 0.4 * y], -1)
    known = np.ones((20, 24), bool)
    known[6:12, 8:24] = False  # reaches the border, as instruments do
    found = fill_smoothly(np.where(known[..., None], plane, 77), known)
    _energy.cache_clear()
    assert np.array_equal(found[known], plane[known])
    assert np.abs(found - plane).max() < 1e-2


def test_a_dome_is_rounded_over_and_nothing_known_gives_zero():
    y, x = np.mgrid[:30, :30].astype(np.float32)
    dome = np.exp(-((x - 15) ** 2 + (y - 15) ** 2) / 120)[..., None]
    known = np.ones((30, 30), bool)
    known[11:20, 11:20] = False
    found = fill_smoothly(dome, known)
    around = dome[known].max()
    assert found[15, 15, 0] > around + 0.5 * (dome.max() - around), "a membrane would stay below its rim"
    assert (fill_smoothly(dome, np.zeros_like(known)) == 0).all()


def test_motion_and_approach_are_continued_behind_an_instrument():
    height, width = 96, 128
    y, x = np.mgrid[:height, :width].astype(np.float32)
    flow = np.stack([1.5 + 0.01 * y, 0.02 * x - 1], -1).astype(np.float32)
    mask = np.ones((height, width), bool)
    mask[30:56, 50:] = False
    dragged = np.where(mask[..., None], flow, 9).astype(np.float32)  # the instrument goes elsewhere
    depths = np.full((height, width), 80, np.float32), np.full((height, width), 80 * 1.01, np.float32)
    depths[1][~mask] = 40
    grid = carried_motion(dragged, -dragged, (mask, mask), depths, 0.1)
    at = np.float32([[90.5, 43.5], [70.5, 40.5], [20.5, 20.5]])
    found = grid_lookup(grid, at, (height, width), lookup)
    expected = flow[at[:, 1].astype(int), at[:, 0].astype(int)]
    assert np.abs(found[:, :2] - expected).max() < 0.15
    assert np.abs(found[:, 2] - np.log(1.01)).max() < 2e-3
    without = carried_motion(dragged, -dragged, (mask, mask), None, 0.1)
    assert (without[..., 2] == 0).all()


def test_gaps_are_closed_linearly_on_both_sides_of_the_own_frame():
    seen = np.array([[1, 1], [0, 0], [0, 0], [1, 0], [1, 1], [0, 0]], bool)
    start = np.array([4, 0])
    near, far = gap_ends(seen, start)
    assert near[:, 0].tolist() == [0, 3, 3, 3, 4, 4]
    assert far[:, 0].tolist() == [0, 0, 0, 3, 4, -1]
    assert far[:, 1].tolist() == [0, 4, 4, 4, 4, -1]
    depth = np.full((6, 2), 100, np.float32)
    jump = np.zeros((6, 2), np.float32)
    jump[0, 0], jump[4, 1] = np.log(1.03), np.log(1.04)
    colors = np.zeros((6, 2, 3), np.float32)
    colors[0, 0] = 0.9
    close_gaps(depth, colors, jump, seen, start)
    np.testing.assert_allclose(
        np.log(depth[:, 0] / 100), np.log(1.03) * np.array([0, 2 / 3, 1 / 3, 0, 0, 0]), atol=1e-5
    )
    np.testing.assert_allclose(depth[[1, 2, 3], 1], 100 * 1.04 ** np.array([0.25, 0.5, 0.75]), rtol=1e-5)
    np.testing.assert_allclose(colors[:4, 0, 0], [0.9, 0.6, 0.3, 0], atol=1e-6)
    assert depth[5].tolist() == [100, 100], "what is not seen again has nothing to end at"


@pytest.fixture(scope="module")
def barred(tmp_path_factory) -> Observations:
    """The sliding clip behind a still bar, ten pixels wide."""
    clip = sliding_clip(tmp_path_factory.mktemp("clip"), 24)
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, 22:32] = False
    mask[36:] = False
    frames = list(range(24))
    flows = ClipFlows(clip.image, finest_scale=0)
    depth = np.full((HEIGHT, WIDTH), 100, np.float32)
    return Observations(masked_frames(clip, frames, [mask] * 24), flows, lambda k: depth, True)


def test_a_point_goes_behind_an_instrument_and_comes_out_where_it_should(barred):
    tracks = follow(barred, np.array([0]), np.float32([[18.5, 18.5]]), np.float32([100]))
    expected = 18.5 + SPEED * np.arange(24)
    hidden = (expected > 22.5) & (expected < 31.5)
    assert hidden.sum() > 8
    assert not tracks.seen[hidden, 0].any()
    assert tracks.seen[expected > 35, 0].all()
    assert np.abs(tracks.positions[:, 0, 0] - expected).max() < 2.5
    assert not tracks.valid[hidden.argmax() :, 0].any(), "what was hidden is not confirmed by flow any more"


def test_tissue_that_nothing_shows_is_filled_and_moves_with_what_is_around(barred):
    hidden = ~barred.masks[0]
    hidden[36:] = False
    knots = Knots.over(0.0, float(barred.times[-1]), 0.3)
    base, control = initialize(barred, 400, knots, StartStyle(0.8, 0.7), hidden)
    assert control is not None
    basis = torch.from_numpy(knots.basis(barred.times)).float()
    means = base[:, MEANS] + torch.einsum("fk,knc->fnc", basis, control)[..., MEANS]
    x = means[..., 0] / means[..., 2] * barred.K[0, 0, 0] + barred.K[0, 0, 2]
    middle = 12
    behind = (x[middle] > 24) & (x[middle] < 30)
    assert behind.sum() >= 4, "no hole behind the bar"
    speed = (x[middle + 4] - x[middle - 4])[behind] / 8
    assert float(speed.median()) == pytest.approx(SPEED, abs=0.2)


def behind_a_moving_bar(folder):
    """The sliding clip, its frames with a bright bar that moves against the tissue, and the tissue masks."""
    clip = sliding_clip(folder, 3)
    images, masks = [clip.image(i).copy() for i in range(3)], []
    for i, image in enumerate(images):
        mask = np.ones((HEIGHT, WIDTH), bool)
        mask[:, 24 - 3 * i : 32 - 3 * i] = False
        image[~mask] = 250
        masks.append(mask)
    return clip, images, masks


def test_flow_of_frames_with_the_instrument_painted_over_is_not_dragged(tmp_path):
    """Beside the bar the flow of the plain frames is the bar's."""
    _, images, masks = behind_a_moving_bar(tmp_path)
    painted = [tissue_image(image, mask) for image, mask in zip(images[:2], masks, strict=False)]
    assert painted[0].dtype == np.uint8
    assert np.abs(painted[0].astype(int)[:, :20] - images[0][:, :20].astype(int) @ [0.299, 0.587, 0.114]).max() < 2
    rim = np.s_[6:30, 12:20]  # tissue in both frames
    plain = dis_flow(images[0], images[1], finest_scale=0)[rim][..., 0]
    better = dis_flow(*painted, finest_scale=0)[rim][..., 0]
    assert np.abs(better - SPEED).mean() < 0.8 * np.abs(plain - SPEED).mean()


def test_the_backdrop_stays_behind_a_surface_whose_depth_changes(tmp_path):
    """What was carried too near or too far is put behind the surface, but not where the point has left the image."""
    clip = sliding_clip(tmp_path, 9)
    frames = list(range(9))
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, 22:32] = False
    depths = [np.full((HEIGHT, WIDTH), 100 + 0.5 * k, np.float32) for k in frames]
    seen = Observations(
        masked_frames(clip, frames, [mask] * 9), ClipFlows(clip.image, finest_scale=0), lambda k: depths[k], True
    )
    positions = np.repeat(np.float32([[26, 18], [27, 20], [26, 18]])[None], 9, 0)
    positions[5:, 1, 0] = WIDTH + 5
    depth = np.full((9, 3), 100 * BACKDROP_DEPTH, np.float32)
    depth[:, 2] *= 1.5  # of something else
    nothing = np.zeros((9, 3), bool)
    tracks = ColoredTracks(positions, nothing, nothing, np.zeros((9, 3, 3), np.float32), depth, np.zeros(3, bool))
    keep_behind([tracks], seen, [])
    expected = BACKDROP_DEPTH * (100 + 0.5 * np.arange(9))
    np.testing.assert_allclose(tracks.depth[:, 0], expected, rtol=2e-4)
    np.testing.assert_allclose(tracks.depth[:5, 1], expected[:5], rtol=2e-4)
    np.testing.assert_allclose(tracks.depth[5:, 1], expected[4], rtol=2e-4)
    np.testing.assert_allclose(tracks.depth[:, 2], 150 * BACKDROP_DEPTH)


def test_values_are_spread_between_the_frames_that_know_them():
    values = np.float32([[0, np.nan, 1, np.nan], [2, 3, np.nan, np.nan], [np.nan, 5, np.nan, np.nan]])
    spread = spread_between(values, [0, 2, 4], 6)
    np.testing.assert_allclose(spread.T, [[0, 1, 2, 2, 2, 2], [3, 3, 3, 4, 5, 5], [1] * 6, [0] * 6])
    assert spread_between(np.float32([[7]]), [0], 1).tolist() == [[7]]


def test_painted_flow_is_not_dragged_by_the_instrument(tmp_path):
    """The flow that the coarse field is made of, with the options it is made with."""
    clip, images, masks = behind_a_moving_bar(tmp_path)
    depth = np.full((HEIGHT, WIDTH), 100, np.float32)
    observations = Observations(masked_frames(clip, [0, 1, 2], masks), ClipFlows(clip.image), lambda k: depth, True)
    observations.images = images
    plain = dis_flow(images[0], images[1], finest_scale=0)[6:30, 12:20, 0]
    painted = observations._painted_flow(0, 1)[6:30, 12:20, 0]
    assert np.abs(painted - SPEED).mean() < 0.8 * np.abs(plain - SPEED).mean()
