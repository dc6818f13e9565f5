"""Points of the tissue, followed through time by the Gaussians around them."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.gaussians import MEANS, OPACITY
from endogs.scene.chain import SceneChain
from endogs.scene.scene import Scene

CARRIERS = 32
"""Gaussians that carry a point: each one's own motion is noisy, and tissue farther away moves differently."""
OPAQUE = 0.1
"""Opacity above which a Gaussian carries points; fainter ones are not the tissue that one sees."""
FEW = 20
"""Points for which the distances to all Gaussians are found sooner than a tree of the Gaussians is built."""


@torch.no_grad()
def follow_points(
    scene: Scene, start: NDArray[np.float64], named: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positions (F, P, 3) at `times` (F,) of points of the tissue that are at `start` (P, 3) at the times `named` (P,).

    World units and seconds. p(t) = p(t0) + sum_i w_i (mean_i(t) - mean_i(t0)) over the CARRIERS opaque Gaussians that
    are nearest at t0, w_i = opacity_i exp(-d_i^2 / 2 h^2) with h half the distance of the farthest. Displacements are
    averaged, not positions, so that p(t0) is the point that was named. Where fewer are opaque, those carry; faint ones
    do while none is. NaN stays NaN. Raises ValueError for a scene without Gaussians.
    """
    if isinstance(scene, SceneChain):
        return _follow_through(scene, start, named, times)
    count = min(CARRIERS, len(scene))
    if count == 0:
        raise ValueError("a scene without Gaussians has no tissue to follow")
    carriers = np.zeros((len(start), count), np.int64)
    weights = np.zeros((len(start), count))
    origin = np.zeros((len(start), count, 3))
    known = np.isfinite(start).all(1)
    for time in np.unique(named[known]):
        own = np.flatnonzero(known & (named == time))
        packed = scene.packed_at(float(time))
        means = packed[:, MEANS].double().cpu().numpy()
        opacity = torch.sigmoid(packed[:, OPACITY].double()).cpu().numpy()
        candidates = np.flatnonzero(opacity > OPAQUE)
        if len(candidates) == 0:
            candidates = np.arange(len(scene))
        found = min(count, len(candidates))
        distance, near = _nearest(start[own], means[candidates], found)
        near = candidates[near]
        width = np.maximum(distance[:, -1:] / 2, 1e-9)
        weight = opacity[near] * np.exp(-np.square(distance / width) / 2)
        carriers[own, :found], origin[own, :found] = near, means[near]
        weights[own, :found] = weight / weight.sum(1, keepdims=True)
    used, rows = np.unique(carriers, return_inverse=True)
    rows = rows.reshape(carriers.shape)
    carrying = scene.select(torch.from_numpy(used).to(scene.base.device))
    moved = np.empty((len(times), *start.shape))
    for k, time in enumerate(times):
        means = carrying.packed_at(float(time))[:, MEANS].double().cpu().numpy()
        moved[k] = start + np.einsum("pk,pkc->pc", weights, means[rows] - origin)
    return moved


def _follow_through(
    chain: SceneChain, start: NDArray[np.float64], named: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`follow_points` through the segments of a chain: in the middle of an overlap the next one's Gaussians carry on
    from where the point is."""
    segments = chain.segments
    seams = [float(chain.times[(a.last + b.first) // 2]) for a, b in pairwise(segments)]
    moved = np.full((len(times), *start.shape), np.nan)
    home = np.searchsorted(seams, named, side="right")
    holder = np.searchsorted(seams, times, side="right")
    for first in np.unique(home):
        own = np.flatnonzero(home == first)
        for step in (1, -1):
            here, since = start[own], named[own]
            for k in range(int(first), len(segments) if step > 0 else -1, step):
                wanted = np.flatnonzero((holder == k) & ((k != first) | (step > 0)))
                last = k == (len(segments) - 1 if step > 0 else 0)
                exits = [] if last else [seams[k] if step > 0 else seams[k - 1]]
                if not len(wanted) and not exits:
                    continue
                found = follow_points(chain.segment(k), here, since, np.array([*times[wanted], *exits]))
                moved[np.ix_(wanted, own)] = found[: len(wanted)]
                if exits:
                    here, since = found[-1], np.full(len(own), exits[0])
    return moved


def _nearest(
    points: NDArray[np.float64], means: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances and indices (P, count) of the means (N, 3) nearest to points (P, 3), the nearest first."""
    if len(points) <= FEW:
        # Without matrix products, which lose the digits of small distances.
        exact = "donot_use_mm_for_euclid_dist"
        apart = torch.cdist(torch.from_numpy(points), torch.from_numpy(means), compute_mode=exact)
        found = apart.topk(count, largest=False)
        return found.values.numpy(), found.indices.numpy()
    from scipy.spatial import cKDTree

    tree = cKDTree(means, balanced_tree=False, compact_nodes=False)  # half the time to build
    distance, near = tree.query(points, count)
    return distance.reshape(len(points), count), near.reshape(len(points), count)
