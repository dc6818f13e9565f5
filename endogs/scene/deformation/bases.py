"""Per Gaussian and channel, a sum of learnable bases over time.

Deform3DGS (S. Yang et al., "Deform3DGS: flexible deformation for fast surgical scene reconstruction with Gaussian
splatting", MICCAI 2024): 17 bases for each of 10 channels (position, quaternion, log-scale), each with a learnable
weight w, centre mu and width s,

    delta(t) = sum_b w_b k(t; mu_b, s_b)
    paper, "gaussian":  k = exp(-(t - mu)^2 / (2 s^2))
    code,  "quartic":   k = exp(-((t - mu)^2 / (s^2 + 1e-4))^2)

with t the part of the clip in [0, 1]. ColorGS (Q. Ji et al., "ColorGS", 2025,
arXiv 2508.18696) adds a learnable term c that does not depend on time, delta(t) = c + sum_b w_b k(t; mu_b, s_b); here
it adds nothing that the canonical Gaussian could not express, only a second step size. Opacity and colour may have
bases too (`channels` of 14 instead of 10), which neither paper has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor

from endogs.gaussians import CHANNELS, OPACITY
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.form import MOTION_CHANNELS, TRACKED_UNITS, Form, OutputUnits, Rate, Start
from endogs.scene.deformation.knots import Knots, Tracks
from endogs.scene.deformation.settings import check_names

Kernel = Literal["quartic", "gaussian"]
KERNELS = get_args(Kernel)
QUARTIC_WIDTH, GAUSSIAN_WIDTH = 1e-4, 1e-8
"""Added to the squared width: Deform3DGS's, and what keeps a vanishing width from dividing by zero."""
ROWS = 4096
"""Gaussians at a time on a CPU, so that what is computed in between stays in its cache."""
TRACK_SAMPLES = 4
"""Instants per basis at which a track, or the opacity, is looked at."""
TRACK_RIDGE = 1e-2
"""Pull of the weights towards zero, relative to one instant."""


def squared_ratio(centers: Tensor, widths: Tensor, t: float | Tensor, kernel: str) -> tuple[Tensor, Tensor, Tensor]:
    """u = t - mu, the denominator q, and r = u^2 / q, of which the kernel is exp(-r^2) or exp(-r)."""
    u = t - centers
    q = widths * widths
    q = q + QUARTIC_WIDTH if kernel == "quartic" else 2 * q + GAUSSIAN_WIDTH
    return u, q, u * u / q


def kernel_values(centers: Tensor, widths: Tensor, t: float | Tensor, kernel: str) -> Tensor:
    """The bases at `t`: centers and widths of any one shape, in time of a clip that lasts 1; `t` may broadcast."""
    _, _, r = squared_ratio(centers, widths, t, kernel)
    return torch.exp(-r * r if kernel == "quartic" else -r)


class _BasisSum(torch.autograd.Function):
    """sum_b w_b k_b: keeps nothing but its inputs, and works through a few thousand Gaussians at a time."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, centers: Tensor, widths: Tensor, t: float, kernel: str) -> Tensor:
        ctx.save_for_backward(weights, centers, widths)
        ctx.t, ctx.kernel = t, kernel
        out = weights.new_empty(weights.shape[:2])
        for rows in _chunks(weights):
            out[rows] = (weights[rows] * kernel_values(centers[rows], widths[rows], t, kernel)).sum(-1)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        weights, centers, widths = ctx.saved_tensors
        grad_weights, grad_centers, grad_widths = (torch.empty_like(x) for x in (weights, centers, widths))
        for rows in _chunks(weights):
            u, q, r = squared_ratio(centers[rows], widths[rows], ctx.t, ctx.kernel)
            quartic = ctx.kernel == "quartic"
            pull = torch.exp(-r * r if quartic else -r) * grads[0][rows, :, None]
            grad_weights[rows] = pull
            # d(exponent)/dr is -2r or -1, dr/dmu = -2u/q, dr/ds = -2 r s / q, twice that where q holds 2 s^2.
            slope = pull * weights[rows] * (2 * r if quartic else 1) * 2 / q
            grad_centers[rows] = slope * u
            grad_widths[rows] = slope * r * widths[rows] * (1 if quartic else 2)
        return grad_weights, grad_centers, grad_widths, None, None


def _chunks(weights: Tensor) -> Iterator[slice]:
    size = len(weights) if weights.device.type == "cuda" else ROWS
    return (slice(first, first + size) for first in range(0, len(weights), max(size, 1)))


def basis_sum(weights: Tensor, centers: Tensor, widths: Tensor, t: float, kernel: str) -> Tensor:
    """(N, C) sums over the last dimension of weights (N, C, B) times the kernel at `t` in [0, 1]."""
    return cast("Tensor", _BasisSum.apply(weights, centers, widths, t, kernel))


@dataclass(frozen=True)
class BasesConfig(Form):
    """Deform3DGS's and ColorGS's bases over time, of each Gaussian and channel; Deform3DGS's channels are motion."""

    units: OutputUnits = TRACKED_UNITS
    """Scale of the outputs."""
    count: int = 17
    """Bases per channel, evenly spaced at first."""
    kernel: Kernel = "quartic"
    """As Deform3DGS computes it, or as its paper writes it."""
    constant: bool = False
    """ColorGS's learnable time-independent term beside the bases."""
    width: float = 1.1
    """First width s, in distances of neighbouring centres: sums of quartic bases then follow smooth motion to 3 %,
    Gaussian ones to 1 %. Deform3DGS takes 0.16, with which neighbours do not overlap and 70 % of it are left over."""
    weight_rate: Rate = Rate(4e-3, 0.1)
    """Also of the time-independent term."""
    shape_rate: Rate = Rate(2e-4, 0.1)
    """Of centres and widths; time of a clip that lasts 1."""


class BasesDeformation(Deformation):
    """Offsets that are sums of bases over time."""

    kind: ClassVar[str] = "bases"
    Config: ClassVar[type] = BasesConfig
    tracked: ClassVar[bool] = True
    per_gaussian: ClassVar[Mapping[str, int]] = {"weights": 0, "centers": 0, "widths": 0, "constant": 0}
    fixed: ClassVar[frozenset[str]] = frozenset({"units", "first"})

    def __init__(
        self,
        weights: Tensor,
        centers: Tensor,
        widths: Tensor,
        units: Tensor,
        first: Tensor,
        span: ClipTime,
        kernel: str = "quartic",
        constant: Tensor | None = None,
    ) -> None:
        """weights, centers, widths (N, C, B), C = 10 or 14; constant (N, C) or None; units (C,): what a weight of 1
        means.

        `first` (2, B): centres and widths of new Gaussians. Raises ValueError when shapes do not fit.
        """
        channels = len(units)
        if units.ndim != 1 or channels not in (MOTION_CHANNELS, CHANNELS) or kernel not in KERNELS:
            raise ValueError(
                f"units {tuple(units.shape)} of kernel {kernel!r}; expected (10,) or (14,), {' or '.join(KERNELS)}"
            )
        shape = (weights.shape[0], channels, first.shape[-1])
        if any(x.shape != shape for x in (weights, centers, widths)) or first.shape != (2, shape[2]):
            raise ValueError(f"weights {tuple(weights.shape)}, centers, widths or first do not fit {shape}")
        if constant is not None and constant.shape != shape[:2]:
            raise ValueError(f"constant {tuple(constant.shape)} does not fit {shape[:2]}")
        self.weights, self.centers, self.widths, self.constant = weights, centers, widths, constant
        self.units, self.first, self.span, self.kernel = units, first, span, kernel

    @classmethod
    def start(cls, base: Tensor, start: Start) -> "BasesDeformation":
        """Bases fitted to the tracks, or without weight."""
        b, units = start.config, start.units.to(base)
        still = cls.at_rest(0, b.count, b.width / (b.count - 1), units, start.span, b.kernel, b.constant)
        return still.extend(len(base), start.motion)

    @classmethod
    def trained_numbers(cls, config: Any, gaussians: int, knots: float) -> float:
        """Weight, centre and width of every basis."""
        return 3 * config.count * gaussians * CHANNELS

    def rates(self, config: Any) -> dict[str, Rate]:
        """Of weights and of shapes."""
        weights, shapes = config.weight_rate, config.shape_rate
        return {"weights": weights, "constant": weights, "centers": shapes, "widths": shapes}

    @staticmethod
    def at_rest(
        count: int, bases: int, width: float, units: Tensor, span: ClipTime, kernel: str, constant: bool
    ) -> "BasesDeformation":
        """`count` Gaussians that do not move yet: evenly spaced centres, one width, no weight."""
        first = torch.stack([torch.linspace(0, 1, bases), torch.full((bases,), width)]).to(units)
        empty = units.new_zeros(0, len(units), bases)
        still = units.new_zeros(0, len(units)) if constant else None
        return BasesDeformation(empty, empty, empty, units, first, span, kernel, still).extend(count, None)

    def packed_at(self, base: Tensor, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds."""
        offsets = basis_sum(self.weights, self.centers, self.widths, self.span.fraction(time), self.kernel)
        if self.constant is not None:
            offsets = offsets + self.constant
        return with_offsets(base, offsets * self.units)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, centres, widths, the time-independent term where there is one, units and first shape."""
        tensors = {"weights": self.weights, "centers": self.centers, "widths": self.widths}
        if self.constant is not None:
            tensors["constant"] = self.constant
        return tensors | {"units": self.units, "first": self.first}

    def settings(self) -> dict[str, Any]:
        """Kernel and span of time."""
        return {"kernel": self.kernel, **self.span.settings()}

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], settings: dict[str, Any]) -> "BasesDeformation":
        """Rebuild from a scene file; raises ValueError when shapes do not fit."""
        needed = {"weights", "centers", "widths", "units", "first"}
        check_names(cls.kind, tensors, needed, frozenset({"constant"}))
        return cls(**tensors, span=ClipTime.of(settings), kernel=settings["kernel"])

    def extend(self, count: int, motion: Tracks | None) -> "BasesDeformation":
        """With `count` more Gaussians, whose weights are fitted to `motion` by ridge least squares, or are zero."""
        _, channels, bases = self.weights.shape
        centers, widths = (row.expand(count, channels, bases) for row in self.first)
        weights, constant = self.weights.new_zeros(count, channels, bases), self.weights.new_zeros(count, channels)
        if motion is not None:
            control = motion.control[..., :channels].to(self.weights) / self.units
            weights = torch.einsum("bk,knc->ncb", self._through(motion.knots), control)
        return BasesDeformation(
            torch.cat([self.weights, weights]),
            torch.cat([self.centers, centers]),
            torch.cat([self.widths, widths]),
            self.units,
            self.first,
            self.span,
            self.kernel,
            None if self.constant is None else torch.cat([self.constant, constant]),
        )

    def _through(self, knots: Knots) -> Tensor:
        """(B, Kn): weights that follow a spline of the given control points in the least-squares sense."""
        first = self.first.detach().double().cpu()
        instants = np.linspace(0, 1, TRACK_SAMPLES * first.shape[1])
        kernel = torch.stack([kernel_values(first[0], first[1], float(t), self.kernel) for t in instants])
        spline = torch.from_numpy(knots.basis(self.span.start + self.span.duration * instants))
        normal = kernel.T @ kernel + TRACK_RIDGE * torch.eye(kernel.shape[1], dtype=torch.float64)
        return torch.linalg.solve(normal, kernel.T @ spline).to(self.weights)

    @torch.no_grad()
    def highest_opacity(self, base: Tensor) -> Tensor:
        """(N,) logits: the highest at even instants of the clip and at the centres of each one's own bases.

        Close to, and no strict, bound; a strict one, the positive weights' sum, is far off where bases overlap.
        """
        if len(self.units) == MOTION_CHANNELS:
            return base[:, OPACITY]
        instants = torch.linspace(0, 1, TRACK_SAMPLES * self.first.shape[1]).to(self.weights)
        most = self.weights.new_empty(len(self.weights))
        for rows in _chunks(self.weights):
            weights, centers, widths = (x[rows, OPACITY] for x in (self.weights, self.centers, self.widths))
            looks = torch.cat([instants.expand(len(weights), -1), centers.clamp(0, 1)], 1)
            sums = [
                (weights * kernel_values(centers, widths, t[:, None], self.kernel)).sum(-1) for t in looks.unbind(1)
            ]
            most[rows] = torch.stack(sums).amax(0)
        if self.constant is not None:
            most = most + self.constant[:, OPACITY]
        return base[:, OPACITY] + most * self.units[OPACITY]


def with_offsets(base: Tensor, offsets: Tensor) -> Tensor:
    """base (N, 14) with offsets (N, 10 or 14) added to its first columns."""
    channels = offsets.shape[1]
    if channels == base.shape[1]:
        return base + offsets
    return torch.cat([base[:, :channels] + offsets, base[:, channels:]], 1)
