"""What a point's neighbours say about it: its surface normal, and whether it is an outlier."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

NEIGHBOURS = 20
"""Neighbours that are looked at, the point itself not counted."""
CHUNK = 20_000
"""Points whose neighbourhoods are held in memory at once."""


def surface_normals(points: NDArray[np.floating], eye: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, 3) unit normals of points (N, 3): the direction in which their neighbours spread least, turned to `eye`, (3,)
    for all or (N, 3) with one for each.

    Principal components of the nearest neighbours (Hoppe et al., "Surface Reconstruction from Unorganized Points",
    1992). Fewer than three points have no surface; they look at `eye`.
    """
    points = np.asarray(points, np.float64)
    sight = np.asarray(eye, np.float64) - points
    if len(points) < 3:
        normals = sight.copy()
    else:
        tree, normals = cKDTree(points), np.empty_like(points)
        for start in range(0, len(points), CHUNK):
            part = slice(start, start + CHUNK)
            _, near = tree.query(points[part], min(NEIGHBOURS + 1, len(points)))
            around = points[near] - points[near].mean(1, keepdims=True)
            normals[part] = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around))[1][:, :, 0]
    normals *= np.where((normals * sight).sum(1, keepdims=True) < 0, -1.0, 1.0)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def inliers(points: NDArray[np.floating], deviations: float) -> NDArray[np.bool_]:
    """(N,) False for statistical outliers among points (N, 3) (Rusu et al., "Towards 3D Point Cloud Based Object Maps",
    2008): their mean distance to their nearest neighbours exceeds the mean of all by more than `deviations` standard
    deviations.
    """
    if len(points) < 2:
        return np.ones(len(points), bool)
    distances = cKDTree(points).query(points, min(NEIGHBOURS + 1, len(points)))[0][:, 1:].mean(1)
    return np.asarray(distances <= distances.mean() + deviations * distances.std())
