"""Density control by relocation: the fit as sampling, where Gaussians that died go to those that live.

S. Kheradmand et al., "3D Gaussian splatting as Markov chain Monte Carlo", 2024, section 3: stochastic gradient Langevin
steps, relocation that leaves the picture as it was (eq. 9, `endogs.fit.density.sharing`), 5 % more Gaussians each round
up to the cap, and penalties on opacity and scale that empty what is not needed. Adapted to a scene that moves: a
Gaussian is as opaque as it ever gets, relocation copies its control points, lengths are in pixel footprints because a
scene's units are arbitrary, and the rounds are fractions of a much shorter fit.
"""

import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.control import DensityControl
from endogs.fit.density.population import Population
from endogs.fit.density.sharing import MOST, share
from endogs.gaussians import LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.render.projection import rotation_matrices

LARGEST = "largest_opacity"
GATE = 100.0
"""Steepness of the noise's gate over opacity."""
FAINT = 0.1
"""Opacity from which on the gate is shut (7e-5 of the noise is left)."""


class McmcRelocation(DensityControl):
    """Relocates the dead, grows to the cap, shakes the faint, and presses on opacity and size."""

    def __init__(self, config: FitConfig, pixel_footprint: float, seed: int) -> None:
        """`pixel_footprint` is the width of a pixel in the scene, world units."""
        super().__init__(config, seed)
        self.footprint = pixel_footprint
        first, last = (round(part * config.iterations) for part in (config.mcmc.begin, config.mcmc.end))
        every = max(1, round(config.mcmc.every * config.iterations))
        self._rounds = frozenset(range(max(1, first), last + 1, every))

    @property
    def changes(self) -> frozenset[int]:
        """The rounds' steps."""
        return self._rounds

    def prepare(self, population: Population) -> None:
        """No noise before the first round."""
        population.rows[LARGEST] = population.base.new_ones(len(population))

    def change(self, population: Population, step: int, time: float) -> None:
        """Relocate the dead and grow, both to places drawn by opacity."""
        if step not in self._rounds:
            return
        largest = population.largest_opacity()
        dead = largest <= self.config.mcmc.dead_opacity
        count = len(population)
        target = max(count, min(self.config.gaussians_cap, int(count * (1 + self.config.mcmc.growth))))
        relocate(population, dead, largest, int(dead.sum()) + target - count, self.random(step))
        population.rows[LARGEST] = population.largest_opacity()

    @torch.no_grad()
    def regularize(self, packed: Tensor, grad: Tensor) -> float:
        """Mean opacity and mean standard deviation in pixel footprints, each times its weight."""
        opacity = torch.sigmoid(packed[:, OPACITY])
        size = packed[:, LOG_SCALES].exp() / self.footprint
        by_opacity = self.config.mcmc.opacity_weight / max(1, opacity.numel())
        by_size = self.config.mcmc.scale_weight / max(1, size.numel())
        grad[:, OPACITY] += by_opacity * opacity * (1 - opacity)
        grad[:, LOG_SCALES] += by_size * size
        return float(by_opacity * opacity.sum() + by_size * size.sum())

    @torch.no_grad()
    def disturb(self, population: Population, step: int, time: float, decay: float) -> None:
        """Noise on the means of what is all but invisible, along and in proportion to its covariance."""
        largest = population.rows[LARGEST]
        faint = (largest < FAINT).nonzero()[:, 0]
        if faint.numel() == 0 or self.config.mcmc.noise == 0:
            return
        packed = population.deformation.kept(faint).packed_at(population.base[faint], time)
        normal = torch.randn(len(faint), 3, generator=self.random(step)).to(packed)
        gate = torch.sigmoid(-GATE * (largest[faint] - self.config.mcmc.dead_opacity))
        axes = rotation_matrices(packed[:, QUATS])
        variance = packed[:, LOG_SCALES].mul(2).exp()
        spread = (axes @ (variance * (axes.mT @ normal[..., None])[..., 0])[..., None])[..., 0]
        strength = self.config.mcmc.noise * decay / self.footprint
        population.base[faint, MEANS] += strength * gate[:, None] * spread


@torch.no_grad()
def relocate(population: Population, dead: Tensor, opacity: Tensor, count: int, generator: torch.Generator) -> None:
    """Drop the `dead` (N,) and put `count` Gaussians beside living ones, drawn with probability `opacity` (N,).

    All that then share a place share its opacity and size, so the picture stays as it was, about. Their splines are
    copies; the moments of new ones start at zero.
    """
    alive = (~dead).nonzero()[:, 0]
    if count <= 0 or alive.numel() == 0:
        return
    # On the CPU, so that a seed means the same on every device; by inversion, because torch.multinomial stops at 2^24.
    total = opacity[alive].double().cpu().cumsum(0)
    drawn = torch.searchsorted(total, torch.rand(count, generator=generator, dtype=torch.float64) * total[-1])
    times = torch.bincount(drawn.clamp_max(len(total) - 1), minlength=len(total)).clamp_max(MOST - 1).to(alive.device)
    chosen = alive[times > 0]
    times = times[times > 0]
    base, motion = share(*population.copies(chosen), times + 1, shrink=True)
    population.overwrite(chosen, base, motion)
    if bool(dead.any()):
        population.keep(~dead)
    repeat = torch.repeat_interleave(torch.arange(len(times), device=times.device), times)
    population.append_copies(base[repeat], motion.kept(repeat))
