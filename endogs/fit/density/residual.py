"""Gaussians go where the residual is high: on the rendered surface, wherever a frame is poorly explained.

Places are drawn with a probability in proportion to the residual of the frames' last renderings, as S. Rota Bulo et
al., "Revising densification in Gaussian splatting", 2024, densify by the error of pixels instead of by gradients; where
they split what is there, new Gaussians are put on the drawn surface here, and move as the tracks through them do.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from endogs.fit.config import FitConfig
from endogs.fit.density.control import DensityControl, drop_transparent, insertion_steps
from endogs.fit.density.population import Population
from endogs.fit.objective.result import StepResult
from endogs.fit.views import View
from endogs.scene.observations import Observations
from endogs.scene.placement import Look, Seeds, gaussians_from_seeds

STRIDE = 2
"""Residuals are kept at every second pixel of every second row."""


@dataclass
class ResidualMaps:
    """What each training frame's last rendering got wrong."""

    residual: Tensor
    """(F, H/2, W/2) mean absolute colour difference times the colour weight."""
    depth: Tensor
    """(F, H/2, W/2) rendered z-depth, 0 where nothing was drawn."""

    @staticmethod
    def empty(frames: int, height: int, width: int, device: torch.device | str = "cpu") -> "ResidualMaps":
        """No frame has been rendered yet."""
        shape = (frames, -(-height // STRIDE), -(-width // STRIDE))
        return ResidualMaps(torch.zeros(shape, device=device), torch.zeros(shape, device=device))

    @torch.no_grad()
    def record(self, frame: int, color: Tensor, depth: Tensor, image: Tensor, weight: Tensor) -> None:
        """Keep a frame's residual and depth; color (H, W, 3), depth (H, W), image (H, W, 3) and weight (H, W) uint8."""
        difference = color[::STRIDE, ::STRIDE] - image[::STRIDE, ::STRIDE] / 255
        self.residual[frame] = difference.abs().mean(-1) * (weight[::STRIDE, ::STRIDE] / 255)
        self.depth[frame] = depth[::STRIDE, ::STRIDE]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frame, row, column (P,) of `count` cells drawn with probability proportional to the residual, and z-depth,
        all on the CPU.

        Systematic sampling: evenly spaced quantiles with one random offset each, which covers better than independent
        draws. Fewer come back when cells without depth were drawn, none when there is no residual.
        """
        depth = self.depth.cpu()
        weight = self.residual.cpu() * (depth > 0)
        total = weight.flatten().double().cumsum(0)
        if not total[-1] > 0:
            return (*torch.zeros(3, 0, dtype=torch.long), torch.zeros(0))
        quantile = (torch.arange(count) + torch.rand(count, generator=generator)).double() / count
        flat = torch.searchsorted(total, quantile * total[-1]).clamp_max(total.numel() - 1)
        flat = flat[weight.flatten()[flat] > 0]
        _, rows, columns = weight.shape
        frame, cell = flat // (rows * columns), flat % (rows * columns)
        return frame, cell // columns, cell % columns, depth.flatten()[flat]


class ResidualInsertion(DensityControl):
    """Inserts where the last renderings of the training frames were wrong."""

    def __init__(self, config: FitConfig, observations: Observations, maps: ResidualMaps, seed: int) -> None:
        """`maps` are kept up to date by `observe`, or by whoever takes the steps instead."""
        super().__init__(config, seed)
        self.maps, self.observations = maps, observations
        self._counts = insertion_steps(config)

    @property
    def changes(self) -> frozenset[int]:
        """The insertions' steps."""
        return frozenset(self._counts)

    def change(self, population: Population, step: int, time: float) -> None:
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
    look = Look(config.insertion_opacity, config.start_scale)
    base, control = gaussians_from_seeds(observations, seeds, population.optimizer.track_knots, look)
    device = population.base.device
    base = base.to(device)
    if control is None:
        times = torch.from_numpy(observations.times[seeds.frame]).to(device)
        base = population.deformation.canonical(base, times)
    population.append(base, None if control is None else control.to(device))
    return len(base)
