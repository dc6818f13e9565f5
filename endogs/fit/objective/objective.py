"""The loss of one view and its gradient by the Gaussians: fused in the kernels where they are, else by autograd."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from endogs import native
from endogs.fit.config import FitConfig
from endogs.fit.objective.fused import FusedLoss
from endogs.fit.objective.result import StepResult
from endogs.fit.objective.term import Term, Told
from endogs.fit.view import View
from endogs.render import rasterize_packed


@dataclass
class Objective:
    """What a fit minimizes."""

    terms: list[Term]
    config: FitConfig
    depth_kind: str
    apart: bool = False
    """Whether the gradient of all but the main terms is kept apart, which takes a second backward pass."""
    _fused: FusedLoss = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._fused = FusedLoss(self.terms, self.config, self.depth_kind, self.apart)

    def evaluate(self, packed: Tensor, view: View, step: int) -> StepResult:
        """Loss and gradient of packed Gaussians (N, 14) on one view, with the terms that are due at this step.

        Raises ValueError when Gaussians are not finite.
        """
        if packed.device.type == "cpu" and native.available():
            return self._fused.evaluate(packed.detach(), view, step)
        return self.by_autograd(packed.detach().requires_grad_(), view, step)

    def by_autograd(self, packed: Tensor, view: View, step: int) -> StepResult:
        """The same through a graph, on any device."""
        rendering = rasterize_packed(packed, view.camera)
        told: Told = {}
        main: list[Tensor] = []
        others: list[Tensor] = []
        for term in self.terms:
            if weight := term.weight(view, step):
                (main if term.main else others).append(weight * term.value(rendering, view, told))
        auxiliary = None
        if self.apart:
            (grad,) = torch.autograd.grad(torch.stack(main).sum(), packed, retain_graph=bool(others))
            if others:
                (auxiliary,) = torch.autograd.grad(torch.stack(others).sum(), packed)
        loss = torch.stack([*main, *others]).sum()
        if not self.apart:
            (grad,) = torch.autograd.grad(loss, packed)
        color, alpha, trust = rendering.color.detach(), rendering.alpha.detach(), view.color_weight
        squared = ((color - view.image / 255).square().mean(-1) * trust).sum() / trust.sum().clamp_min(1e-6)
        planes = torch.cat([color.permute(2, 0, 1), (rendering.depth.detach() * alpha)[None], alpha[None]])
        return StepResult(float(loss.detach()), told, grad, float(squared), planes, auxiliary)


@contextmanager
def fixed_order(wanted: bool) -> Iterator[None]:
    """Inside, where `wanted`, sums on a GPU are taken in an order that repeats."""
    before = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        if wanted:
            torch.use_deterministic_algorithms(before, warn_only=only_warn)
