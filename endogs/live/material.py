"""Points of the tissue, and where they go over time."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.live.viewpoint import SURE, Viewpoint
from endogs.scene import Scene

NEIGHBOURS = 32
"""Gaussians that carry a point."""


@dataclass(frozen=True)
class MaterialPoint:
    """A point of the tissue, named by where it is at one time. It stays valid while a fit changes its Gaussians."""

    position: tuple[float, float, float]
    """World units."""
    time: float
    """Seconds."""


def pick(
    view: Viewpoint,
    depth: NDArray[np.float32],
    alpha: NDArray[np.float32],
    x: float,
    y: float,
    time: float,
) -> MaterialPoint | None:
    """The tissue drawn at the fractions x, y in [0, 1] of the canvas; None where there is none.

    depth and alpha (H, W) are those of the view's camera at `time`. The depth is the mean of the four pixels around
    the point, weighted by their distances and alphas.
    """
    place = view.pixel(x, y)
    if place is None:
        return None
    column, row = place[0] - 0.5, place[1] - 0.5
    columns = np.clip([int(np.floor(column)), int(np.floor(column)) + 1], 0, depth.shape[1] - 1)
    rows = np.clip([int(np.floor(row)), int(np.floor(row)) + 1], 0, depth.shape[0] - 1)
    fx, fy = column - np.floor(column), row - np.floor(row)
    share = np.outer([1 - fy, fy], [1 - fx, fx])
    opaque = alpha[np.ix_(rows, columns)]
    if float((share * opaque).sum()) < SURE:
        return None
    weight = share * opaque * (opaque >= SURE)
    if weight.sum() <= 0:
        return None
    z = float((weight * depth[np.ix_(rows, columns)]).sum() / weight.sum())
    K = view.camera.K.double().numpy()
    seen = np.array([(place[0] - K[0, 2]) / K[0, 0], (place[1] - K[1, 2]) / K[1, 1], 1.0]) * z
    camera_to_world = invert_rigid(view.camera.world_to_camera.double().numpy())
    x_, y_, z_ = camera_to_world[:3, :3] @ seen + camera_to_world[:3, 3]
    return MaterialPoint((float(x_), float(y_), float(z_)), time)


@torch.no_grad()
def follow(scene: Scene, point: MaterialPoint, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (F, 3) of a tissue point at `times` (F,), world units.

    p(t) = p(t0) + sum_i w_i (mean_i(t) - mean_i(t0)) over the nearest Gaussians, w_i = opacity_i exp(-d_i^2 / 2 h^2)
    with h half the distance of the farthest. Displacements are averaged, not positions, so that p(t0) is the point
    that was picked. Raises ValueError for a scene without Gaussians.
    """
    packed = scene.packed_at(point.time)
    if len(packed) == 0:
        raise ValueError("a scene without Gaussians has no tissue to follow")
    start = torch.tensor(point.position, dtype=torch.float64)
    squared = (packed[:, :3].double().cpu() - start).square().sum(1)
    opacity = torch.sigmoid(packed[:, 10].double().cpu())
    # Transparent Gaussians are not what one sees and clicks on.
    candidates = torch.where(opacity >= 0.1, squared, squared + 1e12)
    near = torch.topk(candidates, min(NEIGHBOURS, len(packed)), largest=False).indices
    width = max(float(squared[near].max()) / 4, 1e-12)
    weights = (opacity[near] + 1e-6) * torch.exp(-squared[near] / (2 * width))
    weights /= weights.sum()

    index = near.to(scene.base.device)
    base, deformation = scene.base[index], scene.deformation.kept(index)
    means = np.stack([deformation.packed_at(base, float(t))[:, :3].double().cpu().numpy() for t in times])
    origin = packed[index, :3].double().cpu().numpy()
    return np.asarray(start.numpy() + np.einsum("i,fij->fj", weights.numpy(), means - origin))
