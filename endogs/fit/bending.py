"""Motion, and everything else a spline says, kept from bending in time: its second difference, taken down step by step.

The penalty of P-splines (Eilers & Marx, "Flexible smoothing with B-splines and penalties", 1996), for uneven knots: a
spline is a straight line in time where its control points lie on one at their Greville times (C. de Boor, "A practical
guide to splines", 1978). Outside Adam, which would take full steps however small this gradient is.
"""

import torch

from endogs.scene.deformation.spline import Knots, SplineDeformation


def greville_time(knots: Knots, control_point: int) -> float:
    """Seconds: the mean of the three knots inside a control point's reach."""
    return sum(knots.extended[control_point + 1 : control_point + 4]) / 3


@torch.no_grad()
def relax_bending(deformation: SplineDeformation, time: float, weight: float) -> None:
    """Move the inner two of the four control points (N, 14) that are active at `time` (seconds), one after the other
    and in place, the part `weight` in [0, 1] of the way to the line between their neighbours, where their second
    divided difference is 0.
    """
    control, knots = deformation.control, deformation.knots
    index, _ = knots.locate(time)
    for k in (index + 1, index + 2):
        before, at, after = (greville_time(knots, other) for other in (k - 1, k, k + 1))
        share = (at - before) / (after - before)
        control[k].lerp_(torch.lerp(control[k - 1], control[k + 1], share), weight)
