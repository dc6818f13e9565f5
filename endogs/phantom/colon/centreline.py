"""The line along the middle of a colon, laid so that a camera's path fits inside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AHEAD, BEHIND = 175.0, 75.0
"""Millimetres of colon before the path's first place, seen along the view, and after its last one."""
BEND, BEND_BEHIND = 62.0, 95.0
"""Radii, mm, of the flexure ahead, which hides the end of the lumen, and of the one behind."""
STRAIGHT = 14.0
"""Millimetres from the path's end to where the flexure begins."""
STEP = 0.25
"""Millimetres between the points that the line is integrated over."""


@dataclass(frozen=True)
class Centreline:
    """Points along the middle of the tube with axes that turn as little as possible."""

    along: Array
    """(S,) mm from the first point, evenly spaced."""
    points: Array
    """(S, 3) world, mm."""
    axes: Array
    """(S, 3, 3) unit rows: two across the tube, and the tangent."""

    def distance(self, places: Array) -> Array:
        """(N,) mm of places (N, 3) from the line."""
        from scipy.spatial import cKDTree

        return np.asarray(cKDTree(self.points).query(places)[0])

    def nearest(self, places: Array) -> Array:
        """(N, 3) points of the line nearest to places (N, 3)."""
        from scipy.spatial import cKDTree

        return self.points[cKDTree(self.points).query(places)[1]]


def make_centreline(places: Array, pitch: float, rng: np.random.Generator) -> Centreline:
    """A line along z that follows the camera's places (N, 3) as a gently bent tube would, with a flexure at each end.

    The places' x and y are fitted by quadratics of z, with a penalty on slope and bend, so that a path that turns back
    or wanders does not knot the tube. `pitch` is the distance between the points, mm.
    """
    z = places[:, 2]
    low, high = float(z.min()), float(z.max())
    reach = 35.0
    u = (z - z.mean()) / reach
    design = np.stack([np.ones_like(u), u, u * u], -1)
    penalty = np.diag([0.0, 0.03, 0.06]) * len(u)
    coefficients = np.linalg.solve(design.T @ design + penalty, design.T @ places[:, :2])
    if np.ptp(places, axis=0).max() < 1e-6:
        coefficients[0] += np.clip(rng.normal(0, 2.2, 2), -3, 3)  # no one holds a scope exactly in the middle
    depth = np.arange(low - 6, high + STRAIGHT, STEP)
    v = (depth - z.mean()) / reach
    middle = np.column_stack([np.stack([np.ones_like(v), v, v * v], -1) @ coefficients, depth])
    # A slow wander, so that no stretch is a pipe.
    phase = rng.uniform(0, 2 * np.pi, 2)
    middle[:, :2] += 1.2 * np.sin(depth[:, None] / 19.0 + phase)
    ahead = _flexure(middle[-1], middle[-1] - middle[-2], AHEAD, BEND, rng)
    behind = _flexure(middle[0], middle[0] - middle[1], BEHIND, BEND_BEHIND, rng)
    line = np.concatenate([behind[::-1], middle, ahead])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    along = np.arange(0, length[-1], pitch)
    points = np.stack([np.interp(along, length, line[:, k]) for k in range(3)], -1)
    return Centreline(along, points, _axes(points))


def _flexure(start: Array, step: Array, length: float, radius: float, rng: np.random.Generator) -> Array:
    """Points (n, 3) that go on from `start` and bend more and more, to `radius`, in a plane that turns half-way."""
    tangent = step / np.linalg.norm(step)
    sideways = np.cross(tangent, [np.cos(angle := rng.uniform(0, 2 * np.pi)), np.sin(angle), 0.0])
    binormal = sideways / np.linalg.norm(sideways)
    points = []
    position = start.copy()
    second_turn = rng.uniform(50, 100) * rng.choice([-1, 1])
    for k in range(round(length / STEP)):
        travelled = k * STEP
        curvature = min(1.0, travelled / 22.0) / radius
        if travelled > 0.6 * length:  # a second flexure, in another plane
            binormal = _rotated(binormal, tangent, np.radians(second_turn) * STEP / (0.4 * length))
        tangent = _rotated(tangent, binormal, curvature * STEP)
        position = position + STEP * tangent
        points.append(position)
    return np.array(points)


def _rotated(vector: Array, axis: Array, angle: float) -> Array:
    """Rodrigues' formula."""
    turned = vector * np.cos(angle) + np.cross(axis, vector) * np.sin(angle)
    return np.asarray(turned + axis * (axis @ vector) * (1 - np.cos(angle)))


def _axes(points: Array) -> Array:
    """Rotation-minimizing axes (S, 3, 3) by double reflection (Wang and others 2008)."""
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    first = np.array([1.0, 0, 0]) - tangents[0] * tangents[0, 0]
    if np.linalg.norm(first) < 1e-3:
        first = np.array([0, 1.0, 0]) - tangents[0] * tangents[0, 1]
    across = [first / np.linalg.norm(first)]
    for k in range(len(points) - 1):
        chord = points[k + 1] - points[k]
        square = chord @ chord
        left = across[-1] - 2 / square * (chord @ across[-1]) * chord
        tangent = tangents[k] - 2 / square * (chord @ tangents[k]) * chord
        second = tangents[k + 1] - tangent
        square = second @ second
        moved = left if square < 1e-20 else left - 2 / square * (second @ left) * second
        across.append(moved / np.linalg.norm(moved))
    e1 = np.array(across)
    return np.stack([e1, np.cross(tangents, e1), tangents], 1)
