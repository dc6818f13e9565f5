"""One Gaussian's part in the picture, shared among several at the same place.

S. Kheradmand et al., "3D Gaussian splatting as Markov chain Monte Carlo", 2024, eq. 9: N Gaussians with opacity
o' = 1 - (1 - o)^(1/N) stop as much light at their centre as one with o, and with scales times
o / sum_{i=1..N} sum_{k<i} C(i-1, k) (-1)^k o'^(k+1) / sqrt(k+1) as much along a line through it.
"""

import torch
from torch import Tensor

from endogs.gaussians import LOG_SCALES, OPACITY
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.spline import SplineDeformation

MOST = 51
"""Most Gaussians that share: the sum alternates, and beyond this loses its digits even in 64 bits."""


def shared_logit(logit: Tensor, count: Tensor) -> Tensor:
    """Logit of 1 - (1 - sigmoid(logit))^(1 / count), without ever forming 1 - opacity; count >= 1."""
    clear = torch.nn.functional.softplus(logit) / count  # -log of the light that one of them lets through
    return torch.log(-torch.expm1(-clear)) + clear


def shared_scale(logit: Tensor, count: Tensor) -> Tensor:
    """Factor on the scales of each of `count` (M,) int64 Gaussians in 1..MOST that share one of `logit` (..., M)."""
    opacity = torch.sigmoid(logit.double())
    part = torch.sigmoid(shared_logit(logit.double(), count))
    total = torch.zeros_like(part)
    # sum_{i=1..N} C(i-1, k) = C(N, k+1): one sum is left.
    binomial = torch.ones_like(part)
    for k in range(int(count.max()) if count.numel() else 0):
        binomial = binomial * (count - k).clamp_min(0) / (k + 1)
        total += binomial * (-1) ** k * part ** (k + 1) / (k + 1) ** 0.5
    return (opacity / total).to(logit.dtype)


def share(base: Tensor, motion: Deformation, count: Tensor, shrink: bool) -> tuple[Tensor, Deformation]:
    """One of the `count` (M,) Gaussians that are to replace each of `base` (M, 14), which move by `motion`.

    A spline's opacity changes in time, so the rule holds for every control point, and nearly so in between; with other
    deformations it holds at rest. `shrink` changes the scales too.
    """
    count = count.clamp(1, MOST)
    shared = base.clone()
    shared[:, OPACITY] = shared_logit(base[:, OPACITY], count)
    if shrink:
        shared[:, LOG_SCALES] += shared_scale(base[:, OPACITY], count).log()[:, None]
    if not isinstance(motion, SplineDeformation):
        return shared, motion
    logit = base[:, OPACITY] + motion.control[..., OPACITY]
    moved = motion.control.clone()
    moved[..., OPACITY] = shared_logit(logit, count) - shared[:, OPACITY]
    if shrink:
        scales = base[:, LOG_SCALES] + motion.control[..., LOG_SCALES] + shared_scale(logit, count).log()[..., None]
        moved[..., LOG_SCALES] = scales - shared[:, LOG_SCALES]
    return shared, motion.with_control(moved)
