"""Bloop: what the auxiliary losses ask for, as far as the colours do not mind.

Y.-G. Hsieh et al., "Careful with that scalpel: improving gradient surgery with an EMA", 2024 (arXiv 2402.02998): the
auxiliary gradient loses its part along a moving average e of the main one, e <- (1 - rho) e + rho g_main, and
d = g_main + g_aux - <g_aux, e> / |e|^2 e is the step. To first order the auxiliary losses then cannot undo what the
main loss gains. The projection is always taken, also where the two agree.

Every step shows another frame at another time, and touches other control points. What all steps have in common is the
gradient by the packed Gaussians (N, 14), of which every control point's gradient is a multiple: the average is kept
there, a row per canonical Gaussian, and raw, before Adam scales it. Means, orientations, scales, opacities and colours
are projected apart, since their units differ, and over the Gaussians that the step's view reaches: of the others the
average tells nothing about this view.
"""

import torch
from torch import Tensor

from endogs.fit.density.population import Population
from endogs.gaussians import ATTRIBUTES

MAIN = "main_gradient"


class Bloop:
    """Keeps the average in the population's rows, where it follows the Gaussians as they come and go."""

    def __init__(self, population: Population, rate: float) -> None:
        """`rate` is rho, the newest gradient's share in the average, in (0, 1]."""
        self._population, self._rate = population, rate
        population.rows[MAIN] = torch.zeros_like(population.base)

    @torch.no_grad()
    def combine(self, main: Tensor, auxiliary: Tensor | None) -> Tensor:
        """The gradient (N, 14) to step with; takes `main` into the average first. None: the view asks no more."""
        average = self._population.rows[MAIN]
        average.lerp_(main, self._rate)
        if auxiliary is None:
            return main
        reached = ((main != 0) | (auxiliary != 0)).any(1)
        return main + projected_off(auxiliary, average * reached[:, None])


def projected_off(gradient: Tensor, direction: Tensor) -> Tensor:
    """`gradient` (N, 14) less its part along `direction` (N, 14), per attribute; where that is zero, unchanged."""
    left = gradient.clone()
    for columns in ATTRIBUTES.values():
        along, mine = direction[:, columns], gradient[:, columns]
        # In 64 bits: the sums run over all Gaussians, and gradients are small.
        length = along.double().square().sum()
        share = (along.double() * mine.double()).sum() / length.clamp_min(1e-300)
        left[:, columns] -= share.to(mine.dtype) * along
    return left
