"""A surface from rendered depth: truncated signed distances on a voxel grid (Curless and Levoy 1996), by open3d."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from endogs.camera import Camera
from endogs.memory_budget import require_memory
from endogs.open3d_library import import_open3d

TRUNCATION = 4.0
"""Voxels from the surface at which signed distances are cut off."""
BLOCK = 8
"""Voxels along a block of the grid."""
VOXEL_BYTES = 60
"""Of a voxel: distance, weight and colour as float32, twice while the grid grows, and its part of the triangles."""
SPECK = 0.01
"""Connected pieces with less than this share of the largest piece's triangles are left out."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in world units."""

    vertices: NDArray[np.float32]
    """(V, 3)."""
    normals: NDArray[np.float32]
    """(V, 3) unit, away from the tissue, towards the cameras."""
    colors: NDArray[np.float32]
    """(V, 3) sRGB in [0, 1]."""
    triangles: NDArray[np.int32]
    """(T, 3) counter-clockwise seen from the cameras."""


@dataclass(frozen=True)
class DepthView:
    """What one camera sees of the surface."""

    camera: Camera
    depth: NDArray[np.float32]
    """(H, W) z-depth, 0 = unknown."""
    color: NDArray[np.float32]
    """(H, W, 3) sRGB in [0, 1]."""


def without_edges(
    depth: NDArray[np.float32], K: NDArray[np.float64], steepest: float, blended: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Depth (H, W) with 0 where it jumps, so that no triangle bridges two surfaces.

    A plane whose normal is `steepest` degrees away from the line of sight changes by tan(steepest) pixel footprints z/f
    from pixel to pixel; both pixels of a larger step are left out. Where depth is `blended` (H, W) from a near and a
    far surface, as at the soft edge of a rendering, half of that step is too much already.
    """
    kept = depth > 0
    slope = np.full(depth.shape, np.tan(np.radians(steepest)))
    if blended is not None:
        slope = np.where(blended, slope / 2, slope)
    for axis, focal in ((0, K[1, 1]), (1, K[0, 0])):
        near, far = (np.delete(depth, index, axis) for index in (-1, 0))
        most = np.minimum(*(np.delete(slope, index, axis) for index in (-1, 0)))
        step = np.abs(near - far) > most * np.minimum(near, far) / focal
        step &= (near > 0) & (far > 0)
        pad = np.zeros_like(np.take(step, [0], axis))
        kept &= ~(np.concatenate([step, pad], axis) | np.concatenate([pad, step], axis))
    return np.where(kept, depth, np.float32(0))


def fuse(views: Collection[DepthView], voxel: float) -> Mesh:
    """The surface that the views agree on, in triangles of about the size of a voxel (world units); may be empty.

    Several views are gone through twice: first for where there is surface at all, then every view says of all of that
    how far from it the surface is. So one that looks through what another has put there takes it away, and there need
    be memory for one view only. Raises InputError where the voxels do not fit into memory.
    """
    open3d = import_open3d()
    float32 = open3d.core.float32
    grid = open3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (float32, float32, float32), ((1), (1), (3)), voxel, BLOCK, 10_000
    )
    views = list(views) if len(views) == 1 else views
    touched = np.zeros((0, 3), np.int32)
    for view in views:
        touched = np.unique(np.concatenate([touched, _touched(grid, view, voxel)]), axis=0)
    require_memory(
        VOXEL_BYTES * BLOCK**3 * len(touched),
        f"a surface of {len(touched) * BLOCK**3 / 1e6:.0f} million voxels of {voxel:.3g}",
        "give a larger --voxel, or use a machine with more memory",
    )
    for view in views if len(touched) else ():
        blocks = touched if len(views) == 1 else touched[_may_see(view, touched, voxel)]
        if len(blocks) and (view.depth > 0).any():
            depth, color, intrinsic, extrinsic, limits = _for_open3d(view, voxel)
            blocks = open3d.core.Tensor(np.ascontiguousarray(blocks))
            grid.integrate(blocks, depth, color, intrinsic, extrinsic, *limits, TRUNCATION)
    if not len(grid.hashmap().active_buf_indices()):
        return _empty()
    found = grid.extract_triangle_mesh(weight_threshold=0.5)
    if "indices" not in found.triangle or not len(found.triangle.indices):
        return _empty()
    triangles = found.triangle.indices.numpy().astype(np.int32)
    positions, colors = found.vertex.positions.numpy(), np.clip(found.vertex.colors.numpy(), 0, 1)
    # Its hash map orders the vertices differently every time.
    order = np.lexsort(positions.T)
    positions, colors = positions[order], colors[order]
    triangles = _in_order(np.argsort(order).astype(np.int32)[triangles])
    # Its own normals are gradients of the distances, which mean nothing beside voxels that no view has seen.
    mesh = Mesh(positions, vertex_normals(positions, triangles), colors.astype(np.float32), triangles)
    return _largest_pieces(mesh)


def _for_open3d(view: DepthView, voxel: float) -> tuple[Any, Any, Any, Any, tuple[float, float]]:
    """Depth, colour, intrinsics and pose of a view, and the scale and the end of its depth."""
    open3d = import_open3d()
    # It takes the pixel that a voxel falls into, so its pixel centres are at +0.5, as ours.
    intrinsic, extrinsic = (
        open3d.core.Tensor(matrix.double().cpu().numpy()) for matrix in (view.camera.K, view.camera.world_to_camera)
    )
    depth = open3d.t.geometry.Image(np.ascontiguousarray(view.depth))
    color = open3d.t.geometry.Image(np.ascontiguousarray(view.color))
    return depth, color, intrinsic, extrinsic, (1.0, float(view.depth.max()) + TRUNCATION * voxel)


def _touched(grid: Any, view: DepthView, voxel: float) -> NDArray[np.int32]:
    """(B, 3) the blocks that the surface of a view lies in or near."""
    if not (view.depth > 0).any():
        return np.zeros((0, 3), np.int32)
    depth, _, intrinsic, extrinsic, limits = _for_open3d(view, voxel)
    try:
        blocks = grid.compute_unique_block_coordinates(depth, intrinsic, extrinsic, *limits, TRUNCATION)
    except RuntimeError as error:
        if "No block is touched" not in str(error):
            raise
        return np.zeros((0, 3), np.int32)  # its surface lies beyond the integers that count voxels
    return np.asarray(blocks.cpu().numpy(), np.int32)


def _may_see(view: DepthView, blocks: NDArray[np.int32], voxel: float) -> NDArray[np.bool_]:
    """(B,) False for blocks (B, 3) that lie wholly outside the view's pyramid, or beyond its farthest depth."""
    edge = BLOCK * voxel
    reach = edge * np.sqrt(3) / 2
    pose, K = (matrix.double().cpu().numpy() for matrix in (view.camera.world_to_camera, view.camera.K))
    x, y, z = ((blocks + 0.5) * edge @ pose[:3, :3].T + pose[:3, 3]).T
    seen = (z > -reach) & (z < view.depth.max() + TRUNCATION * voxel + reach)
    for at, focal, centre, size in (
        (x, K[0, 0], K[0, 2], view.camera.width),
        (y, K[1, 1], K[1, 2], view.camera.height),
    ):
        seen &= focal * at + centre * z > -reach * np.hypot(focal, centre)
        seen &= focal * at + (centre - size) * z < reach * np.hypot(focal, centre - size)
    return np.asarray(seen)


def _in_order(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """Triangles (T, 3) beginning with their smallest corner, sorted; the way round they go stays."""
    first = triangles.argmin(1)[:, None]
    turned = np.take_along_axis(triangles, (first + np.arange(3)) % 3, 1)
    return turned[np.lexsort(turned.T[::-1])]


def vertex_normals(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """(V, 3) unit: the sum of the triangles' normals around each vertex (V, 3), weighted by their areas."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a)
    count, corners = len(vertices), triangles.ravel()
    sums = [np.bincount(corners, np.repeat(faces[:, axis], 3), count) for axis in range(3)]
    normals = np.stack(sums, 1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def _largest_pieces(mesh: Mesh) -> Mesh:
    """The mesh without specks, and without vertices that no triangle uses."""
    ends = np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]]])
    count = len(mesh.vertices)
    links = coo_array((np.ones(len(ends), bool), ends.T), shape=(count, count))
    piece = connected_components(links, directed=False)[1][mesh.triangles[:, 0]]
    sizes = np.bincount(piece)
    triangles = mesh.triangles[sizes[piece] >= SPECK * sizes.max()]
    used, triangles = np.unique(triangles, return_inverse=True)
    return Mesh(mesh.vertices[used], mesh.normals[used], mesh.colors[used], triangles.reshape(-1, 3).astype(np.int32))


def _empty() -> Mesh:
    none = np.zeros((0, 3), np.float32)
    return Mesh(none, none, none, np.zeros((0, 3), np.int32))
