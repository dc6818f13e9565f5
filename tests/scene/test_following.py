"""Points of the tissue go where the Gaussians around them go, one or many, and faint Gaussians do not carry them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.live_scene import DISTANCE, FRAMES, RATE

from endogs.gaussians import OPACITY
from endogs.scene.following import CARRIERS, FEW, follow_points


@pytest.fixture(scope="module")
def points():
    """More than are found one by one, (P, 3) on the sheet, and when each is there."""
    generator = np.random.default_rng(0)
    places = generator.uniform([-30, -25], [30, 25], (2 * FEW + 3, 2))
    named = generator.choice([0.0, 0.31, 0.5], len(places))
    return np.column_stack([places, np.full(len(places), DISTANCE)]), named


def test_every_point_goes_with_the_tissue_from_its_own_time(scene, points):
    start, named = points
    found = follow_points(scene, start, named, scene.times)
    assert found.shape == (FRAMES, len(start), 3)
    scale = (1 + RATE * scene.times[:, None]) / (1 + RATE * named)
    assert found[..., 0] == pytest.approx(start[:, 0] * scale, rel=0.02, abs=0.05)
    assert found[..., 1:] == pytest.approx(np.tile(start[:, 1:], (FRAMES, 1, 1)), abs=1e-6)
    where = np.stack([follow_points(scene, start, named, np.array([time]))[0] for time in (0.0, 0.31, 0.5)])
    at_its_time = where[np.searchsorted([0.0, 0.31, 0.5], named), np.arange(len(start))]
    assert at_its_time == pytest.approx(start, abs=1e-6), "where it was named"


def test_many_points_go_where_each_goes_alone(scene, points):
    start, _ = points
    together = follow_points(scene, start, np.zeros(len(start)), scene.times)
    alone = [follow_points(scene, start[[i]], np.zeros(1), scene.times)[:, 0] for i in range(len(start))]
    assert together == pytest.approx(np.stack(alone, 1), abs=1e-5)


def test_a_point_that_is_nowhere_stays_there_and_no_points_are_none(scene, points):
    start, named = points[0].copy(), points[1]
    start[1, 2] = np.nan
    found = follow_points(scene, start, named, scene.times)
    assert np.isnan(found[:, 1, 2]).all()
    assert np.isfinite(np.delete(found, 1, 1)).all()
    assert follow_points(scene, start[:0], named[:0], scene.times).shape == (FRAMES, 0, 3)


def test_faint_gaussians_do_not_carry_points(scene, points):
    start, named = points
    ghosts = scene.base.clone()
    ghosts[:, OPACITY] = -3.0
    control = torch.cat([scene.deformation.control, torch.zeros_like(scene.deformation.control)], 1)
    both = replace(scene, base=torch.cat([scene.base, ghosts]), deformation=scene.deformation.with_control(control))
    assert follow_points(both, start, named, scene.times) == pytest.approx(
        follow_points(scene, start, named, scene.times), abs=1e-9
    )


def test_the_more_opaque_of_two_carries_more(scene):
    """Two Gaussians equally far away, of which one moves: the point goes as far as that one's share of the opacity."""
    two = scene.select(torch.arange(2))
    base = two.base.clone()
    base[:, :3] = torch.tensor([[-1.0, 0, DISTANCE], [1.0, 0, DISTANCE]])
    base[:, OPACITY] = torch.logit(torch.tensor([0.9, 0.3]))
    control = torch.zeros_like(two.deformation.control)
    last = control.shape[0] // 2
    control[last:, 0, 1] = 4.0
    pair = replace(two, base=base, deformation=two.deformation.with_control(control))
    found = follow_points(pair, np.array([[0.0, 0, DISTANCE]]), np.zeros(1), scene.times)[:, 0]
    moved = pair.packed_at(float(scene.times[-1]))[0, 1].item()
    assert moved == pytest.approx(4, abs=0.01)
    assert found[-1, 1] == pytest.approx(0.75 * moved, abs=1e-5)


def test_faint_gaussians_carry_points_while_nothing_else_does(scene, points):
    """As at the beginning of a fit that starts with faint ones, which is watched."""
    start, named = points
    faint = replace(scene, base=scene.base.clone())
    faint.base[:, OPACITY] = -3.0
    right = follow_points(scene, start, named, scene.times)
    assert follow_points(faint, start, named, scene.times) == pytest.approx(right, abs=1e-9)


def test_faint_ones_do_not_push_the_last_opaque_ones_aside(scene, points):
    start = points[0][:1]
    few = scene.select(torch.arange(CARRIERS - 1))
    alone = follow_points(few, start, np.zeros(1), scene.times)
    ghosts = few.base[:1].repeat(2 * CARRIERS, 1)
    ghosts[:, :3] = torch.from_numpy(start)
    ghosts[:, OPACITY] = -8.0
    control = few.deformation.control.new_zeros(few.deformation.control.shape[0], len(ghosts), 14)
    both = few.deformation.with_control(torch.cat([few.deformation.control, control], 1))
    haunted = replace(few, base=torch.cat([few.base, ghosts]), deformation=both)
    assert np.abs(alone[-1] - start).max() > 0.1
    assert follow_points(haunted, start, np.zeros(1), scene.times) == pytest.approx(alone, abs=1e-6)


def test_few_gaussians_carry_and_none_cannot(scene):
    start, named = np.array([[10.0, 0.0, DISTANCE]]), np.zeros(1)
    few = scene.select(torch.arange(CARRIERS // 4))
    assert np.isfinite(follow_points(few, start, named, scene.times)).all()
    with pytest.raises(ValueError, match="no tissue to follow"):
        follow_points(scene.select(torch.arange(0)), start, named, scene.times)
