"""Shared low-rank motion: every Gaussian moves along a mixture of a few trajectories that all of them share.

    delta_i,c(t) = sum_k b_k,c(t) C_i,k,c

with b_k,c cubic splines over the clip (shared) and C_i,k,c coefficients per Gaussian: the trajectory bases of I.
Akhter et al., "Trajectory space: a dual representation for nonrigid structure from motion", 2011, here learned. The
trajectories start as the principal components of the splines through the tracks, so K of them explain the tracks best
in the least-squares sense (Eckart and Young, 1936), and tissue that is seen at an instant moves tissue that is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from endogs.gaussians import CHANNELS, COLORS, MEANS, OPACITY
from endogs.scene.deformation.bases import with_offsets
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import MOTION_CHANNELS, TRACKED_UNITS, Form, OutputUnits, Rate, Start
from endogs.scene.deformation.knots import ACTIVE, Knots, Tracks
from endogs.scene.deformation.settings import check_names

SETTLING = 1e-3
"""Ridge of the coefficients that follow a given motion, relative to a trajectory's own energy."""


class _Mixture(torch.autograd.Function):
    """sum_k b[k] C[k]: (N, C) of b (K, C) and C (K, N, C), without their product in memory."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(coefficients, values)
        out = coefficients[0] * values[0]
        for coefficient, value in zip(coefficients[1:], values[1:], strict=True):
            out.addcmul_(coefficient, value)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        coefficients, values = ctx.saved_tensors
        by_values = torch.stack([(grads[0] * coefficient).sum(0) for coefficient in coefficients])
        return grads[0] * values[:, None], by_values


@dataclass(frozen=True)
class LowrankConfig(Form):
    """Trajectories that all Gaussians share."""

    units: OutputUnits = TRACKED_UNITS
    """Scale of the outputs."""
    trajectories: int = 16
    """Shared functions of time per channel."""
    coefficient_rate: Rate = Rate(0.02, 0.2)
    """Of all coefficients of a channel together: each steps at this over the number of trajectories, which add up."""
    trajectory_rate: Rate = Rate(1e-3, 0.1)
    """Their mean square is 1 at first."""


class LowrankDeformation(Deformation):
    """Offsets that are mixtures of shared trajectories."""

    kind: ClassVar[str] = "lowrank"
    Config: ClassVar[type] = LowrankConfig
    tracked: ClassVar[bool] = True
    per_gaussian: ClassVar[Mapping[str, int]] = {"coefficients": 1}
    fixed: ClassVar[frozenset[str]] = frozenset({"units"})

    def __init__(self, trajectories: Tensor, coefficients: Tensor, units: Tensor, knots: Knots) -> None:
        """trajectories (Kn, K, C) control points, C = 10 or 14; coefficients (K, N, C); units (C,).

        Raises ValueError when they do not fit each other.
        """
        channels = len(units)
        if units.ndim != 1 or channels not in (MOTION_CHANNELS, CHANNELS):
            raise ValueError(f"units {tuple(units.shape)}, expected ({MOTION_CHANNELS},) or ({CHANNELS},)")
        if trajectories.ndim != 3 or trajectories.shape[0] != knots.count or trajectories.shape[2] != channels:
            raise ValueError(f"trajectories {tuple(trajectories.shape)} do not fit ({knots.count}, K, {channels})")
        if coefficients.ndim != 3 or coefficients.shape[::2] != trajectories.shape[1:] or len(coefficients) < 1:
            raise ValueError(f"coefficients {tuple(coefficients.shape)} do not fit {tuple(trajectories.shape)}")
        self.trajectories, self.coefficients, self.units, self.knots = trajectories, coefficients, units, knots

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "LowrankDeformation":
        """The tracks' principal components, or cosines."""
        assert start.knots is not None
        shared = cls.of(start.motion, start.config.trajectories, start.units.to(base), start.knots)
        return shared.extend(len(base), start.motion)

    @classmethod
    def trained_numbers(cls, config: Any, gaussians: int, knots: float) -> float:
        """The coefficients."""
        return config.trajectories * gaussians * CHANNELS

    def rates(self, config: Any) -> dict[str, Rate]:
        """There are fewer trajectories than configured where the clip has fewer knots."""
        coefficients = Rate(config.coefficient_rate.start / len(self.coefficients), config.coefficient_rate.final)
        return {"coefficients": coefficients, "trajectories": config.trajectory_rate}

    @staticmethod
    def of(motion: Tracks | None, rank: int, units: Tensor, knots: Knots) -> "LowrankDeformation":
        """No Gaussians yet, and trajectories that explain `motion` best; without one, cosines over the clip.

        Position, quaternion and log-scale share the positions' trajectories at first, opacity and colour the colours'.
        A clip of few knots has fewer trajectories than `rank`.
        """
        rank, channels = min(rank, knots.count), len(units)
        trajectories = units.new_empty(knots.count, rank, channels)
        shape = principal(motion, MEANS, rank) if motion is not None else cosines(knots.count, rank)
        trajectories[:, :, :OPACITY] = shape.to(units)[..., None]
        if channels > OPACITY:
            shape = principal(motion, COLORS, rank) if motion is not None else shape
            trajectories[:, :, OPACITY:] = shape.to(units)[..., None]
        return LowrankDeformation(trajectories, units.new_zeros(rank, 0, channels), units, knots)

    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds."""
        index, weights = self.knots.locate(time)
        active = self.trajectories[index : index + ACTIVE]
        values = sum(weight * control for weight, control in zip(weights, active, strict=True))
        offsets = cast("Tensor", _Mixture.apply(self.coefficients, values))
        return with_offsets(base, offsets * self.units)

    def tensors(self) -> dict[str, Tensor]:
        """Shared trajectories, coefficients and units."""
        return {"trajectories": self.trajectories, "coefficients": self.coefficients, "units": self.units}

    def settings(self) -> dict[str, Any]:
        """The knots."""
        return {"breakpoints": list(self.knots.breakpoints)}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "LowrankDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        check_names(cls.kind, tensors, {"trajectories", "coefficients", "units"}, frozenset())
        return cls(**tensors, knots=Knots.of(settings))

    def extend(self, count: int, motion: Tracks | None) -> "LowrankDeformation":
        """With `count` more Gaussians, whose coefficients follow `motion` (of the same knots) best, or are zero."""
        rank, _, channels = self.coefficients.shape
        more = self.coefficients.new_zeros(rank, count, channels)
        if motion is not None:
            control = motion.control[..., :channels].to(self.coefficients) / self.units
            shared = self.trajectories.detach().permute(2, 0, 1).double()  # (C, Kn, K)
            gram = shared.mT @ shared
            ridge = SETTLING * gram.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
            identity = torch.eye(rank, dtype=gram.dtype, device=gram.device)
            solve = torch.linalg.solve(gram + ridge * identity, shared.mT).to(control)
            more = torch.einsum("ckj,jnc->knc", solve, control).contiguous()
        return LowrankDeformation(self.trajectories, torch.cat([self.coefficients, more], 1), self.units, self.knots)

    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) logits: the mixture is a spline, which stays within the hull of its control points."""
        if len(self.units) == MOTION_CHANNELS:
            return base[:, OPACITY]
        control = self.trajectories[:, :, OPACITY] @ self.coefficients[:, :, OPACITY]  # (Kn, N)
        return base[:, OPACITY] + control.amax(0) * self.units[OPACITY]


def principal(motion: Tracks, columns: slice, rank: int) -> Tensor:
    """(Kn, rank) float64: the leading left singular vectors of the control points' columns, each of mean square 1."""
    rows = motion.control[..., columns].detach().double().cpu().reshape(motion.knots.count, -1)
    _, vectors = torch.linalg.eigh(rows @ rows.T)
    leading = vectors.flip(1)[:, :rank]
    largest = leading.gather(0, leading.abs().argmax(0, keepdim=True))
    return leading * largest.sign() * motion.knots.count**0.5


def cosines(count: int, rank: int) -> Tensor:
    """(count, rank) float64: the slowest cosines over the control points, each of mean square 1 (DCT-II)."""
    phase = torch.pi * (torch.arange(count, dtype=torch.float64)[:, None] + 0.5) / count
    wave = torch.cos(phase * torch.arange(rank))
    return wave / wave.square().mean(0).sqrt()
