"""Rays through triangle meshes, by open3d."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.open3d_library import import_open3d


def caster(vertices: NDArray, triangles: NDArray) -> Any:
    """An open3d RaycastingScene of one mesh: vertices (V, 3), triangles (T, 3)."""
    o3c = import_open3d().core
    scene = import_open3d().t.geometry.RaycastingScene()
    scene.add_triangles(o3c.Tensor(vertices.astype(np.float32)), o3c.Tensor(np.ascontiguousarray(triangles, np.uint32)))
    return scene


def cast(scene: Any, origin: NDArray, directions: NDArray) -> dict[str, NDArray]:
    """First hits of rays (..., 3) from `origin` (3,): t_hit (inf for none), primitive_ids, primitive_uvs."""
    rays = np.empty((*directions.shape[:-1], 6), np.float32)
    rays[..., :3] = origin
    rays[..., 3:] = directions
    hits = scene.cast_rays(import_open3d().core.Tensor(rays))
    return {name: hits[name].numpy() for name in ("t_hit", "primitive_ids", "primitive_uvs")}
