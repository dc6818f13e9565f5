"""A uniform cubic B-spline per Gaussian and channel.

At any instant only four control points are active, in one contiguous slice of the (Kn, N, 14) array, so a training
step reads and writes 4/Kn of the parameters and the past of a clip is never touched when the clip is extended.
Basis: C. de Boor, "A practical guide to splines"; uniform cubic weights as in Qin, "General matrix representations for
B-splines", 1998.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from endogs import native
from endogs.gaussians import CHANNELS
from endogs.scene.deformation import Deformation

ACTIVE = 4
"""Control points that touch one instant."""


def cubic_weights(fraction: float) -> tuple[float, float, float, float]:
    """The four weights of a uniform cubic B-spline at `fraction` in [0, 1] of a knot interval; they sum to 1."""
    f, g = fraction, 1.0 - fraction
    return (
        g * g * g / 6,
        (3 * f * f * f - 6 * f * f + 4) / 6,
        (3 * g * g * g - 6 * g * g + 4) / 6,
        f * f * f / 6,
    )


def spline_evaluate(base: Tensor, control_slice: Tensor, weights: tuple[float, ...]) -> Tensor:
    """base (N, 14) + sum_k weights[k] * control_slice[k], control_slice (4, N, 14); contiguous ones are not copied."""
    base, control_slice = base.contiguous(), control_slice.contiguous()
    if base.device.type == "cpu" and base.dtype == torch.float32 and native.available():
        out = torch.empty_like(base)
        native.module().spline_forward(base, control_slice, weights, out)
        return out
    if base.device.type == "cuda" and base.dtype == torch.float32 and native.runs_on("cuda"):
        out = torch.empty_like(base)
        with torch.cuda.device(base.device):
            stream = torch.cuda.current_stream(base.device).cuda_stream
            native.module().cuda.spline_forward(base, control_slice, weights, out, stream)
        return out
    out = torch.add(base, control_slice[0], alpha=weights[0])
    for control, weight in zip(control_slice[1:], weights[1:], strict=True):
        out.add_(control, alpha=weight)
    return out


@dataclass(frozen=True)
class Knots:
    """Uniform knots over a clip."""

    start: float
    """Time of the first knot interval's begin, seconds."""
    interval: float
    """Seconds per knot interval, > 0."""
    intervals: int
    """Knot intervals, >= 1; there are `intervals + 3` control points."""

    @property
    def count(self) -> int:
        """Number of control points."""
        return self.intervals + ACTIVE - 1

    @staticmethod
    def over(first: float, last: float, interval: float) -> "Knots":
        """Knots of the given spacing (seconds) that cover [first, last]."""
        if not interval > 0:
            raise ValueError(f"knot interval must be positive, got {interval}")
        return Knots(first, interval, max(1, math.ceil((last - first) / interval - 1e-6)))

    def locate(self, time: float) -> tuple[int, tuple[float, float, float, float]]:
        """First active control point and the four weights at `time`; times outside are clamped to the ends."""
        u = (time - self.start) / self.interval
        index = min(max(math.floor(u), 0), self.intervals - 1)
        return index, cubic_weights(min(max(u - index, 0.0), 1.0))

    def basis(self, times: np.ndarray) -> np.ndarray:
        """Basis matrix (F, Kn) float64 of the times (F,): rows sum to 1."""
        matrix = np.zeros((len(times), self.count))
        for row, time in zip(matrix, times, strict=True):
            index, weights = self.locate(float(time))
            row[index : index + ACTIVE] = weights
        return matrix


class SplineDeformation(Deformation):
    """A cubic B-spline of offsets to all 14 channels of every Gaussian."""

    kind: ClassVar[str] = "spline"

    def __init__(self, control: Tensor, knots: Knots) -> None:
        """`control` (Kn, N, 14) contiguous offsets; raises ValueError when it does not fit the knots."""
        if control.ndim != 3 or control.shape[0] != knots.count or control.shape[2] != CHANNELS:
            raise ValueError(f"control points {tuple(control.shape)} do not fit ({knots.count}, N, {CHANNELS})")
        self.control = control
        self.knots = knots

    @staticmethod
    def at_rest(count: int, knots: Knots, device: torch.device | str = "cpu") -> "SplineDeformation":
        """`count` Gaussians that do not move yet."""
        return SplineDeformation(torch.zeros(knots.count, count, CHANNELS, device=device), knots)

    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`: linear in `base` and the control points."""
        index, weights = self.knots.locate(time)
        return spline_evaluate(base, self.control[index : index + ACTIVE], weights)

    def tensors(self) -> dict[str, Tensor]:
        """The control points (Kn, N, 14)."""
        return {"control": self.control}

    def settings(self) -> dict[str, Any]:
        """The knots."""
        return {"start": self.knots.start, "interval": self.knots.interval, "intervals": self.knots.intervals}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "SplineDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        knots = Knots(float(settings["start"]), float(settings["interval"]), int(settings["intervals"]))
        return cls(tensors["control"], knots)

    def kept(self, keep: Tensor) -> "SplineDeformation":
        """The splines of the selected Gaussians."""
        return SplineDeformation(self.control[:, keep].contiguous(), self.knots)

    def with_control(self, control: Tensor) -> "SplineDeformation":
        """The same knots with other control points (Kn, M, 14)."""
        return SplineDeformation(control, self.knots)
