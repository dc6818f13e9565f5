"""EndoGaussian's smoothness of the picture: Y. Liu et al., "EndoGaussian", 2024."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from endogs.fit.objective.term import Term, TermSetup, Told
from endogs.fit.view import View
from endogs.render import Rendering

WEIGHT = 0.03
"""As in its `pulling` arguments."""


@dataclass(frozen=True)
class TotalVariation(Term):
    """Total variation of the rendered image and inverse depth."""

    name: ClassVar[str] = "tv"
    setup: TermSetup

    def weight(self, view: View, step: int) -> float:
        """The same on every view."""
        return WEIGHT

    def value(self, rendering: Rendering, view: View, told: Told) -> Tensor:
        """Over the whole image."""
        term = total_variation(rendering)
        told[self.name] = float(term.detach())
        return term


def total_variation(rendering: Rendering) -> Tensor:
    """Mean absolute difference of neighbouring pixels, of colour (per channel) and of relative inverse depth.

    As EndoGaussian has it, over the whole image; inverse depth, 0 where nothing is drawn, is in units of its own
    median, so that the term does not depend on the scene's unit, and weighs a hundredth: that is what it weighs at
    EndoNeRF's depth.
    """
    depth = rendering.depth
    inverse = torch.where(depth > 0, 1 / depth.clamp_min(1e-6), torch.zeros_like(depth))
    drawn = inverse.detach()[inverse.detach() > 0]
    inverse = inverse * (0.01 / float(drawn.median()) if drawn.numel() else 0.0)
    total = rendering.color.new_zeros(())
    for image in (rendering.color, inverse[..., None]):
        total = total + (image.diff(dim=0).abs().sum() + image.diff(dim=1).abs().sum()) / image.numel()
    return total
