"""What an affine map leaves of how a slanted patch looks from elsewhere, and by how much that displaces it.

The near side of a patch moves more than its middle as the camera comes closer, by more than the far side moves less. A
match of the whole patch takes the mean of that for a shift, always along the motion, so that paths become too long: by
.6 % before a rigid colon's wall, by .2 % without that shift.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from endogs.tracking.projection import measured, seen_from
from endogs.tracking.two_view import rays

Array = NDArray[np.float64]
NEIGHBOURS = 12
"""Points around one that tell how its surface lies."""
EDGE = 0.15
"""Difference of inverse depth, as a share, at which a neighbour counts by half: it lies on something else."""
CALM = 20.0
"""Square pixels by which neighbours must be apart for a slope to be more than a guess at none."""


def depth_slopes(pixels: Array, inverse: Array) -> Array:
    """(n, 2) how inverse depth (n,) changes by pixel, at pixels (n, 2) of points that are seen together.

    Weighted least squares over the nearest points; zeros where there are too few.
    """
    if len(pixels) <= NEIGHBOURS:
        return np.zeros_like(pixels)
    _, near = cKDTree(pixels).query(pixels, k=NEIGHBOURS + 1)
    away, change = pixels[near] - pixels[:, None], inverse[near] - inverse[:, None]
    weight = 1 / (1 + np.square(change / (EDGE * inverse[:, None])))
    rows = np.concatenate([away, np.ones((*near.shape, 1))], 2)
    normal = np.einsum("nki,nk,nkj->nij", rows, weight, rows)
    normal[:, [0, 1], [0, 1]] += CALM
    side = np.einsum("nki,nk,nk->ni", rows, weight, change)
    return np.asarray(np.linalg.solve(normal, side[..., None])[:, :2, 0])


def bending(K: Array, motion: Array, pixels: Array, inverse: Array, slopes: Array, side: int) -> Array:
    """(n, 2) mean displacement, over patches of `side` pixels around `pixels` (n, 2), that no affine map explains.

    It is in pixels of another camera, which `motion` (4, 4) leads to from that of `pixels`; the surface has `inverse`
    depths (n,) with `slopes` (n, 2). The mean of a quadratic function over a square is that at one standard deviation
    of its pixels along both axes.
    """
    deviation = np.sqrt((side**2 - 1) / 12)

    def drawn(step: Array) -> Array:
        there = np.maximum(inverse + slopes @ step, inverse / 5)
        points = rays(pixels + step, K) / there[:, None]
        return measured(seen_from(motion, points), K, np.zeros(len(points)))[:, :2]

    steps = deviation * np.eye(2)
    return np.asarray(sum(drawn(step) + drawn(-step) for step in steps) / 2 - 2 * drawn(np.zeros(2)))
