"""Adaptive control as 3DGS has it: clone and split wherever the picture pulls harder than a threshold.

B. Kerbl et al., "3D Gaussian splatting for real-time radiance field rendering", 2023, section 5.2, as the peers'
recipes run it: the mean over the steps that had a Gaussian in view, hidden or not, of the length of the loss's gradient
by its projected centre, in normalized device coordinates (an image is 2 wide and 2 high); above the threshold,
Gaussians that are small for the scene get an identical twin, large ones are replaced by two drawn from inside them,
their scales divided by 1.6.

The signed gradient on the screen is read off the gradient by the centre in space: across the line of sight it is f / z
times as large. What is left out is that a Gaussian's shape on the screen changes with its place, a matter of its size
over its depth.
"""

import math

import torch
from endogs.fit.density.splitting import PULL, SEEN, PullSplitting, split
from torch import Tensor

from endogs.camera import Camera
from endogs.fit.config import FitConfig
from endogs.fit.density.population import Population
from endogs.fit.objective.result import StepResult
from endogs.fit.views import View
from endogs.gaussians import LOG_SCALES, MEANS

REACH = 3.0
"""Standard deviations that a Gaussian is drawn to."""


class AdaptiveDensity(PullSplitting):
    """Clones and splits the Gaussians whose mean gradient on the screen exceeds the threshold."""

    def __init__(self, config: FitConfig, pixel_footprint: float, seed: int) -> None:
        """`pixel_footprint` is the width of a pixel at the tissue's median depth, world units."""
        super().__init__(config, seed)
        self.large = config.adaptive.split_pixels * pixel_footprint
        self._rounds = frozenset(round(part * config.iterations) for part in config.adaptive.rounds)

    @property
    def changes(self) -> frozenset[int]:
        """The rounds' steps."""
        return self._rounds

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """Add the step's gradients, and count the views that had each Gaussian in them."""
        if any(step < change for change in self._rounds):
            grad = result.grad if result.auxiliary is None else result.grad + result.auxiliary
            population.rows[PULL] += screen_pull(packed, grad, view.camera)
            population.rows[SEEN] += in_view(packed, view.camera)

    def wanted(self, mean: Tensor, step: int) -> int:
        """All above the threshold."""
        return int((mean >= self.config.adaptive.threshold).sum())

    def divide(self, population: Population, chosen: Tensor, step: int, time: float) -> None:
        """By the size of the canonical ones."""
        clone_or_split(population, chosen, self.large, self.random(step))


@torch.no_grad()
def screen_pull(packed: Tensor, grad: Tensor, camera: Camera) -> Tensor:
    """(N,) length of the gradient by the projected centres, per width and height of 2.

    `packed` (N, 14) are the Gaussians as drawn, `grad` (N, 14) the loss's gradient by them. What lies behind the
    camera gets zero.
    """
    place, focal = _in_camera(packed, camera)
    across = grad[:, MEANS] @ camera.world_to_camera[:2, :3].to(packed).T
    half_size = packed.new_tensor([camera.width / 2, camera.height / 2])
    return (across * place[:, 2:].clamp_min(0) * (half_size / focal)).norm(dim=1)


@torch.no_grad()
def in_view(packed: Tensor, camera: Camera) -> Tensor:
    """(N,) whether three standard deviations around the centres of packed Gaussians (N, 14) reach into the image."""
    place, focal = _in_camera(packed, camera)
    z = place[:, 2].clamp_min(camera.near)
    pixels = place[:, :2] / z[:, None] * focal + camera.K[:2, 2].to(packed)
    reach = (REACH * packed[:, LOG_SCALES].exp().amax(1) / z)[:, None] * focal
    size = packed.new_tensor([camera.width, camera.height])
    return (place[:, 2] > camera.near) & (pixels + reach > 0).all(1) & (pixels - reach < size).all(1)


def _in_camera(packed: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Centres (N, 3) in the camera's axes, world units, and focal lengths (2,), pixels."""
    pose = camera.world_to_camera.to(packed)
    return packed[:, MEANS] @ pose[:3, :3].T + pose[:3, 3], camera.K.diagonal()[:2].to(packed)


@torch.no_grad()
def clone_or_split(population: Population, chosen: Tensor, large: float, generator: torch.Generator) -> None:
    """One Gaussian more for each of `chosen` (M,): a twin, or where the canonical one's largest standard deviation
    exceeds `large` (world units), two smaller ones inside it in its place. All move as their parent does."""
    base = population.base[chosen]
    wide = base[:, LOG_SCALES].amax(1) > math.log(large)
    split(population, chosen[wide], base[wide], population.copies(chosen[~wide]), generator)
