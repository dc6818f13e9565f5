"""How likely each point of the map is to move with the tissue rather than stand still.

A point that stands still is off by the noise of following it; one that deforms by several times that. The logarithm of
the odds gathers what frames say, and fades. What all points share is the camera's, since a pose is found before
its residuals are looked at.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Ids = NDArray[np.intp]

LIMITS = 0.02, 0.98
"""Probabilities of deforming that are never left."""
WIDER = 4.0
"""How many times farther off a point is that deforms."""
NEIGHBOURS = 8
SHARED = 0.3
"""Share of the neighbours' mean that a point takes over at a keyframe: tissue deforms in regions."""


def log_odds(probability: float) -> float:
    """The logarithm of the odds of a probability in (0, 1)."""
    return float(np.log(probability / (1 - probability)))


def rigid_weight(odds: Array) -> Array:
    """(n,) probability in [0.02, 0.98] of standing still, from the logarithms of the odds of deforming."""
    return np.asarray(1 - np.clip(1 / (1 + np.exp(-odds)), *LIMITS), np.float64)


def gather(odds: Array, ids: Ids, residual: Array, scale: float, prior: float, forgotten: float, most: float) -> None:
    """Add what one frame says to `odds` (M,) in place: `ids` (n,) were `residual` (n,) pixels off, `scale` is noise.

    The ratio of two 2D normal densities, one WIDER than the other; `forgotten` is in frames, `prior` a logarithm, as is
    what one frame says at `most`.
    """
    squared = np.square(residual / scale)
    evidence = 0.5 * squared * (1 - 1 / WIDER**2) - 2 * np.log(WIDER)
    low, high = log_odds(LIMITS[0]), log_odds(LIMITS[1])
    faded = prior + (odds[ids] - prior) * (1 - 1 / forgotten)
    odds[ids] = np.clip(faded + np.clip(evidence, -most, most), low, high)


def smooth(odds: Array, positions: Array, ids: Ids) -> None:
    """Draw the odds of points `ids` towards the mean of their nearest neighbours, in place."""
    if len(ids) <= NEIGHBOURS:
        return
    _, near = cKDTree(positions[ids]).query(positions[ids], k=NEIGHBOURS + 1)
    odds[ids] = (1 - SHARED) * odds[ids] + SHARED * odds[ids][near[:, 1:]].mean(1)
