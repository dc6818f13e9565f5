"""Poses that agree best with motions that were measured between pairs of them.

R. Kuemmerle et al., "g2o: a general framework for graph optimization", 2011: Gauss-Newton on the differences between
measured and present motions, here with Cauchy's weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from endogs.geometry import invert_rigid, rotation_vector
from endogs.tracking.rigid_motion import moved_by

Array = NDArray[np.float64]
CAUCHY = 2.385
"""Standard deviations at which a difference counts by half."""
ROUNDS = 10
SETTLED = 1e-4
"""Standard deviations of the step that ends the rounds."""


@dataclass(frozen=True)
class Measured:
    """A motion between two cameras."""

    first: int
    second: int
    motion: Array
    """(4, 4): world_to_camera of the second is about this times that of the first."""
    deviation: Array
    """(6,) standard deviations of its translation (world units) and rotation (radians)."""


def agreed(poses: Array, motions: Sequence[Measured]) -> Array:
    """World-to-camera poses (n, 4, 4) near `poses` on which the motions agree; the first does not move.

    Each pose must hang on the first one by the motions.
    """
    poses = np.array(poses, np.float64)
    if len(poses) < 2 or not motions:
        return poses
    first, second = np.array([one.first for one in motions]), np.array([one.second for one in motions])
    backwards = invert_rigid(np.stack([one.motion for one in motions]))
    precision = 1 / np.square(np.stack([one.deviation for one in motions]))
    for _ in range(ROUNDS):
        present = poses[second] @ invert_rigid(poses[first])
        off = present @ backwards
        residuals = np.stack([np.concatenate([one[:3, 3], rotation_vector(one[:3, :3])]) for one in off])
        size = (np.square(residuals) * precision).mean(1)
        weights = precision / (1 + size / CAUCHY**2)[:, None]
        steps = _step(first, second, _adjoint(present), residuals, weights, len(poses))
        poses = moved_by(poses, steps)
        if np.abs(steps[first] * np.sqrt(precision)).max() < SETTLED:
            break
    return poses


def _adjoint(motions: Array) -> Array:
    """(m, 6, 6) how a small motion (translation, rotation) of the first camera looks in the second's axes."""
    found = np.zeros((len(motions), 6, 6))
    turn, shift = motions[:, :3, :3], motions[:, :3, 3]
    cross = np.zeros((len(motions), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -shift[:, 2], shift[:, 1], -shift[:, 0]
    cross -= cross.transpose(0, 2, 1)
    found[:, :3, :3] = found[:, 3:, 3:] = turn
    found[:, :3, 3:] = cross @ turn
    return found


def _step(
    first: NDArray[np.intp], second: NDArray[np.intp], adjoint: Array, residuals: Array, weights: Array, count: int
) -> Array:
    """(count, 6) a Gauss-Newton step; that of pose 0 is 0."""
    ahead, behind = weights[:, :, None] * np.eye(6), weights[:, :, None] * adjoint
    both = -behind.transpose(0, 2, 1), -behind
    blocks = np.concatenate([ahead, adjoint.transpose(0, 2, 1) @ behind, *both])
    row = np.concatenate([second, first, first, second])
    column = np.concatenate([second, first, second, first])
    inner = np.arange(6)
    rows = np.broadcast_to(6 * row[:, None, None] + inner[:, None], blocks.shape)
    columns = np.broadcast_to(6 * column[:, None, None] + inner, blocks.shape)
    matrix = coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel())), shape=(6 * count, 6 * count)).tocsc()
    side = np.zeros((count, 6))
    np.add.at(side, second, weights * residuals)
    np.subtract.at(side, first, np.einsum("mji,mj->mi", adjoint, weights * residuals))
    steps = np.zeros((count, 6))
    steps[1:] = -np.asarray(spsolve(matrix[6:, 6:], side[1:].ravel())).reshape(-1, 6)
    return steps
