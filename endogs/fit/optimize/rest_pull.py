"""Deformation pays for being there: control points go back a little, step by step, to where tissue rests.

Under a moving camera a free spline explains parallax as well as a true depth does. After each of Adam's steps the
active control points of positions are shortened, as vectors, by a constant length: the proximal step of a sum of their
lengths (group lasso: M. Yuan, Y. Lin, 2006; N. Parikh, S. Boyd, "Proximal algorithms", 2014, section 6.5.1). The length
is a part of Adam's own step, and Adam takes full steps only where gradients agree with each other from view to view: so
what pictures ask for again and again wins, however small its gradient, what they ask for in turns loses, and Gaussians
that no picture shows go to rest. At rest is what moves with all tissue, as in breathing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from endogs.gaussians import MEANS


@dataclass
class RestPull:
    """Where control points rest, and how strongly they are pulled there."""

    rest: Tensor
    """(Kn, 3) the control points of all positions at rest, world units."""
    share: float
    """Of Adam's step of the positions, by which a control point of weight 1 goes back, >= 0."""

    @torch.no_grad()
    def apply(self, slices: Iterable[tuple[int, Tensor, float]], step: float) -> None:
        """Shorten the positions of control points (N, 14), each with its knot and weight, in place; `step` is Adam's
        longest step of a position, world units."""
        for knot, control, weight in slices:
            away = control[:, MEANS] - self.rest[knot]
            length = away.square().sum(1, keepdim=True).sqrt_()
            back = (1 - self.share * weight * step / length.clamp_min_(1e-30)).clamp_min_(0)
            control[:, MEANS] = self.rest[knot] + away * back

    def shift(self, dropped: int, added: int) -> None:
        """Forget `dropped` knots at the beginning, and go on with `added` at the end."""
        if dropped or added:
            self.rest = torch.cat([self.rest, self.rest[-1:].expand(added, 3)])[dropped:].clone()
