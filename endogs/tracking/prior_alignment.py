"""The similarity that carries a map into the world of noisy poses, about right whatever some of them say.

Turns and places apart, each by least squares with Cauchy's weights about the median error (P. Huber, "Robust
statistics", 1981): turns as W. Kabsch (1976) does, from the cameras' own axes, so that a straight path will do.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import rotation_about

Array = NDArray[np.float64]
ROUNDS = 12


@dataclass(frozen=True)
class Similarity:
    """x -> scale turn x + shift."""

    scale: float
    turn: Array
    """(3, 3)."""
    shift: Array
    """(3,)."""
    strayed: float = 0.0
    """Logarithm of the scale by that of the first guess."""

    def points(self, points: Array) -> Array:
        """Points (n, 3) of the map in the world."""
        return np.asarray(self.scale * points @ self.turn.T + self.shift)

    def carried(self, camera_to_map: Array) -> Array:
        """Poses (n, 4, 4) of cameras in the world."""
        found = np.array(camera_to_map)
        found[:, :3, :3] = self.turn @ camera_to_map[:, :3, :3]
        found[:, :3, 3] = self.points(camera_to_map[:, :3, 3])
        return found

    def moved(self, step: Array, middle: Array) -> "Similarity":
        """After a small shift, turn and growth (7,) of the world about a point (3,)."""
        turn, grown = rotation_about(step[3:6]), float(np.exp(step[6]))
        shift = middle + step[:3] + grown * turn @ (self.shift - middle)
        return Similarity(grown * self.scale, turn @ self.turn, shift, self.strayed + float(step[6]))


@dataclass(frozen=True)
class Alignment:
    """A first guess, and what it leaves."""

    similarity: Similarity
    place: float
    """Median distance of places, world units."""
    turn: float
    """Median angle, radians."""
    free_scale: float
    """The scale that fits best, also where another is known."""


def aligned(seen: Array, given: Array, metric: bool) -> Alignment:
    """The similarity from poses `seen` (n, 4, 4), camera to map, to `given` (n, 4, 4), camera to world.

    Of `metric` maps the scale is 1.
    """
    weights = np.ones(len(seen))
    turn, angles = np.eye(3), np.zeros(len(seen))
    for _ in range(ROUNDS):
        u, _, vt = np.linalg.svd(np.einsum("n,nij,nkj->ik", weights, given[:, :3, :3], seen[:, :3, :3]))
        turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
        left = np.einsum("nji,jk,nki->n", given[:, :3, :3], turn, seen[:, :3, :3])
        angles = np.arccos(np.clip((left - 1) / 2, -1, 1))
        weights = 1 / (1 + np.square(angles / max(2 * float(np.median(angles)), 1e-9)))
    here, there = seen[:, :3, 3] @ turn.T, given[:, :3, 3]
    weights = np.ones(len(seen))
    one, far, free = Similarity(1.0, turn, np.zeros(3)), np.zeros(len(seen)), 1.0
    for _ in range(ROUNDS):
        share = weights / weights.sum()
        mean_here, mean_there = share @ here, share @ there
        spread = share @ np.square(here - mean_here).sum(1)
        free = float(share @ ((here - mean_here) * (there - mean_there)).sum(1) / max(spread, 1e-300))
        scale = 1.0 if metric else max(free, 1e-9)
        one = replace(one, scale=scale, shift=mean_there - scale * mean_here)
        far = np.linalg.norm(one.points(seen[:, :3, 3]) - there, axis=1)
        weights = 1 / (1 + np.square(far / max(2 * float(np.median(far)), 1e-9)))
    return Alignment(one, float(np.median(far)), float(np.median(angles)), free)
