"""Bloop: auxiliary gradients that leave the average colour gradient alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples.small_fits import CONFIG, new_fit

from endogs.errors import FitDiverged
from endogs.fit.bloop import MAIN, Bloop, projected_off
from endogs.fit.density.population import Population
from endogs.fit.objective.losses import UnseenPairs
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.gaussians import ATTRIBUTES, COLORS
from endogs.scene import Knots, SplineDeformation

KNOTS = Knots.evenly(0.0, 1.0, 2)


def rows(seed, count=50):
    return torch.randn(count, 14, generator=torch.Generator().manual_seed(seed))


def test_the_projection_is_orthogonal_per_attribute_and_changes_nothing_else():
    gradient, direction = rows(0), rows(1)
    direction[:, COLORS] = 0
    left = projected_off(gradient, direction)
    for columns in ATTRIBUTES.values():
        dot = float((left[:, columns] * direction[:, columns]).sum())
        assert abs(dot) < 1e-4
    assert torch.equal(left[:, COLORS], gradient[:, COLORS])
    assert torch.allclose(projected_off(left, direction), left, atol=1e-6)
    assert torch.allclose(projected_off(direction, direction), torch.zeros_like(direction), atol=1e-6)


def test_the_average_follows_rows_and_gives_way_only_where_the_view_reaches():
    optimizer = SplineAdam(rows(2), SplineDeformation.at_rest(50, KNOTS), CONFIG, 1.0)
    group = Population(optimizer)
    bloop = Bloop(group, 0.25)
    main = rows(3)
    assert torch.equal(bloop.combine(main, None), main)
    assert torch.allclose(group.rows[MAIN], 0.25 * main)
    keep = torch.arange(50) != 7
    group.keep(keep)
    group.append(rows(4, 2), torch.zeros(KNOTS.count, 2, 14))
    average = group.rows[MAIN].clone()
    assert torch.allclose(average[:49], 0.25 * main[keep])
    assert (average[49:] == 0).all()
    main, auxiliary = rows(5, 51), rows(6, 51)
    main[:20], auxiliary[:20] = 0, 0
    extra = bloop.combine(main, auxiliary) - main
    reached = torch.lerp(average, main, 0.25)
    reached[:20] = 0
    assert (extra[:20] == 0).all()
    for columns in ATTRIBUTES.values():
        assert abs(float((extra[:, columns] * reached[:, columns]).sum())) < 1e-4


@pytest.mark.parametrize("part", ["grad", "auxiliary"])
def test_a_gradient_that_is_not_finite_spoils_no_average(clip, monkeypatch, part):
    fit = new_fit(clip, replace(CONFIG, balance="bloop"))
    fit.advance()
    average = fit.population.rows[MAIN].clone()
    assert float(average.abs().max()) > 0
    evaluate = Objective.evaluate

    def poisoned(*arguments):
        result = evaluate(*arguments)
        bad = torch.full_like(result.grad, float("nan"))
        return replace(result, **{part: bad})

    monkeypatch.setattr(Objective, "evaluate", poisoned)
    with pytest.raises(FitDiverged, match="gradient is not finite"):
        fit.advance()
    assert torch.equal(fit.population.rows[MAIN], average)


def test_main_and_auxiliary_gradients_add_up_to_the_sums(clip):
    """Fused and through autograd, with every auxiliary term there is."""
    fit = new_fit(clip, replace(CONFIG, normal_weight=0.1, hidden_weight=0.3, relative_depth_weight=0.5))
    view, packed = fit.window[0], fit.optimizer.packed_at(0.0)
    hidden = np.zeros((clip.height, clip.width), np.uint8)
    hidden[10:20, 10:20] = 1
    view = replace(view, occluded=torch.from_numpy(hidden))
    assert view.depth is not None
    pairs = UnseenPairs.of(torch.from_numpy(hidden > 0))
    terms = terms_of(TermSetup(fit.config, fit.window.depth_kind, fit.window.anchor, pairs))
    together, apart = (Objective(terms, fit.config, fit.window.depth_kind, apart) for apart in (False, True))
    whole = together.evaluate(packed, view, 0)
    assert {"l1", "dssim", "depth", "normals", "hidden"} == set(whole.terms)
    for result in (apart.evaluate(packed, view, 0), apart.by_autograd(packed.clone().requires_grad_(), view, 0)):
        assert result.loss == pytest.approx(whole.loss, rel=1e-5)
        assert result.terms == pytest.approx(whole.terms, rel=1e-4)
        assert float(result.auxiliary.abs().max()) > 0
        for channel in range(14):
            exact = whole.grad[:, channel]
            mine = (result.grad + result.auxiliary)[:, channel]
            # Round Gaussians do not feel their orientation: what is left there is rounding.
            assert ((mine - exact).abs() <= 2e-4 * exact.abs().max() + 1e-6 * whole.grad.abs().max()).all()
    plain = replace(view, depth=None, depth_weight=None, occluded=None)
    assert apart.evaluate(packed, plain, 1).auxiliary is None
    assert apart.by_autograd(packed.clone().requires_grad_(), plain, 1).auxiliary is None
