"""Bundle adjustment of sparse points and keyframes, with the Schur complement, in NumPy.

B. Triggs et al., "Bundle adjustment - a modern synthesis", 2000, section 6; damping by D. Marquardt, 1963. Residuals
count by Cauchy's weights, whose scale is the median absolute deviation. Points move in (x/z, y/z, 1/z) of the frame
that saw them first, in which far points and little parallax are harmless (J. Civera et al., "Inverse depth
parametrization for monocular SLAM", 2008); that frame is fixed while the adjustment runs, so that it only names
the point's coordinates.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.projection import measured, pose_slopes, seen_from, slopes
from endogs.tracking.rigid_motion import moved_by

Array = NDArray[np.float64]
CAUCHY = 2.385
"""Standard deviations at which a residual counts by half (95 % efficient for normal noise)."""
CHUNK = 400
"""Points that are eliminated at once."""
FARTHER = 4.0
"""A step makes no point's inverse depth smaller or larger by more than this factor."""


@dataclass(frozen=True)
class Bundle:
    """Keyframes, points, and who saw whom where."""

    K: Array
    """(3, 3) intrinsics, pixels."""
    poses: Array
    """(k, 4, 4) world_to_camera."""
    held: NDArray[np.bool_]
    """(k,) keyframes that do not move."""
    points: Array
    """(p, 3) world."""
    keyframe: NDArray[np.intp]
    """(n,) which keyframe an observation is of."""
    point: NDArray[np.intp]
    """(n,) which point it is of."""
    pixels: Array
    """(n, 2) where, centres at +0.5."""
    inverse_depth: Array
    """(n,) 1/z that was measured; means nothing where the weight is 0."""
    inverse_weight: Array
    """(n,) pixels per unit of inverse depth: a pixel's noise by the inverse depth's."""
    weight: Array
    """(n,) in [0, 1], how much an observation counts."""


@dataclass(frozen=True)
class Adjusted:
    """A bundle after adjustment."""

    poses: Array
    points: Array
    residual: Array
    """(n,) pixels between where points were seen and where they are drawn."""
    depth_residual: Array
    """(n,) the same of inverse depth, in pixels of noise; 0 where it was not measured."""
    scale: float
    """Standard deviation of the residuals, pixels."""
    cost: float
    """Robust cost."""


def adjust(bundle: Bundle, iterations: int = 8, least_scale: float = 0.25, settled: float = 1e-4) -> Adjusted:
    """Poses and points that agree best with what was seen; Levenberg and Marquardt's method, robust.

    It ends after a step that gains less than the share `settled` of the cost. `least_scale` is the noise in pixels that
    is assumed at least.
    Without a held keyframe the whole may drift as the gauge allows; damping keeps it near where it was.
    """
    charts = _charts(bundle)
    residuals = _residuals(bundle)
    scale = _scale(bundle, residuals, least_scale)
    cost = _cost(bundle, residuals, scale)
    damping = 1e-4
    for _ in range(iterations):
        step = _Step(bundle, charts, residuals, scale)
        gained = False
        for _ in range(4):
            candidate = step.solve(damping)
            if candidate is not None:
                new_residuals = _residuals(candidate)
                new_cost = _cost(candidate, new_residuals, scale)
                if new_cost < cost:
                    gained = True
                    break
            damping = min(damping * 10, 1e6)
        if not gained or candidate is None:
            break
        finished = cost - new_cost < settled * cost
        bundle, residuals, damping = candidate, new_residuals, max(damping / 10, 1e-8)
        if finished:
            break
        scale = _scale(bundle, residuals, least_scale)
        cost = _cost(bundle, residuals, scale)
    pixels = np.linalg.norm(residuals[:, :2], axis=1)
    return Adjusted(bundle.poses, bundle.points, pixels, np.abs(residuals[:, 2]), scale, cost)


def _residuals(bundle: Bundle) -> Array:
    """(n, 3) drawn minus seen."""
    seen = seen_from(bundle.poses[bundle.keyframe], bundle.points[bundle.point])
    drawn = measured(seen, bundle.K, bundle.inverse_weight)
    return drawn - np.concatenate([bundle.pixels, (bundle.inverse_depth * bundle.inverse_weight)[:, None]], 1)


def _scale(bundle: Bundle, residuals: Array, least: float) -> float:
    counted = bundle.weight > 0.5
    sizes = np.abs(residuals[counted if counted.any() else slice(None), :2])
    return max(least, 1.4826 * float(np.median(sizes))) if sizes.size else least


def robust_weights(residuals: Array, scale: float) -> Array:
    """(n, 3) Cauchy's weights of residuals (n, 3): both parts of a pixel share one, depth has its own."""
    limit = np.square(CAUCHY * scale)
    pixel = 1 / (1 + np.square(residuals[:, :2]).sum(1) / limit)
    depth = 1 / (1 + np.square(residuals[:, 2]) / limit)
    return np.stack([pixel, pixel, depth], 1)


def _cost(bundle: Bundle, residuals: Array, scale: float) -> float:
    limit = np.square(CAUCHY * scale)
    pixel = np.log1p(np.square(residuals[:, :2]).sum(1) / limit)
    depth = np.log1p(np.square(residuals[:, 2]) / limit)
    return float(0.5 * limit * (bundle.weight * (pixel + depth)).sum())


def robust_cost(bundle: Bundle, scale: float) -> float:
    """Cauchy's function of the residuals, summed, in variances of `scale`, pixels."""
    return _cost(bundle, _residuals(bundle), scale) / scale**2


def _charts(bundle: Bundle) -> Array:
    """(p, 4, 4) for each point the pose of the first keyframe that saw it."""
    first = np.full(len(bundle.points), len(bundle.poses), np.intp)
    np.minimum.at(first, bundle.point, bundle.keyframe)
    return bundle.poses[np.minimum(first, len(bundle.poses) - 1)]


def chart_slopes(charts: Array, points: Array) -> Array:
    """(p, 3, 3) derivatives of world points by (x/z, y/z, 1/z) in the frames of `charts` (p, 4, 4)."""
    seen = seen_from(charts, points)
    z = seen[:, 2]
    local = np.zeros((len(points), 3, 3))
    local[:, 0, 0] = local[:, 1, 1] = z
    local[:, :, 2] = -seen * z[:, None]
    return np.asarray(np.einsum("nji,njk->nik", charts[:, :3, :3], local))


def _moved_points(charts: Array, points: Array, steps: Array) -> Array:
    """World points after `steps` (p, 3) in their charts."""
    seen = seen_from(charts, points)
    inverse = 1 / seen[:, 2]
    new = inverse + steps[:, 2]
    low, high = np.minimum(inverse / FARTHER, inverse * FARTHER), np.maximum(inverse / FARTHER, inverse * FARTHER)
    new = np.clip(new, low, high)
    flat = seen[:, :2] * inverse[:, None] + steps[:, :2]
    moved = np.concatenate([flat, np.ones((len(points), 1))], 1) / new[:, None]
    return np.asarray(np.einsum("nji,nj->ni", charts[:, :3, :3], moved - charts[:, :3, 3]))


class _Step:
    """The normal equations at one place, from which steps of any damping are solved."""

    def __init__(self, bundle: Bundle, charts: Array, residuals: Array, scale: float) -> None:
        self._bundle, self._charts = bundle, charts
        poses, points = len(bundle.poses), len(bundle.points)
        seen = seen_from(bundle.poses[bundle.keyframe], bundle.points[bundle.point])
        by_seen = slopes(seen, bundle.K, bundle.inverse_weight)
        by_pose = pose_slopes(by_seen, seen)
        by_world = by_seen @ bundle.poses[bundle.keyframe, :3, :3]
        by_point = by_world @ chart_slopes(charts, bundle.points)[bundle.point]
        weights = np.sqrt(robust_weights(residuals, scale) * bundle.weight[:, None])
        # One product of all derivatives and residuals with themselves holds every block of the normal equations.
        rows = np.concatenate([by_pose, by_point, residuals[:, :, None]], 2) * weights[:, :, None]
        blocks = rows.transpose(0, 2, 1) @ rows
        self._free = np.flatnonzero(~bundle.held)
        self._cameras = _summed(blocks[:, :6, :6], bundle.keyframe, poses)
        self._camera_side = _summed(blocks[:, :6, 9], bundle.keyframe, poses)
        self._cross = np.ascontiguousarray(blocks[:, :6, 6:9])
        self._points = _summed(blocks[:, 6:9, 6:9], bundle.point, points)
        self._point_side = _summed(blocks[:, 6:9, 9], bundle.point, points)
        # Points in the order of their first keyframe, so that a chunk of them touches few keyframes.
        order = np.argsort(bundle.point, kind="stable")
        first = np.full(points, poses, np.intp)
        np.minimum.at(first, bundle.point, bundle.keyframe)
        rank = np.empty(points, np.intp)
        rank[np.argsort(first, kind="stable")] = np.arange(points)
        order = order[np.argsort(rank[bundle.point[order]], kind="stable")]
        self._order, self._rank = order, rank

    def solve(self, damping: float) -> Bundle | None:
        """The bundle after a step with Marquardt's damping, or None where there is no solution."""
        bundle = self._bundle
        count, free = len(bundle.poses), self._free
        diagonal = np.arange(3)
        blocks = self._points.copy()
        blocks[:, diagonal, diagonal] *= 1 + damping
        blocks[:, diagonal, diagonal] += 1e-12 * np.trace(blocks, axis1=1, axis2=2)[:, None] + 1e-300
        inverse = np.linalg.inv(blocks)
        system = np.zeros((count, 6, count, 6))
        cameras = self._cameras.copy()
        diagonal = np.arange(6)
        cameras[:, diagonal, diagonal] *= 1 + damping
        each = np.arange(count)
        system[each, :, each, :] = cameras
        side = self._camera_side.copy()
        by_rank = np.argsort(self._rank)
        ranks = self._rank[bundle.point[self._order]]
        for low in range(0, len(bundle.points), CHUNK):
            rows = self._order[np.searchsorted(ranks, low) : np.searchsorted(ranks, low + CHUNK)]
            if not len(rows):
                continue
            chunk = by_rank[low : low + CHUNK]
            touched, column = np.unique(bundle.keyframe[rows], return_inverse=True)
            dense = np.zeros((len(touched), len(chunk), 6, 3))
            np.add.at(dense, (column, self._rank[bundle.point[rows]] - low), self._cross[rows])
            scaled = dense @ inverse[chunk]
            size = len(touched) * 6
            left = scaled.transpose(0, 2, 1, 3).reshape(size, -1)
            right = dense.transpose(0, 2, 1, 3).reshape(size, -1)
            both = (left @ right.T).reshape(len(touched), 6, len(touched), 6)
            system[touched[:, None], :, touched[None, :], :] -= both.transpose(0, 2, 1, 3)
            side[touched] -= np.einsum("kpij,pj->ki", scaled, self._point_side[chunk])
        steps = np.zeros((count, 6))
        if len(free):
            matrix = system[free][:, :, free].reshape(6 * len(free), 6 * len(free))
            try:
                steps[free] = -np.linalg.solve(matrix, side[free].ravel()).reshape(-1, 6)
            except np.linalg.LinAlgError:
                return None
        pulled = _summed(np.einsum("nij,ni->nj", self._cross, steps[bundle.keyframe]), bundle.point, len(bundle.points))
        point_steps = -np.einsum("pij,pj->pi", inverse, self._point_side + pulled)
        if not (np.isfinite(steps).all() and np.isfinite(point_steps).all()):
            return None
        return replace(
            bundle,
            poses=moved_by(bundle.poses, steps),
            points=_moved_points(self._charts, bundle.points, point_steps),
        )


def _summed(values: Array, groups: NDArray[np.intp], count: int) -> Array:
    """Sums (count, ...) of `values` (n, ...) by the group of each."""
    flat = values.reshape(len(values), -1)
    found = np.stack([np.bincount(groups, flat[:, k], count) for k in range(flat.shape[1])], 1)
    return np.asarray(found.reshape(count, *values.shape[1:]))
