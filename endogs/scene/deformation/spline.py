"""A cubic B-spline per Gaussian and channel: packed(t) = base + sum_k B_k(t) c_k, with the control points c_k.

At any instant only four control points are active, in one contiguous slice of the (Kn, N, 14) array, so a training
step reads and writes 4/Kn of the parameters and the past of a clip is never touched when the clip is extended.
Basis: C. de Boor, "A practical guide to splines", 1978.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from endogs import native
from endogs.gaussians import CHANNELS, OPACITY
from endogs.scene.deformation.deformation import Deformation, check_names, number_of, usable_number

ACTIVE = 4
"""Control points that touch one instant."""

CLOSEST = 1e-9
"""Part of the clip that a knot interval in a file lasts at least."""


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
    """Knots over a clip, closer where more happens."""

    breakpoints: tuple[float, ...]
    """(I + 1,) seconds, ascending: the ends of the I >= 1 knot intervals; there are I + 3 control points."""

    def __post_init__(self) -> None:
        if len(self.breakpoints) < 2 or not all(a < b for a, b in pairwise(self.breakpoints)):
            raise ValueError("a spline needs two or more breakpoints in ascending order")

    @property
    def intervals(self) -> int:
        """Number of knot intervals."""
        return len(self.breakpoints) - 1

    @property
    def count(self) -> int:
        """Number of control points."""
        return self.intervals + ACTIVE - 1

    @cached_property
    def extended(self) -> tuple[float, ...]:
        """(I + 7,) the breakpoints with three more at each end, as far apart as the last two there."""
        first, last = self.breakpoints[0], self.breakpoints[-1]
        before, after = self.breakpoints[1] - first, last - self.breakpoints[-2]
        head = (first - k * before for k in (3, 2, 1))
        return (*head, *self.breakpoints, *(last + k * after for k in (1, 2, 3)))

    @staticmethod
    def evenly(start: float, interval: float, intervals: int) -> "Knots":
        """`intervals` knot intervals of `interval` seconds from `start` on."""
        return Knots(tuple(start + k * interval for k in range(intervals + 1)))

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "Knots":
        """The knots in a scene file's settings.

        Raises KeyError, TypeError or ValueError where they are none, or two are so close that nothing lies between.
        """
        knots = Knots(tuple(usable_number(time, "breakpoints") for time in settings["breakpoints"]))
        ends = knots.breakpoints
        if min(b - a for a, b in pairwise(ends)) < CLOSEST * (ends[-1] - ends[0]):
            raise ValueError(f"two breakpoints are closer than {CLOSEST:g} of the clip")
        return knots

    @staticmethod
    def over(first: float, last: float, interval: float) -> "Knots":
        """Knots of the given spacing (seconds) that cover [first, last]."""
        if not interval > 0:
            raise ValueError(f"knot interval must be positive, got {interval}")
        return Knots.evenly(first, interval, max(1, math.ceil((last - first) / interval - 1e-6)))

    def locate(self, time: float) -> tuple[int, tuple[float, float, float, float]]:
        """First active control point and the four weights at `time`; times outside are clamped to the ends.

        Cox and de Boor's recurrence, from degree 0 up.
        """
        time = min(max(time, self.breakpoints[0]), self.breakpoints[-1])
        index = min(max(bisect_right(self.breakpoints, time) - 1, 0), self.intervals - 1)
        knots, at = self.extended, index + ACTIVE - 1
        weights = [1.0]
        for degree in (1, 2, 3):
            higher = [0.0] * (degree + 1)
            for k, weight in enumerate(weights):
                low, high = knots[at - degree + 1 + k], knots[at + 1 + k]
                share = weight / (high - low)
                higher[k] += (high - time) * share
                higher[k + 1] += (time - low) * share
            weights = higher
        return index, (weights[0], weights[1], weights[2], weights[3])

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
    per_gaussian: ClassVar[Mapping[str, int]] = {"control": 1}

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
        return {"breakpoints": list(self.knots.breakpoints)}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "SplineDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        check_names(cls.kind, tensors, {"control"}, frozenset())
        if "breakpoints" in settings:
            return cls(tensors["control"], Knots.of(settings))
        intervals = len(tensors["control"]) - ACTIVE + 1  # a number in the file would ask for any amount of memory
        if settings["intervals"] != intervals:
            raise ValueError(f"{intervals} knot intervals and not {settings['intervals']} fit its control points")
        knots = Knots.evenly(number_of(settings, "start"), number_of(settings, "interval"), intervals)
        return cls(tensors["control"], knots)

    def kept(self, keep: Tensor) -> "SplineDeformation":
        """The splines of the selected Gaussians."""
        return SplineDeformation(self.control[:, keep].contiguous(), self.knots)

    def grown(self, count: int, motion: "SplineDeformation | None") -> "SplineDeformation":
        """With the control points of `motion`, which has the same knots, or with `count` splines at rest."""
        more = self.control.new_zeros(self.knots.count, count, CHANNELS) if motion is None else motion.control
        return self.with_control(torch.cat([self.control, more.to(self.control)], 1))

    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) logits: a B-spline stays within the hull of its control points, so the largest of them bounds it."""
        return base[:, OPACITY] + self.control[:, :, OPACITY].amax(0)

    def with_control(self, control: Tensor) -> "SplineDeformation":
        """The same knots with other control points (Kn, M, 14)."""
        return SplineDeformation(control, self.knots)
