"""The Gauss-Newton system of an alignment: by the compiled kernels, on a CPU or an NVIDIA GPU, or by plain torch.

The formulas are those of `cuda_ext/align_math.h`; `reference_system` is its twin in double precision, which tests hold
against finite differences, and what serves without a compiler.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from endogs import native
from endogs.geometry import Array, invert_rigid, rotation_about

UNKNOWNS = 8
"""Turn (3), shift (3), gain, bias."""
SAMPLE = 4096
"""Residuals by which their spread is told."""


@dataclass(frozen=True)
class Template:
    """The pixels of a picture that count, as points before the camera that drew it."""

    points: Tensor
    """(6, P) float32: x, y, z > 0 in the camera's axes, world units; luma; its slopes along x/z and y/z."""

    def __len__(self) -> int:
        """Points."""
        return int(self.points.shape[1])

    @property
    def depth(self) -> float:
        """Median z, world units."""
        return float(self.points[2].median())


@dataclass(frozen=True)
class Guess:
    """What is looked for."""

    motion: Array
    """(4, 4) from the axes of the camera that drew the picture to those of the frame's."""
    gain: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class System:
    """A Gauss-Newton system: H step = -g is the best small change of turn, shift, gain and bias."""

    hessian: Array
    """(8, 8)."""
    gradient: Array
    """(8,)."""
    weight: float
    """Sum of the weights."""
    residuals: Tensor
    """(P,) differences of luma; NaN where a point falls outside the frame."""

    @staticmethod
    def of(sums: Array, residuals: Tensor) -> "System":
        """From the kernels' sums: the matrix's upper triangle row by row, the gradient, and the weights."""
        hessian = np.zeros((UNKNOWNS, UNKNOWNS))
        upper = np.triu_indices(UNKNOWNS)
        hessian[upper] = hessian.T[upper] = sums[: len(upper[0])]
        return System(hessian, sums[len(upper[0]) : -1].copy(), float(sums[-1]), residuals)


def system_of(template: Template, image: Tensor, K: Array, guess: Guess, cut: float) -> System:
    """The system of a frame `image` (h, w) float32 with intrinsics K (3, 3), both where the template is.

    Points whose residual reaches `cut` count for nothing (Tukey's biweight).
    """
    points, device = template.points, template.points.device.type
    if not native.runs_on(device):
        return reference_system(template, image, K, guess, cut)
    motion, small = (torch.from_numpy(np.asarray(matrix, np.float32)) for matrix in (guess.motion, K))
    residuals = torch.empty(len(template), device=points.device)
    common = points, image, motion, small, guess.gain, guess.bias, 1 / cut
    kernels = native.module()
    if device == "cpu":
        sums = torch.empty(kernels.align_sums, dtype=torch.float64)
        kernels.align_system(*common, sums, residuals)
    else:
        blocks = -(-len(template) // kernels.cuda.align_block)
        parts = torch.empty((blocks, kernels.align_sums), dtype=torch.float64, device=points.device)
        kernels.cuda.align_system(*common, parts, residuals, torch.cuda.current_stream(points.device).cuda_stream)
        sums = parts.sum(0).cpu()
    return System.of(sums.numpy(), residuals)


def reference_system(template: Template, image: Tensor, K: Array, guess: Guess, cut: float) -> System:
    """`system_of` in double precision and plain torch.

    The residual of a point X is r = image(project(motion X)) - gain luma - bias. It is linear in a small motion of the
    picture's points, which enters the guess as its inverse.
    """
    packed = template.points.double().cpu()
    points, luma, slopes = packed[:3], packed[3], packed[4:]
    rotation, offset = torch.from_numpy(guess.motion[:3, :3].copy()), torch.from_numpy(guess.motion[:3, 3:].copy())
    seen = rotation @ points + offset
    z = seen[2].clamp_min(1e-9)
    u, v = seen[0] / z * K[0, 0] + K[0, 2] - 0.5, seen[1] / z * K[1, 1] + K[1, 2] - 0.5
    height, width = image.shape
    inside = (seen[2] > 1e-9) & (u >= 0) & (v >= 0) & (u < width - 1) & (v < height - 1)
    u, v = torch.where(inside, u, 0), torch.where(inside, v, 0)
    column, row = u.floor().long(), v.floor().long()
    a, b = u - column, v - row
    at = image.double().cpu().reshape(-1)
    first = row * width + column
    upper = at[first] * (1 - a) + at[first + 1] * a
    lower = at[first + width] * (1 - a) + at[first + width + 1] * a
    residual = upper * (1 - b) + lower * b - guess.gain * luma - guess.bias
    relative = residual / cut
    weight = torch.where(inside & (relative.abs() < 1), (1 - relative**2) ** 2, 0)
    x, y, depth = points
    by_shift = torch.stack([slopes[0] / depth, slopes[1] / depth, -(slopes[0] * x + slopes[1] * y) / depth**2])
    by_turn = torch.linalg.cross(points, by_shift, dim=0)
    ones = torch.ones_like(luma)
    rows = torch.cat([-guess.gain * by_turn, -guess.gain * by_shift, -luma[None], -ones[None]])
    weighted = rows * weight
    return System(
        (weighted @ rows.T).numpy(),
        (weighted @ residual).numpy(),
        float(weight.sum()),
        torch.where(inside, residual, torch.nan),
    )


def stepped(guess: Guess, step: Array) -> Guess:
    """The guess after a step (8,) of a system."""
    small = np.eye(4)
    small[:3, :3], small[:3, 3] = rotation_about(step[:3]), step[3:6]
    return Guess(guess.motion @ invert_rigid(small), guess.gain + float(step[6]), guess.bias + float(step[7]))


def robust_deviation(residuals: Tensor) -> float:
    """1.4826 times the median absolute residual (P,), NaN left out, of up to SAMPLE of them; 0 of nothing."""
    sizes = residuals[:: max(1, len(residuals) // SAMPLE)].abs()
    sizes = sizes[torch.isfinite(sizes)]
    return 1.4826 * float(sizes.median()) if len(sizes) else 0.0
