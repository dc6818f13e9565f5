"""Agreement of the rendered surface's normals with those of a depth prior.

As in Y. Huang et al., "Endo-4DGS", 2024, which compares splat normals with the prior's; here both come from depth,
since a fitted splat's shortest axis follows texture rather than the surface. A normal sees slopes, so a prior whose
depth drifts over the image but whose detail is right pulls on the detail alone.
"""

import torch
from torch import Tensor

from endogs.render import Rendering
from endogs.render.normals import unit_normals

REACH = 3
"""Pixels to either side over which slopes are taken: between neighbours, a depth map's noise is steeper than tissue."""


def depth_normals(depth: Tensor, K: Tensor, reach: int = 1) -> Tensor:
    """Unit normals (H - 2 R, W - 2 R, 3) in camera axes, facing the camera, of the inner pixels of z-depth (H, W).

    K (3, 3); R is the `reach`. The cross product of the surface's tangents, from differences over R pixels to either
    side: with the point z (x, y, 1), it is z (fx z_u, fy z_v, -(z + (u - cx) z_u + (v - cy) z_v)) / (fx fy).
    """
    height, width = depth.shape
    middle, left, right, up, down = cross(depth, reach)
    du, dv = (right - left) / (2 * reach), (down - up) / (2 * reach)
    x = torch.arange(reach, width - reach, device=depth.device, dtype=depth.dtype) + 0.5 - K[0, 2].to(depth)
    y = torch.arange(reach, height - reach, device=depth.device, dtype=depth.dtype)[:, None] + 0.5 - K[1, 2].to(depth)
    z = middle + x * du + y * dv
    normal = torch.stack([K[0, 0].to(depth) * du, K[1, 1].to(depth) * dv, -z], -1)
    # In units of the depth, so that a scene in metres and one in micrometres have the same threshold of nothing.
    return unit_normals(normal / middle.detach().clamp_min(1e-12)[..., None])


def normal_loss(rendering: Rendering, target: Tensor, weight: Tensor, K: Tensor) -> Tensor:
    """Weighted mean of 1 - cos of the angle between the normals of the rendering and of `target` (H, W) z-depth.

    `weight` (H, W) >= 0 is the target's. A pixel counts where both know it and the four that make its normal: covered
    by the scene (alpha > 0.5), and of positive target depth and weight.
    """
    known = (rendering.alpha.detach() > 0.5) & (rendering.depth.detach() > 0) & (target > 0) & (weight > 0)
    inner = torch.stack(cross(known, REACH)).all(0)
    w = cross(weight, REACH)[0] * inner
    apart = 1 - (depth_normals(rendering.depth, K, REACH) * depth_normals(target, K, REACH)).sum(-1)
    # What is not known may have any depth next to it, and must not reach the sum even as a multiple of zero.
    return (torch.where(inner, apart, torch.zeros_like(apart)) * w).sum() / w.sum().clamp_min(1e-6)


def cross(plane: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The inner pixels of a plane (H, W), and those `reach` to their left, right, above and below."""
    inner = slice(reach, -reach)
    return (
        plane[inner, inner],
        plane[inner, : -2 * reach],
        plane[inner, 2 * reach :],
        plane[: -2 * reach, inner],
        plane[2 * reach :, inner],
    )
