"""Knots of cubic B-splines over a clip, and splines through tracks.

C. de Boor, "A practical guide to splines", 1978.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from endogs.scene.deformation.settings import usable_number

ACTIVE = 4
"""Control points that touch one instant."""
SPARE = 2
"""Intervals that are kept before the earliest time that is asked for."""
CLOSEST = 1e-9
"""Part of the clip that a knot interval in a file lasts at least."""


@dataclass(frozen=True)
class Knots:
    """Knots over a clip, closer where more happens."""

    breakpoints: tuple[float, ...]
    """(I + 1,) seconds, ascending: the ends of the I >= 1 knot intervals; there are I + 3 control points."""

    def __post_init__(self) -> None:
        if len(self.breakpoints) < 2 or not all(a < b for a, b in pairwise(self.breakpoints)):
            raise ValueError("a spline needs two or more breakpoints in ascending order")

    @property
    def intervals(self) -> int:
        """Number of knot intervals."""
        return len(self.breakpoints) - 1

    @property
    def count(self) -> int:
        """Number of control points."""
        return self.intervals + ACTIVE - 1

    @cached_property
    def extended(self) -> tuple[float, ...]:
        """(I + 7,) the breakpoints with three more at each end, as far apart as the last two there."""
        first, last = self.breakpoints[0], self.breakpoints[-1]
        before, after = self.breakpoints[1] - first, last - self.breakpoints[-2]
        head = (first - k * before for k in (3, 2, 1))
        return (*head, *self.breakpoints, *(last + k * after for k in (1, 2, 3)))

    @staticmethod
    def evenly(start: float, interval: float, intervals: int) -> "Knots":
        """`intervals` knot intervals of `interval` seconds from `start` on."""
        return Knots(tuple(start + k * interval for k in range(intervals + 1)))

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "Knots":
        """The knots in a scene file's settings.

        Raises KeyError, TypeError or ValueError where they are none, or two are so close that nothing lies between.
        """
        knots = Knots(tuple(usable_number(time, "breakpoints") for time in settings["breakpoints"]))
        ends = knots.breakpoints
        if min(b - a for a, b in pairwise(ends)) < CLOSEST * (ends[-1] - ends[0]):
            raise ValueError(f"two breakpoints are closer than {CLOSEST:g} of the clip")
        return knots

    @staticmethod
    def over(first: float, last: float, interval: float) -> "Knots":
        """Knots of the given spacing (seconds) that cover [first, last]."""
        if not interval > 0:
            raise ValueError(f"knot interval must be positive, got {interval}")
        return Knots.evenly(first, interval, max(1, math.ceil((last - first) / interval - 1e-6)))

    def covering(self, first: float, last: float) -> tuple["Knots", int, int]:
        """Knots for [first, last] in place of these, and how many control points fall away at the start and are added
        at the end, so that those in between keep their meaning.

        New intervals are as long as the last one. What lies before `first` goes, but for SPARE intervals: basis
        functions reach over so many knots, and within [first, last] nothing changes.
        """
        ends = list(self.breakpoints)
        step = ends[-1] - ends[-2]
        added = max(0, math.ceil((last - ends[-1]) / step - 1e-6))
        ends += [ends[-1] + (k + 1) * step for k in range(added)]
        dropped = max(0, bisect_right(ends, first) - 1 - SPARE)
        return Knots(tuple(ends[dropped:])), dropped, added

    def within(self, first: float, last: float) -> tuple["Knots", int]:
        """The knots that a spline over [first, last] needs, a part of these, and how many control points fall away at
        the start; within [first, last] nothing changes, since SPARE intervals stay on either side.
        """
        ends = self.breakpoints
        dropped = max(0, bisect_right(ends, first) - 1 - SPARE)
        kept = min(len(ends), max(bisect_left(ends, last) + 1 + SPARE, dropped + 2))
        return Knots(ends[dropped:kept]), dropped

    def locate(self, time: float) -> tuple[int, tuple[float, float, float, float]]:
        """First active control point and the four weights at `time`; times outside are clamped to the ends.

        Cox and de Boor's recurrence, from degree 0 up.
        """
        time = min(max(time, self.breakpoints[0]), self.breakpoints[-1])
        index = min(max(bisect_right(self.breakpoints, time) - 1, 0), self.intervals - 1)
        knots, at = self.extended, index + ACTIVE - 1
        weights = [1.0]
        for degree in (1, 2, 3):
            higher = [0.0] * (degree + 1)
            for k, weight in enumerate(weights):
                low, high = knots[at - degree + 1 + k], knots[at + 1 + k]
                share = weight / (high - low)
                higher[k] += (high - time) * share
                higher[k + 1] += (time - low) * share
            weights = higher
        return index, (weights[0], weights[1], weights[2], weights[3])

    def basis(self, times: np.ndarray) -> np.ndarray:
        """Basis matrix (F, Kn) float64 of the times (F,): rows sum to 1."""
        matrix = np.zeros((len(times), self.count))
        for row, time in zip(matrix, times, strict=True):
            index, weights = self.locate(float(time))
            row[index : index + ACTIVE] = weights
        return matrix


class Tracks(Protocol):
    """Splines that Gaussians are to follow, such as those through tracks."""

    control: Tensor
    """(Kn, N, 14) control points."""

    @property
    def knots(self) -> Knots:
        """Their knots."""
