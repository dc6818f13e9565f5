"""Motion, and everything else a spline says, kept from bending in time: its second difference, taken down step by step.

The penalty of P-splines (Eilers & Marx, "Flexible smoothing with B-splines and penalties", 1996), for uneven knots: a
spline is a straight line in time where its control points lie on one at their Greville times (C. de Boor, "A practical
guide to splines", 1978). Outside Adam, which would take full steps however small this gradient is.
"""

import torch

from endogs.scene.spline import Knots, SplineDeformation


def greville_times(knots: Knots) -> tuple[float, ...]:
    """(Kn,) seconds: the mean of the three knots inside each control point's reach."""
    t = knots.extended
    return tuple((t[k + 1] + t[k + 2] + t[k + 3]) / 3 for k in range(knots.count))


@torch.no_grad()
def relax_bending(deformation: SplineDeformation, time: float, weight: float) -> None:
    """Move the two inner control points that are active at `time`, in place, the part `weight` in [0, 1] of the way to
    the line between their neighbours: a gradient step on their squared second (divided) difference.
    """
    control, knots = deformation.control, deformation.knots
    index, _ = knots.locate(time)
    at = greville_times(knots)
    for k in (index + 1, index + 2):
        share = (at[k] - at[k - 1]) / (at[k + 1] - at[k - 1])
        control[k].lerp_(torch.lerp(control[k - 1], control[k + 1], share), weight)
