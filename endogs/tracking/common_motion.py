"""What all tissue does together beside the camera's own motion, as in breathing: a smooth rigid motion over time.

Six cubic B-splines hold the shift and the turn. How smooth they are says a Gaussian process of Matern's kind (order
3/2) with a size and a memory, in the sparse form of F. Lindgren, H. Rue and J. Lindstrom, "An explicit link between
Gaussian fields and Gaussian Markov random fields", 2011: the coefficients c obey (k^2 - d^2/dt^2) c = white noise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float64]
SECONDS, FRAMES = 0.2, 2.0
"""Between knots at least: seconds, and usual intervals of frames."""
MOST_KNOTS = 1500


@dataclass(frozen=True)
class Smoothness:
    """How a smooth motion is thought to go before anything is known of it."""

    shift: float
    """Standard deviation of a coordinate, world units."""
    turn: float
    """The same of the rotation vector's coordinates, radians."""
    memory: float
    """Seconds after which little is left of what it was."""


class MotionBasis:
    """Cubic B-splines over the times of a clip."""

    def __init__(self, times: Array) -> None:
        """`times` (F,) are seconds, increasing."""
        span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
        usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        self.interval = max(SECONDS, FRAMES * usual, span / MOST_KNOTS)
        """Seconds between knots."""
        pieces = max(1, int(np.ceil(span / self.interval)))
        self.count = pieces + 3
        """Coefficients of each spline."""
        at = np.clip((times - times[0]) / self.interval, 0, pieces - 1e-9)
        self.first = np.floor(at).astype(np.intp)
        """(F,) the first of the four coefficients that count at each time."""
        u = at - self.first
        cubes = [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]
        self.weights = np.stack(cubes, 1) / 6
        """(F, 4) of these."""

    def at(self, coefficients: Array) -> Array:
        """Values (F, d) of splines with `coefficients` (count, d)."""
        chosen = coefficients[self.first[:, None] + np.arange(4)]
        return np.asarray((self.weights[..., None] * chosen).sum(1))

    def precision(self, deviation: float, memory: float) -> tuple[sparse.csc_matrix, float]:
        """The inverse covariance (count, count) of one spline's coefficients, and the logarithm of its determinant."""
        decay, count = np.sqrt(3) / memory, self.count
        ends = np.full(count, 2.0)
        ends[[0, -1]] = 1  # mirrored beyond the ends, which leaves the ends as free as the middle
        second = sparse.diags([-np.ones(count - 1), ends, -np.ones(count - 1)], [-1, 0, 1]) / self.interval**2
        operator = sparse.identity(count) * decay**2 + second
        factor = self.interval / (4 * decay**3 * deviation**2)
        roots = decay**2 + (2 - 2 * np.cos(np.pi * np.arange(count) / count)) / self.interval**2
        logarithm = 2 * float(np.log(roots).sum()) + count * float(np.log(factor))
        return sparse.csc_matrix(operator.T @ operator * factor), logarithm
