"""What hexplane and mlp share: one function of place and time for all Gaussians, in the cloud's own box."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs.gaussians import CHANNELS, MEANS, OPACITY
from endogs.scene.deformation.bases import with_offsets
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import MOTION_CHANNELS

MARGIN = 0.05
"""Of the cloud's size, added to its box on every side: Gaussians move."""
LOOKS = 16
"""Instants at which a field's opacity is looked at."""


class FieldDeformation(Deformation):
    """Offsets that a function of (canonical position, time) gives; nothing is stored per Gaussian."""

    fixed: ClassVar[frozenset[str]] = frozenset({"units", "bounds"})

    def __init__(self, parts: dict[str, Tensor], units: Tensor, bounds: Tensor, span: ClipTime) -> None:
        """`parts`: the function's tensors; units (C,): what an output of 1 means; bounds (2, 3): corners of the box.

        Raises ValueError when shapes do not fit.
        """
        if units.ndim != 1 or len(units) not in (MOTION_CHANNELS, CHANNELS) or bounds.shape != (2, 3):
            raise ValueError(
                f"units {tuple(units.shape)} or bounds {tuple(bounds.shape)} do not fit (10 or 14), (2, 3)"
            )
        self.parts, self.units, self.bounds, self.span = parts, units, bounds, span

    def check_values(self) -> None:
        """Raises ValueError for a box without an inside."""
        if not bool((self.bounds[1] > self.bounds[0]).all()):
            raise ValueError("its bounds are empty")

    @abstractmethod
    def outputs(self, place: Tensor, fraction: float) -> Tensor:
        """(N, C) outputs, in units, at places (N, 3) in the box [-1, 1]^3 and a part of the clip in [0, 1]."""

    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds."""
        place = 2 * (base[:, MEANS] - self.bounds[0]) / (self.bounds[1] - self.bounds[0]) - 1
        return with_offsets(base, self.outputs(place, self.span.fraction(time)) * self.units)

    def tensors(self) -> dict[str, Tensor]:
        """The function's tensors, units and bounds."""
        return {**self.parts, "units": self.units, "bounds": self.bounds}

    def settings(self) -> dict[str, Any]:
        """The span of time."""
        return self.span.settings()

    def select(self, keep: Tensor) -> "FieldDeformation":
        """Itself: there is nothing per Gaussian."""
        return self

    @torch.no_grad()
    def canonical(self, packed: Tensor, times: Tensor) -> Tensor:
        """(N, 14): one step back along the field, which is smooth."""
        out = packed.clone()
        for time in times.unique().tolist():
            rows = times == time
            out[rows] -= self.packed_at(packed[rows], time) - packed[rows]
        return out

    @torch.no_grad()
    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) logits: the highest at sixteen instants of the clip, which is close to, and no strict, bound."""
        highest = base[:, OPACITY]
        if len(self.units) == MOTION_CHANNELS:
            return highest
        for look in range(LOOKS):
            highest = torch.maximum(highest, self.packed_at(base, self.span.at(look / (LOOKS - 1)))[:, OPACITY])
        return highest


def box_around(means: Tensor) -> Tensor:
    """(2, 3) corners of the box around points (N, 3), with a margin; a cube of side 2 around no points at all."""
    if len(means) == 0:
        return means.new_tensor([[-1.0] * 3, [1.0] * 3])
    low, high = means.amin(0), means.amax(0)
    size = (high - low).clamp_min(1e-3 * float((high - low).max()) + 1e-6)
    return torch.stack([low - MARGIN * size, low + size + MARGIN * size])


def linear(inputs: int, outputs: int, generator: torch.Generator, fan: int) -> tuple[Tensor, Tensor]:
    """Weight (outputs, inputs), uniform of variance 2 / `fan`, and zero bias (outputs,).

    A fan of `inputs` keeps a ReLU's signal (K. He et al., 2015); of inputs + outputs is X. Glorot's and Y. Bengio's,
    2010.
    """
    reach = math.sqrt(6 / fan)
    return (torch.rand(outputs, inputs, generator=generator) * 2 - 1) * reach, torch.zeros(outputs)
