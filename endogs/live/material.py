"""Points of the tissue, and where they go over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.live.viewpoint import SURE, Viewpoint
from endogs.scene import Scene
from endogs.scene.following import follow_points


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


def follow(scene: Scene, point: MaterialPoint, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (F, 3) of a tissue point at `times` (F,), world units.

    Raises ValueError for a scene without Gaussians.
    """
    return follow_points(scene, np.array([point.position]), np.array([point.time]), times)[:, 0]
