"""Deformation pays for being there: what pictures do not insist on goes to rest, and only under a moving camera."""

import math

import pytest
import torch

from endogs.fit.config import FitConfig
from endogs.fit.optimize.rest_pull import RestPull
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.gaussians import CHANNELS
from endogs.scene import Knots, SplineDeformation

KNOTS = Knots.over(0.0, 1.0, 0.25)
COUNT = 6


def control(seed: int = 0) -> torch.Tensor:
    return torch.randn(KNOTS.count, COUNT, CHANNELS, generator=torch.Generator().manual_seed(seed))


def rest() -> torch.Tensor:
    return torch.linspace(-1, 1, 3 * KNOTS.count).reshape(KNOTS.count, 3)


def rows_at_rest() -> torch.Tensor:
    return torch.cat([rest(), torch.zeros(KNOTS.count, CHANNELS - 3)], 1)[:, None].expand(-1, COUNT, -1).clone()


def optimizer(pull: RestPull | None, start: torch.Tensor | None = None) -> SplineAdam:
    start = control() if start is None else start
    base = torch.zeros(COUNT, CHANNELS)
    return SplineAdam(base, SplineDeformation(start.clone(), KNOTS), FitConfig(), 0.1, rest_pull=pull)


def test_the_step_is_the_minimum_of_its_proximal_problem():
    # argmin_x |x - before|^2 / 2 + length |x|, with x from rest, found by trying.
    moving, share, weight, step = control(), 2.0, 0.3, 0.4
    after = moving.clone()
    RestPull(rest(), share).apply([(2, after[2], weight)], step)
    for row in range(COUNT):
        before, found = moving[2, row, :3] - rest()[2], after[2, row, :3] - rest()[2]

        def cost(x, before=before):
            return float((x - before).square().sum() / 2 + share * weight * step * x.norm())

        directions = torch.randn(200, 3, generator=torch.Generator().manual_seed(row))
        assert all(cost(found) <= cost(found + 0.01 * d) + 1e-6 for d in directions)
    assert torch.equal(after[2, :, 3:], moving[2, :, 3:]), "only positions rest"
    others = [k for k in range(KNOTS.count) if k != 2]
    assert torch.equal(after[others], moving[others])


def test_without_a_gradient_everything_goes_to_rest_and_stays_there():
    trained = optimizer(RestPull(rest(), 3.0), rows_at_rest() + 0.01 * control())
    for k in range(600):
        trained.step(torch.zeros(COUNT, CHANNELS), (k % 10) / 10, 0.0)
    touched = [knot for knot, steps in enumerate(trained.knot_steps) if steps > 100]
    found = trained.deformation.tensors()["control"][touched, :, :3]
    torch.testing.assert_close(found, rows_at_rest()[touched, :, :3], atol=1e-5, rtol=0)


def test_what_every_picture_asks_for_wins_and_what_they_ask_for_in_turns_loses():
    still = torch.zeros(KNOTS.count, COUNT, CHANNELS)
    trained = optimizer(RestPull(torch.zeros(KNOTS.count, 3), 1.0), still)
    free = optimizer(None, still)
    for k in range(200):
        gradient = torch.zeros(COUNT, CHANNELS)
        gradient[0, 0] = -1e-4  # however small, always to the right
        gradient[1, 0] = 1e-2 * math.copysign(1, math.sin(17.0 * k * k))
        for each in (trained, free):
            each.step(gradient, 0.5, 0.0)
    moved, freely = (abs(each.packed_at(0.5)[:, 0] - each.base[:, 0]) for each in (trained, free))
    assert moved[0] > 0.4 * freely[0]
    assert moved[1] < 0.2 * freely[1]


def test_a_pull_of_nothing_changes_nothing():
    first, second = optimizer(None), optimizer(RestPull(rest(), 0.0))
    for k in range(5):
        gradient = torch.randn(COUNT, CHANNELS, generator=torch.Generator().manual_seed(k))
        first.step(gradient, k / 5, k / 5)
        second.step(gradient, k / 5, k / 5)
    assert "rest" not in first.state()
    torch.testing.assert_close(second.state()["control"], first.state()["control"])


def test_a_checkpoint_holds_where_things_rest_and_time_that_goes_on_carries_it():
    trained, other = optimizer(RestPull(rest(), 1.0)), optimizer(RestPull(torch.zeros(KNOTS.count, 3), 1.0))
    other.load_state({name: tensor.clone() for name, tensor in trained.state().items()})
    for each in (trained, other):
        each.step(torch.ones(COUNT, CHANNELS), 0.4, 0.0)
    assert torch.equal(trained.state()["control"], other.state()["control"])
    trained.cover(0.6, 2.0)
    pull = trained.rest_pull
    assert pull is not None
    assert len(pull.rest) == len(trained.deformation.tensors()["control"])
    assert torch.equal(pull.rest[-1], rest()[-1])


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_nothing_is_pulled_past_its_rest(share):
    near = rows_at_rest() + 1e-4
    RestPull(rest(), share).apply([(1, near[1], 1.0)], 10.0)
    torch.testing.assert_close(near[1, :, :3], rest()[1].expand(COUNT, 3))
