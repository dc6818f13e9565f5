"""Splines where no frame looked: held at what was last seen.

The canonical Gaussians are shared by all times, so while they are trained against the frames that see a Gaussian, its
control points at other times, which get no gradient, drift with them. Behind an instrument that shows as specks.
"""

import torch
from torch import Tensor

from endogs.fit.optimizer import SplineAdam
from endogs.gaussians import COLORS
from endogs.scene.spline import SplineDeformation

FAINT = 1e-8
"""A knot whose mean squared gradient is below this part of the Gaussian's largest was not observed. At 1e-4, motion
that only a few frames show would be lost, and .1 dB with it."""


def observed_knots(variance: Tensor) -> Tensor:
    """Which knots of which Gaussians were trained (Kn, N), from Adam's second moments (Kn, N, 14) of the colours."""
    energy = variance[..., COLORS].sum(-1)
    return (energy > FAINT * energy.amax(0)) & (energy > 0)


def nearest_observed(observed: Tensor) -> Tensor:
    """Index (Kn, N) of the nearest observed knot, the earlier of two; every knot itself where none is observed."""
    count = observed.shape[0]
    knot = torch.arange(count, device=observed.device)[:, None]
    before = torch.where(observed, knot, -count).cummax(0).values
    after = torch.where(observed, knot, 2 * count).flip(0).cummin(0).values.flip(0)
    nearest = torch.where(knot - before <= after - knot, before, after)
    return torch.where(observed.any(0), nearest, knot)


@torch.no_grad()
def hold_unobserved(optimizer: SplineAdam) -> int:
    """Overwrite control points that were not trained with the nearest trained ones; returns how many knots changed."""
    deformation = optimizer.deformation
    if not isinstance(deformation, SplineDeformation) or optimizer.control_moments is None:
        return 0
    observed = observed_knots(optimizer.control_moments.v)
    source = nearest_observed(observed)
    for channel in range(deformation.control.shape[2]):
        deformation.control[..., channel] = deformation.control[..., channel].gather(0, source)
    return int((~observed & observed.any(0)).sum())
