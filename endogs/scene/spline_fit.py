"""Splines through tracks: ridge least squares of offsets over time, for all Gaussians at once."""

import numpy as np
from numpy.typing import NDArray

from endogs.scene.spline import Knots

RIDGE = 1e-2
"""Pull of the control points towards zero, relative to one observation; it decides where no frame does."""


def fit_control(
    knots: Knots, times: NDArray[np.float64], offsets: NDArray[np.float32], ridge: float = RIDGE
) -> NDArray[np.float32]:
    """Control points (Kn, P, C) whose splines follow offsets (F, P, C) at times (F,), in the least-squares sense.

    Every track has a value at every frame (held where it was lost), so one factorization serves all:
    control = (B^T B + ridge (I + D^T D))^-1 B^T offsets, with B the basis and D second differences, which keep the
    knots between held-out frames from swinging.
    """
    basis = knots.basis(times)
    bend = np.diff(np.eye(knots.count), 2, axis=0)
    normal = basis.T @ basis + ridge * (np.eye(knots.count) + bend.T @ bend)
    solve = np.linalg.solve(normal, basis.T).astype(np.float32)
    frames, count, channels = offsets.shape
    return (solve @ offsets.reshape(frames, -1)).reshape(knots.count, count, channels)
