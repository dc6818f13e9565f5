"""Splines through tracks: ridge least squares of offsets over time, for all Gaussians at once."""

import numpy as np
from numpy.typing import NDArray

from endogs.scene.deformation.knots import Knots

RIDGE = 1e-3
"""Pull of the control points towards zero, relative to one observation; it decides where nothing else does."""
BEND = 1.0
"""Pull of their second differences towards zero: paths through frames that were held out, and flow's own noise, are
smoothed. Next to a hundredth of it, this predicts held-out frames .1 to .4 dB better."""


def fit_control(
    knots: Knots, times: NDArray[np.float64], offsets: NDArray[np.float32], ridge: float = RIDGE, bend: float = BEND
) -> NDArray[np.float32]:
    """Control points (Kn, P, C) whose splines follow offsets (F, P, C) at times (F,), in the least-squares sense.

    Every track has a value at every frame (held where it was lost), so one factorization serves all:
    control = (B^T B + ridge I + bend D^T D)^-1 B^T offsets, with B the basis and D second differences: P-splines
    (Eilers & Marx, "Flexible smoothing with B-splines and penalties", 1996).
    """
    basis = knots.basis(times)
    second = np.diff(np.eye(knots.count), 2, axis=0)
    normal = basis.T @ basis + ridge * np.eye(knots.count) + bend * second.T @ second
    solve = np.linalg.solve(normal, basis.T).astype(np.float32)
    frames, count, channels = offsets.shape
    return (solve @ offsets.reshape(frames, -1)).reshape(knots.count, count, channels)
