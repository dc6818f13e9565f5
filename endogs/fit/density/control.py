"""What a method of density control is: it decides when Gaussians come and go, and which."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.population import Population
from endogs.fit.density.residual_maps import ResidualMaps
from endogs.fit.objective.result import StepResult
from endogs.fit.view import View
from endogs.seeding.observations import Observations

STEP_SEEDS = 1_000_003
"""Between the random numbers of one seed and of the next."""


@dataclass(frozen=True)
class DensitySetup:
    """What methods are made of."""

    config: FitConfig
    observations: Observations
    maps: ResidualMaps
    """What the frames' last renderings got wrong; kept up to date by `observe`, or by a GPU's captured steps."""
    pixel_footprint: float
    """Width of a pixel at the tissue's median depth, world units."""
    seed: int


class DensityControl:
    """One method, for one fit.

    What a method remembers is in the population's rows or in `state`.
    """

    in_graph: ClassVar[bool] = False
    """Whether a GPU's captured steps, which never call `observe`, keep all that the method looks at."""

    def __init__(self, setup: DensitySetup) -> None:
        self.config, self.seed = setup.config, setup.seed

    @property
    def changes(self) -> frozenset[int]:
        """Steps before which the number of Gaussians may change."""
        return frozenset()

    def change(self, population: Population, step: int) -> None:
        """Add and drop Gaussians before `step`. Never more than the cap."""

    def prepare(self, population: Population) -> None:
        """Before the first step: make the rows that the method keeps."""

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """After a step on `view` was evaluated on packed Gaussians (N, 14), and taken."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs beside the population's rows."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`."""

    def random(self, step: int) -> torch.Generator:
        """Random numbers on the CPU that depend on the seed and the step alone: a resumed run draws the same."""
        return torch.Generator().manual_seed(self.seed * STEP_SEEDS + step)


class Unchanged(DensityControl):
    """Leaves the Gaussians as many as they are."""

    in_graph: ClassVar[bool] = True


def insertion_steps(config: FitConfig) -> dict[int, int]:
    """Gaussians to add by step, from the configured fractions of the iterations."""
    steps: dict[int, int] = {}
    for part, count in config.insertions:
        step = round(part * config.iterations)
        steps[step] = steps.get(step, 0) + count
    return steps


def drop_transparent(population: Population, opacity: float) -> int:
    """Drop Gaussians whose opacity is below `opacity` at all times; returns how many, never all."""
    keep = population.deformation.highest_opacity(population.base) >= math.log(opacity / (1 - opacity))
    dropped = int((~keep).sum())
    if dropped and dropped < len(keep):
        population.keep(keep)
        return dropped
    return 0
