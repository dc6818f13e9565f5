"""Normals of flat Gaussians, composited like any other feature."""

import torch
from torch import Tensor

from endogs.gaussians import LOG_SCALES, MEANS, QUATS
from endogs.render.projection import rotation_matrices


def gaussian_normals(packed: Tensor, world_to_camera: Tensor) -> Tensor:
    """Unit normals (N, 3) in camera axes: each Gaussian's shortest axis, turned to face the camera.

    A splat that lies on a surface is flat along the surface's normal. Its two directions are equivalent, so the one
    whose angle with the line of sight is obtuse is taken. Which axis and which sign are decisions without a gradient.
    """
    rotation = world_to_camera[:3, :3]
    shortest = packed[:, LOG_SCALES].detach().argmin(dim=1)
    axes = rotation_matrices(packed[:, QUATS])  # (N, 3, 3), columns are the axes
    normal = axes[torch.arange(len(packed), device=packed.device), :, shortest] @ rotation.T
    with torch.no_grad():
        sight = packed[:, MEANS] @ rotation.T + world_to_camera[:3, 3]
        sign = torch.where((normal * sight).sum(1) > 0, -1.0, 1.0).to(packed.dtype)
    return normal * sign[:, None]


def unit_normals(accumulated: Tensor) -> Tensor:
    """Composited normals (..., 3) scaled to length 1; 0 where their length is below 1e-6 (nothing, or opposites)."""
    squared = (accumulated * accumulated).sum(-1, keepdim=True)
    seen = squared > 1e-12
    # The inner `where` keeps the square root's infinite slope at zero out of the graph.
    length = torch.where(seen, squared, torch.ones_like(squared)).sqrt()
    return torch.where(seen, accumulated / length, torch.zeros_like(accumulated))
