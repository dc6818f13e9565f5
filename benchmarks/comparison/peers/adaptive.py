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

from dataclasses import dataclass

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.fit.density.control import DensityControl, DensitySetup, drop_transparent
from endogs.fit.density.population import Population
from endogs.fit.objective.result import StepResult
from endogs.fit.view import View
from endogs.gaussians import LOG_SCALES, MEANS

from .splitting import clone_or_split

REACH = 3.0
"""Standard deviations that a Gaussian is drawn to."""
PULL, SEEN = "pull_sum", "pull_views"
"""Rows: the sum of the gradients on the screen since the last round, and the views that it is the sum over."""


@dataclass(frozen=True)
class AdaptiveNumbers:
    """When and what is cloned and split."""

    threshold: float = 2e-4
    """Mean length of the gradient by the projected centre, normalized device coordinates, from which on Gaussians are
    cloned or split."""
    split_pixels: float = 1.0
    """Standard deviation in pixel footprints above which a Gaussian is split instead of cloned."""
    rounds: tuple[float, ...] = tuple(percent / 100 for percent in range(20, 81, 5))
    """Fractions of the iterations; what is cloned later has no time to part from its twin."""


class AdaptiveDensity(DensityControl):
    """Clones and splits the Gaussians whose mean gradient on the screen exceeds the threshold."""

    def __init__(self, setup: DensitySetup) -> None:
        super().__init__(setup)
        self.numbers: AdaptiveNumbers = setup.config.density_numbers or AdaptiveNumbers()
        self.large = self.numbers.split_pixels * setup.pixel_footprint
        self._rounds = frozenset(round(part * setup.config.iterations) for part in self.numbers.rounds)

    @property
    def changes(self) -> frozenset[int]:
        """The rounds' steps."""
        return self._rounds

    def prepare(self, population: Population) -> None:
        """Nothing has been seen."""
        for name in (PULL, SEEN):
            population.rows[name] = population.base.new_zeros(len(population))

    @torch.no_grad()
    def change(self, population: Population, step: int) -> None:
        """Drop what never shows, then clone and split all above the threshold that the cap has room for."""
        if step not in self._rounds:
            return
        drop_transparent(population, self.config.prune_opacity)
        mean = population.rows[PULL] / population.rows[SEEN].clamp_min(1)
        wanted = int((mean >= self.numbers.threshold).sum())
        room = min(self.config.gaussians_cap - len(population), wanted)
        if room > 0:
            # A stable sort: equal gradients must not make the choice depend on the machine.
            strongest = mean.sort(descending=True, stable=True).indices[:room].sort().values
            clone_or_split(population, strongest, self.large, self.random(step))
        self.prepare(population)

    def observe(self, population: Population, view: View, packed: Tensor, result: StepResult, step: int) -> None:
        """Add the step's gradients, and count the views that had each Gaussian in them."""
        if any(step < change for change in self._rounds):
            grad = result.grad if result.auxiliary is None else result.grad + result.auxiliary
            population.rows[PULL] += screen_pull(packed, grad, view.camera)
            population.rows[SEEN] += in_view(packed, view.camera)


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
