"""Where single precision may tip a decision of the rasterizer, and how far it may be off elsewhere."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.render.projection import ALPHA_MAX, ALPHA_MIN
from endogs.render.reference import Box, alpha_at, drawable, exponent_at, over_tiles


@dataclass(frozen=True)
class RoundingMargin:
    """Where a float32 rasterizer may legitimately differ from the exact image, and by how much."""

    decisions: Tensor
    """(H, W) smallest distance of any yes-or-no decision at the pixel from tipping, in units of the estimated relative
    float32 rounding error: alpha against 1/255 and 0.999, and which of two Gaussians is in front. Infinite if none."""
    alpha_error: Tensor
    """(H, W) first-order bound on the pixel's rounding error for values in [0, 1]: sum of alpha_i T_i times the
    relative error of alpha_i."""


@torch.no_grad()
def rounding_margin(packed: Tensor, camera: Camera, *, antialiased: bool = False) -> RoundingMargin:
    """Rounding margins of rendering packed Gaussians (N, 14) in float32, computed in the dtype of `packed`.

    The exponent 0.5 d^T conic d is a difference of large terms for needles: its absolute error, which is the relative
    error of alpha, is about eps32 times the sum of their magnitudes, plus eps32 times the size of the coordinates times
    the slope of the exponent. Two Gaussians of exactly equal depth are ordered by index and count as certain.
    """
    camera = camera.to(packed.device, packed.dtype)
    _, projection = drawable(packed, camera, antialiased)
    eps = torch.finfo(torch.float32).eps
    # Pairs just below 1/255 are decisions too.
    projection = replace(projection, extents=1.05 * projection.extents + 0.05)

    def margin(box: Box, inside: Tensor) -> Tensor:
        offsets = box.centres(packed)[:, None] - projection.means2d[inside]
        conics, z = projection.conics[inside], projection.depths[inside]
        exact = projection.opacities[inside] * torch.exp(-exponent_at(offsets, conics))
        slope = torch.stack(
            [
                conics[:, 0] * offsets[..., 0] + conics[:, 1] * offsets[..., 1],
                conics[:, 1] * offsets[..., 0] + conics[:, 2] * offsets[..., 1],
            ],
            -1,
        )
        size = projection.means2d[inside].abs() + camera.K[:2, 2].abs()
        error = eps * (4 + 4 * exponent_at(offsets.abs(), conics.abs()) + 2 * (slope.abs() * size).sum(-1))
        tipping = torch.minimum((exact / ALPHA_MIN - 1).abs(), (exact / ALPHA_MAX - 1).abs()) / error
        alpha = alpha_at(offsets, conics, projection.opacities[inside])
        contributing = torch.where(alpha > 0, z, -torch.inf)
        front = torch.cummax(contributing, 1).values
        front = torch.cat([torch.full_like(front[:, :1], -torch.inf), front[:, :-1]], 1)
        gap = (contributing - front) / z / (4 * eps)
        swap = torch.where((alpha > 0) & (front > -torch.inf) & (gap > 0), gap, torch.inf)
        through = torch.cumprod(1 - alpha, 1)
        before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1)
        decisions = torch.minimum(tipping, swap).amin(1)
        return torch.stack([decisions, (alpha * before * error).sum(1)], 1)

    both = over_tiles(camera, projection, margin, empty=[torch.inf, 0.0], like=packed)
    return RoundingMargin(both[..., 0], both[..., 1])
