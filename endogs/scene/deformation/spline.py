"""A cubic B-spline per Gaussian and channel: packed(t) = base + sum_k B_k(t) c_k, with the control points c_k.

At any instant only four control points are active, in one contiguous slice of the (Kn, N, 14) array, so a training
step reads and writes 4/Kn of the parameters and the past of a clip is never touched when the clip is extended.
Basis: C. de Boor, "A practical guide to splines", 1978.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from endogs import native
from endogs.gaussians import CHANNELS, OPACITY
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import Start
from endogs.scene.deformation.knots import ACTIVE, Knots, Tracks
from endogs.scene.deformation.settings import check_names


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


class SplineDeformation(Deformation):
    """A cubic B-spline of offsets to all 14 channels of every Gaussian."""

    kind: ClassVar[str] = "spline"
    linear: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
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

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "SplineDeformation":
        """Splines along the tracks, or at rest."""
        assert start.knots is not None
        if start.motion is not None:
            return cls(start.motion.control, start.knots)
        return cls.at_rest(len(base), start.knots, base.device)

    @classmethod
    def trained_numbers(cls, config: Any, gaussians: int, knots: float) -> float:
        """The control points."""
        return (knots + ACTIVE - 1) * gaussians * CHANNELS

    @property
    def spline_knots(self) -> Knots | None:
        """The knots."""
        return self.knots

    def slices(self, time: float) -> list[tuple[int, Tensor, float]]:
        """The four control points that touch `time`."""
        index, weights = self.knots.locate(time)
        return [(index + k, self.control[index + k], weight) for k, weight in enumerate(weights)]

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
        return cls(tensors["control"], Knots.of(settings))

    def select(self, keep: Tensor) -> "SplineDeformation":
        """The splines of the selected Gaussians."""
        return SplineDeformation(self.control[:, keep].contiguous(), self.knots)

    def extend(self, count: int, motion: Tracks | None) -> "SplineDeformation":
        """With the control points of `motion`, which has the same knots, or with `count` splines at rest."""
        more = self.control.new_zeros(self.knots.count, count, CHANNELS) if motion is None else motion.control
        return self.with_control(torch.cat([self.control, more.to(self.control)], 1))

    def covering(self, first: float, last: float) -> tuple["SplineDeformation", int, int]:
        """Splines that go on resting at their last control point, and forget those that nothing asks for any more."""
        knots, dropped, added = self.knots.covering(first, last)
        if not dropped and not added:
            return self, 0, 0
        more = self.control[-1:].expand(added, *self.control.shape[1:])
        return SplineDeformation(torch.cat([self.control, more])[dropped:].contiguous(), knots), dropped, added

    def within(self, first: float, last: float) -> "SplineDeformation":
        """The control points that touch [first, last], seconds, and two more intervals on either side."""
        knots, dropped = self.knots.within(first, last)
        return SplineDeformation(self.control[dropped : dropped + knots.count].contiguous(), knots)

    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) logits: a B-spline stays within the hull of its control points, so the largest of them bounds it."""
        return base[:, OPACITY] + self.control[:, :, OPACITY].amax(0)

    def with_control(self, control: Tensor) -> "SplineDeformation":
        """The same knots with other control points (Kn, M, 14)."""
        return SplineDeformation(control, self.knots)
