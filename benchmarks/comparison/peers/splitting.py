"""What methods share that clone and split the Gaussians which the picture pulls at: counting, choosing, halving.

B. Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023, section 5.2.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from endogs.fit.density.control import DensityControl, drop_transparent
from endogs.fit.density.population import Population
from endogs.gaussians import LOG_SCALES, MEANS, QUATS
from endogs.render.projection import rotation_matrices
from endogs.scene.deformation.deformation import Deformation

SHRINK = 1.6
"""Divisor of the scales of the two that replace one."""
PULL, SEEN = "pull_sum", "pull_views"
"""Rows: the sum of the gradients on the screen since the last change, and the views that it is the sum over."""


class PullSplitting(DensityControl, ABC):
    """Clones and splits the Gaussians with the largest mean pull; subclasses count it and say how many and how."""

    def prepare(self, population: Population) -> None:
        """Nothing has been seen."""
        for name in (PULL, SEEN):
            population.rows[name] = population.base.new_zeros(len(population))

    @torch.no_grad()
    def change(self, population: Population, step: int, time: float) -> None:
        """Drop what never shows, then clone and split the strongest, as many as are wanted and the cap has room for."""
        if step not in self.changes:
            return
        drop_transparent(population, self.config.prune_opacity)
        mean = population.rows[PULL] / population.rows[SEEN].clamp_min(1)
        room = min(self.config.gaussians_cap - len(population), self.wanted(mean, step))
        if room > 0:
            # A stable sort: equal gradients must not make the choice depend on the machine.
            strongest = mean.sort(descending=True, stable=True).indices[:room].sort().values
            self.divide(population, strongest, step, time)
        self.prepare(population)

    @abstractmethod
    def wanted(self, mean: Tensor, step: int) -> int:
        """How many of the Gaussians with these mean pulls (N,) are to be two."""

    @abstractmethod
    def divide(self, population: Population, chosen: Tensor, step: int, time: float) -> None:
        """Make two of each of `chosen` (M,) before `step`, which renders `time` (seconds)."""


def split(
    population: Population,
    wide: Tensor,
    shapes: Tensor,
    twins: tuple[Tensor, Deformation],
    generator: torch.Generator,
) -> None:
    """Add `twins`, and put two smaller Gaussians in the place of each of `wide` (M,), inside `shapes` (M, 14), its
    packed self. They move as their parent does; their moments start at zero."""
    halves, motion = population.copies(wide.repeat_interleave(2))
    halves[:, MEANS] += inside(shapes.repeat_interleave(2, 0), generator)
    halves[:, LOG_SCALES] -= math.log(SHRINK)
    keep = torch.ones(len(population), dtype=torch.bool, device=wide.device)
    keep[wide] = False
    if not bool(keep.all()):
        population.keep(keep)
    population.append_copies(*twins)
    population.append_copies(halves, motion)


def inside(packed: Tensor, generator: torch.Generator) -> Tensor:
    """Offsets (M, 3), world units, drawn from packed Gaussians (M, 14) around their means."""
    normal = torch.randn(len(packed), 3, generator=generator).to(packed)
    axes = rotation_matrices(packed[:, QUATS])
    return (axes @ (normal * packed[:, LOG_SCALES].exp())[..., None])[..., 0]
