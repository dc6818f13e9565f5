"""Holding splines where no frame looked."""

import torch

from endogs.fit.config import FitConfig
from endogs.fit.optimizer import SplineAdam
from endogs.fit.unobserved import hold_unobserved, nearest_observed
from endogs.gaussians import CHANNELS, COLORS
from endogs.scene import Knots, SplineDeformation


def test_nearest_observed_knot():
    observed = torch.tensor([[0, 0, 1, 0, 0, 0, 1, 0], [0] * 8, [1] * 8], dtype=torch.bool).T
    nearest = nearest_observed(observed).T.tolist()
    assert nearest == [[2, 2, 2, 2, 2, 6, 6, 6], list(range(8)), list(range(8))]


def test_knots_without_gradient_take_the_nearest_trained_value_and_others_stay():
    knots = Knots(0.0, 1.0, 6)
    control = torch.randn(knots.count, 2, CHANNELS, generator=torch.Generator().manual_seed(0))
    optimizer = SplineAdam(torch.zeros(2, CHANNELS), SplineDeformation(control.clone(), knots), FitConfig(), 1.0)
    optimizer.control_moments.v[:4, 0, COLORS] = 1e-4
    optimizer.control_moments.v[:, 1, COLORS] = 1e-4
    assert hold_unobserved(optimizer) == knots.count - 4
    held = optimizer.deformation.control
    assert torch.equal(held[:, 1], control[:, 1])
    assert torch.equal(held[:4, 0], control[:4, 0])
    assert (held[4:, 0] == control[3, 0]).all()
