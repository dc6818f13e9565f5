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
from endogs.fit.density.control import insertion_steps
from endogs.fit.density.population import Population
from endogs.fit.density.sharing import share
from endogs.fit.density.splitting import PULL, SEEN, PullSplitting, split
from endogs.fit.objective.result import StepResult
from endogs.fit.views import View
from endogs.gaussians import LOG_SCALES


class AbsgradSplitting(PullSplitting):
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

    def wants_screen_gradients(self, step: int) -> bool:
        """Until the last splitting."""
        return any(step < change for change in self._counts)

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """Add the step's gradients, and count the views that showed each Gaussian."""
        if result.screen_gradients is not None:
            population.rows[PULL] += result.screen_gradients
            population.rows[SEEN] += result.screen_gradients > 0

    def wanted(self, mean: Tensor, step: int) -> int:
        """The step's count, of those that anything pulls at."""
        return min(self._counts[step], int((mean > 0).sum()))

    def divide(self, population: Population, chosen: Tensor, step: int, time: float) -> None:
        """By their size when they are drawn."""
        split_and_clone(population, chosen, self.large, time, self.random(step))


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
    split(population, chosen[wide], packed[wide], clones, generator)
