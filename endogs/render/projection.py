"""Gaussians projected to the image: EWA splatting in plain torch.

Formulas: Zwicker et al., "EWA Splatting" (2002); the 0.3 px low-pass and the clamped Jacobian of 3D Gaussian Splatting
(Kerbl et al. 2023) with the limits gsplat 1.5.3 uses; the opacity compensation of Mip-Splatting (Yu et al. 2024).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from endogs.gaussians import LOG_SCALES, MEANS, OPACITY, QUATS

LOW_PASS = 0.3
"""Variance in square pixels added to every projected Gaussian, so that none falls between the pixel centres."""
ALPHA_MIN = 1.0 / 255.0
"""A Gaussian contributes to a pixel only from this alpha on."""
ALPHA_MAX = 0.999
"""Alpha is cut here, so that the light behind a Gaussian never vanishes entirely; no gradient beyond it."""


@dataclass(frozen=True)
class Projection:
    """N Gaussians on the image plane. Rows that are not `visible` may hold anything, NaN included."""

    means2d: Tensor
    """(N, 2) centres in pixels, pixel centres at +0.5."""
    covariances: Tensor
    """(N, 3) upper triangle xx, xy, yy of the image covariance with the low-pass, square pixels."""
    conics: Tensor
    """(N, 3) upper triangle of its inverse."""
    depths: Tensor
    """(N,) z-depth of the centres in the camera."""
    opacities: Tensor
    """(N,) in [0, 1], compensated when antialiased."""
    visible: Tensor
    """(N,) bool: not nearer than `near`, finite, opacity at least 1/255. Says nothing about the image's border."""
    extents: Tensor
    """(N, 2) half size in pixels of the box outside which alpha is below 1/255; 0 for opacities below it."""


def project(
    packed: Tensor,
    world_to_camera: Tensor,
    K: Tensor,
    width: int,
    height: int,
    near: float = 1e-2,
    antialiased: bool = False,
) -> Projection:
    """Projects packed Gaussians (N, 14) with `world_to_camera` (4, 4) and `K` (3, 3) onto width x height pixels.

    With m = W R S, the Jacobian J of the perspective map at the centre and B = J m (2, 3), the covariance is
    B B^T + 0.3 I. Its determinant is written as |b0 x b1|^2 + 0.3 (|b0|^2 + |b1|^2) + 0.09 (Lagrange's identity): all
    terms are positive, so needles lose no digits, where xx yy - xy^2 would cancel.
    """
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    means = packed[:, MEANS] @ rotation.T + translation
    x, y, z = means.unbind(1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]

    # The Jacobian is linear at the centre only: far outside the view it would smear Gaussians over the image.
    slack_x, slack_y = 0.15 * width / fx, 0.15 * height / fy
    slope_x = torch.clamp(x / z, -(cx / fx + slack_x), (width - cx) / fx + slack_x)
    slope_y = torch.clamp(y / z, -(cy / fy + slack_y), (height - cy) / fy + slack_y)

    axes = rotation @ (rotation_matrices(packed[:, QUATS]) * packed[:, LOG_SCALES].exp()[:, None, :])  # (N, 3, 3)
    b0 = (fx / z)[:, None] * (axes[:, 0] - slope_x[:, None] * axes[:, 2])
    b1 = (fy / z)[:, None] * (axes[:, 1] - slope_y[:, None] * axes[:, 2])
    xx, xy, yy = (b0 * b0).sum(1), (b0 * b1).sum(1), (b1 * b1).sum(1)
    area = torch.linalg.vector_norm(torch.linalg.cross(b0, b1), dim=1)  # sqrt of the determinant before the low-pass
    determinant = area * area + LOW_PASS * (xx + yy) + LOW_PASS * LOW_PASS
    xx, yy = xx + LOW_PASS, yy + LOW_PASS

    opacities = torch.sigmoid(packed[:, OPACITY])
    if antialiased:
        opacities = opacities * area / determinant.sqrt()

    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], 1)
    covariances = torch.stack([xx, xy, yy], 1)
    conics = torch.stack([yy, -xy, xx], 1) / determinant[:, None]
    visible = (
        (z >= near)
        & (opacities >= ALPHA_MIN)
        & (determinant > 0)
        & torch.isfinite(means2d).all(1)
        & torch.isfinite(covariances).all(1)
        & torch.isfinite(conics).all(1)
    )
    # alpha >= 1/255 inside the ellipse d^T conic d <= 2 ln(255 o), whose bounding box is sqrt(2 ln(255 o) covariance).
    reach = (2 * torch.log(opacities.detach().clamp(min=ALPHA_MIN) / ALPHA_MIN)).sqrt()
    extents = reach[:, None] * torch.stack([xx, yy], 1).detach().sqrt()
    return Projection(means2d, covariances, conics, z, opacities, visible, extents)


def rotation_matrices(quats: Tensor) -> Tensor:
    """Rotation matrices (N, 3, 3) of quaternions (N, 4) wxyz of any length; a zero quaternion is no rotation."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=1).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)
