"""Splitting where the screen pulls hardest: AbsGS's magnitudes, counted per Gaussian, under a hard cap.

Z. Ye et al., "AbsGS: recovering fine details for 3D Gaussian splatting", 2024: the sum over pixels of the absolute
gradient by the projected centre, since signed ones cancel inside a Gaussian that is too large. What is done then is
that of B. Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023, section 5.2: small
Gaussians are cloned, large ones replaced by two drawn from inside them, their scales divided by 1.6. Clones share their
opacity as in S. Rota Bulo et al., "Revising densification in Gaussian splatting", 2024, 1 - sqrt(1 - opacity), which
keeps what they cover together.

Three things differ. The strongest Gaussians are taken until the step's count is reached, instead of all above a
threshold: at equal counts methods can be compared, and the cap is never met by accident. Large is measured against the
width of a pixel at the tissue's median depth, one length for all Gaussians, and not against the scene's extent, which a
still camera does not tell; what is nearer than the median may be wider on the screen before it is split. And opacity is
never reset, which a fit of a few hundred steps would not recover from.
"""

import math

import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.control import DensityControl, drop_transparent, insertion_steps
from endogs.fit.density.population import Population
from endogs.fit.density.sharing import share
from endogs.fit.step import StepResult
from endogs.fit.views import View
from endogs.gaussians import LOG_SCALES, MEANS, QUATS
from endogs.render.projection import rotation_matrices

SHRINK = 1.6
"""Divisor of the scales of the two that replace one."""
PULL, SEEN = "absgrad_sum", "absgrad_views"


class AbsgradSplitting(DensityControl):
    """Clones and splits the Gaussians with the largest mean screen gradient since the last time."""

    def __init__(self, config: FitConfig, pixel_footprint: float, seed: int) -> None:
        """`pixel_footprint` is the width of a pixel at the tissue's median depth, world units."""
        super().__init__(config, seed)
        self.large = config.split_pixels * pixel_footprint
        self._counts = insertion_steps(config)

    @property
    def changes(self) -> frozenset[int]:
        """The insertions' steps."""
        return frozenset(self._counts)

    def prepare(self, population: Population) -> None:
        """Nothing has been seen."""
        for name in (PULL, SEEN):
            population.rows[name] = population.base.new_zeros(len(population))

    def wants_screen_gradients(self, step: int) -> bool:
        """Until the last splitting."""
        return any(step < change for change in self._counts)

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """Add the step's gradients, and count the views that showed each Gaussian."""
        if result.screen_gradients is not None:
            population.rows[PULL] += result.screen_gradients
            population.rows[SEEN] += result.screen_gradients > 0

    def change(self, population: Population, step: int, time: float) -> None:
        """Drop what never shows, then clone and split the strongest within the count and the cap."""
        if step not in self._counts:
            return
        drop_transparent(population, self.config.prune_opacity)
        rows = population.rows
        mean = rows[PULL] / rows[SEEN].clamp_min(1)
        room = min(self._counts[step], self.config.gaussians_cap - len(population), int((mean > 0).sum()))
        if room > 0:
            # A stable sort: equal gradients must not make the choice depend on the machine.
            strongest = mean.sort(descending=True, stable=True).indices[:room].sort().values
            split_and_clone(population, strongest, self.large, time, self.random(step))
        self.prepare(population)


@torch.no_grad()
def split_and_clone(
    population: Population, chosen: Tensor, large: float, time: float, generator: torch.Generator
) -> None:
    """One Gaussian more for each of `chosen` (M,): those whose largest standard deviation at `time` (seconds) exceeds
    `large` (world units) become two smaller ones inside them, the others two equal ones.

    The new ones have their parent's control points, so they move with it; their moments start at zero.
    """
    packed = population.optimizer.packed_at(time)[chosen]
    wide = packed[:, LOG_SCALES].amax(1) > math.log(large)
    small = chosen[~wide]
    clones = share(*population.copies(small), torch.full_like(small, 2), shrink=False)
    population.overwrite(small, *clones)

    parents, shapes = chosen[wide].repeat_interleave(2), packed[wide].repeat_interleave(2, 0)
    base, motion = population.copies(parents)
    base[:, MEANS] += inside(shapes, generator)
    base[:, LOG_SCALES] -= math.log(SHRINK)

    keep = torch.ones(len(population), dtype=torch.bool, device=chosen.device)
    keep[chosen[wide]] = False
    if not bool(keep.all()):
        population.keep(keep)
    population.append_copies(*clones)
    population.append_copies(base, motion)


def inside(packed: Tensor, generator: torch.Generator) -> Tensor:
    """Offsets (M, 3), world units, drawn from packed Gaussians (M, 14) around their means."""
    normal = torch.randn(len(packed), 3, generator=generator).to(packed)
    axes = rotation_matrices(packed[:, QUATS])
    return (axes @ (normal * packed[:, LOG_SCALES].exp())[..., None])[..., 0]
