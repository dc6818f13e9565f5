"""Two Gaussians in the place of one: B. Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering",
2023, section 5.2."""

import math

import torch
from torch import Tensor

from endogs.fit.density.population import Population
from endogs.gaussians import LOG_SCALES, MEANS, QUATS
from endogs.render.projection import rotation_matrices

SHRINK = 1.6
"""Divisor of the scales of the two that replace one."""


@torch.no_grad()
def clone_or_split(population: Population, chosen: Tensor, large: float, generator: torch.Generator) -> None:
    """One Gaussian more for each of `chosen` (M,): a twin, or where the canonical one's largest standard deviation
    exceeds `large` (world units), two smaller ones inside it in its place.

    All move as their parent does; their moments start at zero.
    """
    base = population.base[chosen]
    is_wide = base[:, LOG_SCALES].amax(1) > math.log(large)
    wide = chosen[is_wide]
    twins = population.copies(chosen[~is_wide])
    halves, motion = population.copies(wide.repeat_interleave(2))
    halves[:, MEANS] += inside(halves, generator)
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
