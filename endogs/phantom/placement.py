"""Whether a camera path stays in the open and looks at tissue all the way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.open3d_library import import_open3d
from endogs.phantom.anatomy import Anatomy
from endogs.phantom.config import Phantom
from endogs.phantom.optics import Optics
from endogs.phantom.path import CameraPath, eyes
from endogs.phantom.rays import caster

NEAREST = 2.5
"""Millimetres that a camera stays from tissue wherever it moves."""
NEAREST_TOOL = 9.0
"""Millimetres that a camera stays from the axis of an instrument."""


def check_placement(config: Phantom, anatomy: Anatomy, path: CameraPath, optics: Optics) -> None:
    """Raises InputError, with numbers, where the camera comes too near to tissue, passes through it, or looks past it.

    Adds to the path's notes how near it comes. The tissue is taken at rest; how far it swings is added.
    """
    if config.trajectory is None and config.anatomy == "abdomen" and config.lens == "pinhole":
        return  # made so that it fits
    file = config.trajectory or "the camera"
    poses = invert_rigid(path.world_to_camera)
    places = np.ascontiguousarray(eyes(config, poses))
    scene = caster(anatomy.surface.rest.reshape(-1, 3), anatomy.surface.triangles)
    inner = anatomy.open_places(places)
    way = places - inner
    length = np.linalg.norm(way, axis=1)
    hits = scene.cast_rays(import_open3d().core.Tensor(np.concatenate([inner, way], 1).astype(np.float32)))
    through = (hits["t_hit"].numpy() < 1) & (length > 1e-6)
    free = scene.compute_distance(import_open3d().core.Tensor(places.astype(np.float32))).numpy() - anatomy.swing()
    free = np.where(through, -free, free)
    worst = int(np.argmin(free))
    frame = worst % len(poses)
    scale = "" if config.trajectory is None else ", or lower --trajectory-scale"
    remedy = "raise --distance" if config.anatomy == "abdomen" else "raise --radius"
    if free[worst] < NEAREST:
        what = "passes through tissue" if through[worst] else f"comes as near as {max(free[worst], 0):.1f} mm to tissue"
        raise InputError(
            f"{file}: at frame {frame} the camera {what} that moves by {anatomy.swing():.1f} mm: {remedy}, or lower "
            f"--folds, --breathing or --wave{scale}."
        )
    aside = anatomy.tool_distance(places)
    if aside.min() < NEAREST_TOOL:
        raise InputError(
            f"{file}: at frame {int(np.argmin(aside)) % len(poses)} the camera is {aside.min():.1f} mm from the axis "
            f"of an instrument: use --instruments 0, raise --distance{scale}."
        )
    ys, xs = np.linspace(0, optics.height - 1, 13).astype(int), np.linspace(0, optics.width - 1, 17).astype(int)
    rays = optics.rays[np.ix_(ys, xs)].reshape(-1, 3)
    if optics.outside is not None:
        rays = rays[~optics.outside[np.ix_(ys, xs)].ravel()]
    lost = np.concatenate([_lost(scene, poses[first : first + 256], rays) for first in range(0, len(poses), 256)])
    if lost.max() > 0:
        worst = int(np.argmax(lost))
        raise InputError(
            f"{file}: at frame {worst} the camera looks past the edge of the tissue in {100 * lost[worst]:.0f} % of "
            f"the picture: lower --field-of-view{scale}."
        )
    path.notes.extend(anatomy.notes())
    if config.trajectory is not None:
        path.notes.append(f"The camera comes as near as {free[worst]:.1f} mm to tissue, at frame {frame}.")


def _lost(scene: Any, poses: NDArray[np.float64], rays: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) share of the rays (R, 3) of cameras at `poses` (N, 4, 4), camera to world, that meet nothing."""
    directions = np.einsum("nij,rj->nri", poses[:, :3, :3], rays)
    starts = np.broadcast_to(poses[:, None, :3, 3], directions.shape)
    hits = scene.cast_rays(import_open3d().core.Tensor(np.concatenate([starts, directions], -1).astype(np.float32)))
    return np.asarray((~np.isfinite(hits["t_hit"].numpy())).mean(1))
