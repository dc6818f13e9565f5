"""Gaussians go where the residual is high: on the rendered surface, wherever a frame is poorly explained.

Places are drawn with a probability in proportion to the residual of the frames' last renderings, as S. Rota Bulo et
al., "Revising densification in Gaussian splatting", 2024, densify by the error of pixels instead of by gradients; where
they split what is there, new Gaussians are put on the drawn surface here, and move as the tracks through them do.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.control import DensityControl, DensitySetup, drop_transparent, insertion_steps
from endogs.fit.density.population import Population
from endogs.fit.density.residual_maps import STRIDE, ResidualMaps
from endogs.fit.objective.result import StepResult
from endogs.fit.view import View
from endogs.memory_budget import return_freed_memory
from endogs.seeding.observations import Observations
from endogs.seeding.placement import Seeds, StartStyle, gaussians_from_seeds


class ResidualInsertion(DensityControl):
    """Inserts where the last renderings of the training frames were wrong."""

    in_graph: ClassVar[bool] = True

    def __init__(self, setup: DensitySetup) -> None:
        super().__init__(setup)
        self.maps, self.observations = setup.maps, setup.observations
        self._counts = insertion_steps(setup.config)

    @property
    def changes(self) -> frozenset[int]:
        """The insertions' steps."""
        return frozenset(self._counts)

    def change(self, population: Population, step: int) -> None:
        """Drop what never shows and insert."""
        if step not in self._counts:
            return
        drop_transparent(population, self.config.prune_opacity)
        count, generator = self._counts[step], self.random(step)
        insert_where_wrong(population, self.maps, self.observations, count, self.config, generator)

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """Keep a training frame's residual as long as somebody will ask for it."""
        if view.frame is not None and any(step < change for change in self._counts):
            self.maps.record(view.frame, result.color, result.depth, view.image, view.weight)

    def state(self) -> dict[str, Tensor]:
        """The maps."""
        return {"residual": self.maps.residual, "residual_depth": self.maps.depth}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """The maps again, in the same object."""
        self.maps.residual, self.maps.depth = state["residual"], state["residual_depth"]


def insert_where_wrong(
    population: Population,
    maps: ResidualMaps,
    observations: Observations,
    count: int,
    config: FitConfig,
    generator: torch.Generator,
) -> int:
    """Insert up to `count` Gaussians where the residual is high, within the cap; returns how many.

    They lie on the rendered surface, and their splines start from tracks like those of the first Gaussians.
    """
    count = min(count, config.gaussians_cap - len(population))
    if count <= 0:
        return 0
    frame, row, column, depth = maps.draw(count, generator)
    if len(frame) == 0:
        return 0
    pixels = torch.stack([column, row], 1) * STRIDE + STRIDE * torch.rand(len(frame), 2, generator=generator)
    height, width = observations.size
    pixels = torch.minimum(pixels, torch.tensor([width - 0.51, height - 0.51]))
    area = float(np.mean([np.count_nonzero(mask) for mask in observations.masks]))
    spacing = config.insertion_spacing * float(np.sqrt(area / len(population)))
    seeds = Seeds(
        frame.numpy().astype(np.intp),
        pixels.numpy().astype(np.float32),
        depth.numpy().astype(np.float32),
        np.full(len(frame), spacing, np.float32),
    )
    style = StartStyle(config.insertion_opacity, config.start_scale)
    base, control = gaussians_from_seeds(observations, seeds, population.optimizer.track_knots, style)
    device = population.base.device
    base = base.to(device)
    if control is None:
        times = torch.from_numpy(observations.times[seeds.frame]).to(device)
        base = population.deformation.canonical(base, times)
    return_freed_memory()  # what following points took, before the fit's largest arrays are copied
    population.append(base, None if control is None else control.to(device))
    return len(base)
