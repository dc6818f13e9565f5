"""What comes and goes in a camera's path with a steady rhythm and along one line: breathing, rather than the camera.

Tissue that breathes as a whole moves the camera that is found beside it, and no picture tells the two apart. Their
courses over time may: a hand moves as it likes, and a breath comes back every few seconds. Each coordinate of the path
is taken for the sum of Gaussian processes (C. Rasmussen and C. Williams, "Gaussian processes for machine learning",
2006),

    place(t) = parabola(t) + hand(t) + breath(t) + noise(t),

where the hand is white noise that is integrated twice or three times (the kernels are in chapter 6.3 there), and the
noise may last for a while, as the tracker's errors on moving tissue do. The breath has the kernel

    a (cos wd + h cos 2wd) / (1 + h) exp(-d^2 / 2 l^2)

of the interval d: its rhythm w may wander, with a memory of l. All of them are the same in the three coordinates. The
evidence (equation 2.45 there, with the parabola's coefficients integrated out and the best overall size) chooses the
numbers, and says by how much a path with a breath is the more probable one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

Array = NDArray[np.float64]
RATE = 5.0
"""Samples a second that are looked at."""
PART, OVERLAP = 120.0, 30.0
"""Seconds that are looked at together, and that two parts of a longer clip share."""
PERIODS = tuple(np.geomspace(2.4, 8.0, 26))
"""Seconds of a breath that are tried: 7 to 25 a minute."""
LEAST_BREATHS = 2.4
"""Periods that a part must last."""
LEAST_SAMPLES = 20
"""Of a part, with a pose."""
SIZES = tuple(10 ** np.arange(-3, 3.1, 0.5))
"""Variances of the breath that are tried, by the hand's in a second."""
NOISES = tuple(10.0 ** np.arange(-7, 2))
"""The same of the noise."""
WANDERS = (1e-3, 0.3, 1.0)
"""Seconds that the noise lasts."""
MEMORIES = (1.0, 2.0, 4.0, 8.0, np.inf)
"""Periods after which a rhythm is forgotten."""
OVERTONES = (0.0, 0.03, 0.1, 0.3)
"""Variance of the second harmonic by the first's."""
ORDERS = (2, 3)
"""How often white noise is integrated."""
SURE = 10.0
"""Natural logarithm of how many times more probable a path with a breath must be. In 42 parts of nine real paths beside
still tissue, of 8 to 38 seconds, it reaches 8."""
LINE = 0.3
"""Most that a breath goes across its line, by what it goes along it."""


@dataclass(frozen=True)
class Rhythm:
    """A breath in a path."""

    shift: Array
    """(F, 3) what it adds to the camera's place at each time, in the path's units; it is 0 in the mean of a part, and 0
    where a part of the clip has no such rhythm."""
    period: float
    """Seconds of a breath, in the mean."""
    amplitude: float
    """How far it goes to either side, root mean square times the square root of 2."""
    evidence: float
    """Natural logarithm of how many times more probable the path is with it: of the least sure part that has it."""


def find_rhythm(times: Array, centres: Array) -> Rhythm | None:
    """The breath in a path with `centres` (F, 3) of the camera at `times` (F,) in seconds, increasing; NaN where lost.

    None where there is none that is sure: the clip is short or its frames are far apart, the hand moves as fast as
    tissue breathes, or nothing has a rhythm.
    """
    known = np.flatnonzero(np.isfinite(centres).all(1))
    if len(known) < LEAST_SAMPLES:
        return None
    shift, weights = np.zeros((len(times), 3)), np.zeros(len(times))
    found = []
    for first, last in _parts(float(times[known[0]]), float(times[known[-1]])):
        inside = (times >= first) & (times <= last)
        here = known[inside[known]]
        weight = np.minimum(1, np.minimum(times - first, last - times) / OVERLAP + 1e-6)[inside]
        weights[inside] += weight
        part = _of_part(times[here], centres[here], times[inside]) if len(here) >= LEAST_SAMPLES else None
        if part is not None:
            shift[inside] += weight[:, None] * part.shift
            found.append(part)
    if not found:
        return None
    shift /= np.maximum(weights, 1e-9)[:, None]
    size = float(np.sqrt(2 * np.mean([(part.amplitude**2) / 2 for part in found])))
    return Rhythm(shift, float(np.mean([part.period for part in found])), size, min(part.evidence for part in found))


def _parts(first: float, last: float) -> list[tuple[float, float]]:
    """Spans of at most PART seconds that share OVERLAP."""
    count = max(1, int(np.ceil((last - first - OVERLAP) / (PART - OVERLAP))))
    length = (last - first + (count - 1) * OVERLAP) / count
    starts = first + np.arange(count) * (length - OVERLAP)
    return [(float(start), float(start + length)) for start in starts]


def _of_part(times: Array, centres: Array, wanted: Array) -> Rhythm | None:
    """The breath of one part, at the times `wanted`."""
    span = float(times[-1] - times[0])
    grid = np.linspace(times[0], times[-1], max(2, round(span * RATE) + 1))
    chosen = np.unique(np.clip(np.searchsorted(times, grid), 0, len(times) - 1))
    periods = tuple(period for period in PERIODS if period * LEAST_BREATHS <= span)
    if len(chosen) < LEAST_SAMPLES or not periods:
        return None
    if np.median(np.diff(times[chosen])) > PERIODS[0] / 4:
        return None
    path = _Path(times[chosen] - times[0], centres[chosen])
    alone, with_breath = [], []
    for order in ORDERS:
        value, (noise, wander) = _climb(partial(_still, path, order), (NOISES, WANDERS), (2, 0))
        alone.append(value)
        tried = [
            (path.evidence(order, noise, wander, Breath(size, period, np.inf, 0.0)), n, k)
            for k, period in enumerate(periods)
            for n, size in list(enumerate(SIZES))[::3]
        ]
        _, n, k = max(tried)
        start = (NOISES.index(noise), WANDERS.index(wander), n, k, len(MEMORIES) - 1, 0)
        grids = (NOISES, WANDERS, SIZES, periods, MEMORIES, OVERTONES)
        value, (noise, wander, *numbers) = _climb(partial(_breathing, path, order), grids, start)
        with_breath.append((value, order, noise, wander, Breath(*numbers)))
    value, order, noise, wander, breath = max(with_breath, key=lambda one: one[0])
    evidence = value - max(alone)
    if evidence < SURE:
        return None
    shift = path.breath(order, noise, wander, breath, wanted - times[0])
    _, strengths, directions = np.linalg.svd(shift, full_matrices=False)
    if strengths[1] > LINE * strengths[0]:
        return None
    along = shift @ directions[0]
    size = float(np.sqrt(2 * np.mean(along**2)))
    return Rhythm(along[:, None] * directions[0], breath.period, size, float(evidence))


@dataclass(frozen=True)
class Breath:
    """Numbers of the breath's kernel."""

    size: float
    """Its variance, by that of the hand in a second."""
    period: float
    """Seconds."""
    memory: float
    """Periods."""
    overtone: float
    """Variance of the second harmonic by the first's."""

    def kernel(self, intervals: Array) -> Array:
        """Covariance of places that are so many seconds apart."""
        angle = 2 * np.pi / self.period * intervals
        wave = (np.cos(angle) + self.overtone * np.cos(2 * angle)) / (1 + self.overtone)
        return np.asarray(self.size * wave * np.exp(-0.5 * (intervals / (self.memory * self.period)) ** 2))


class _Path:
    """Samples of a path, and how probable they are."""

    def __init__(self, times: Array, centres: Array) -> None:
        """`times` (n,) begin at 0; `centres` (n, 3)."""
        self.times, self.centres = times, centres - centres.mean(0)
        early, late = np.minimum(times[:, None], times), np.maximum(times[:, None], times)
        lag = late - early
        self.intervals = lag
        self.errors = {wander: np.exp(-lag / wander) for wander in WANDERS}
        self.hand = {
            2: early**3 / 3 + early**2 * lag / 2,
            3: early**5 / 20 + early**4 * lag / 8 + early**3 * lag**2 / 12,
        }

    def evidence(self, order: int, noise: float, wander: float, breath: Breath | None) -> float:
        """Its logarithm, but for a constant that all models share."""
        return self._solved(order, noise, wander, breath)[0]

    def breath(self, order: int, noise: float, wander: float, breath: Breath, times: Array) -> Array:
        """(m, 3) the breath at `times` (m,), 0 in the mean."""
        shift = breath.kernel(times[:, None] - self.times) @ self._solved(order, noise, wander, breath)[1]
        return np.asarray(shift - shift.mean(0))

    def _solved(self, order: int, noise: float, wander: float, breath: Breath | None) -> tuple[float, Array]:
        covariance = self.hand[order] + noise * self.errors[wander]
        if breath is not None:
            covariance = covariance + breath.kernel(self.intervals)
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return -np.inf, np.zeros_like(self.centres)
        polynomial = (self.times[:, None] / self.times[-1]) ** np.arange(3)
        white = partial(solve_triangular, factor, lower=True, check_finite=False)
        basis, triangle = np.linalg.qr(white(polynomial))
        places = white(self.centres)
        rest = places - basis @ (basis.T @ places)
        axes, freedoms = self.centres.shape[1], (len(self.times) - 3) * self.centres.shape[1]
        determinant = np.log(np.diag(factor)).sum() + np.log(np.abs(np.diag(triangle))).sum()
        value = -0.5 * freedoms * np.log(max((rest**2).sum(), 1e-300)) - axes * determinant
        return float(value), solve_triangular(factor, rest, lower=True, trans=1, check_finite=False)


def _still(path: _Path, order: int, noise: float, wander: float) -> float:
    return path.evidence(order, noise, wander, None)


def _breathing(path: _Path, order: int, noise: float, wander: float, *numbers: float) -> float:
    return path.evidence(order, noise, wander, Breath(*numbers))


def _climb(
    value: Callable[..., float], grids: Sequence[Sequence[float]], start: Sequence[int]
) -> tuple[float, tuple[Any, ...]]:
    """The best value that steps of one number at a time reach on grids, and its numbers."""
    known: dict[tuple[int, ...], float] = {}

    def at(place: tuple[int, ...]) -> float:
        if place not in known:
            known[place] = value(*(grid[k] for grid, k in zip(grids, place, strict=True)))
        return known[place]

    best, place = at(tuple(start)), tuple(start)
    while True:
        near = [
            (*place[:axis], place[axis] + step, *place[axis + 1 :])
            for axis in range(len(grids))
            for step in (-1, 1)
            if 0 <= place[axis] + step < len(grids[axis])
        ]
        following = max(near, key=at)
        if at(following) <= best:
            return best, tuple(grid[k] for grid, k in zip(grids, place, strict=True))
        best, place = at(following), following
