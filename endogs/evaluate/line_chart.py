"""Curves as a picture, drawn with OpenCV: no plotting library is needed for a few lines and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

COLORS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (23, 190, 207),
    (140, 86, 75),
    (227, 119, 194),
    (90, 90, 90),
    (188, 189, 34),
)
"""RGB of the lines, in order; they repeat dashed."""
SHARPNESS = 2
"""Pictures are drawn so many times larger and then reduced."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, GRID = (40, 40, 40), (225, 225, 225)


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    """As many as `x`; the line breaks where one is not finite."""
    level: bool = False
    """A constant across the whole picture, `y` its one value, thin and dashed."""


def line_chart(
    lines: Sequence[Line],
    title: str,
    x_label: str,
    size: tuple[int, int] = (760, 420),
    log_x: bool = False,
    equal: bool = False,
) -> NDArray[np.uint8]:
    """An RGB picture (height, width, 3) of `size` (width, height) with axes, grid and a legend on the right.

    `log_x` needs positive x; others are left out. `equal` draws lengths along x and y alike, as of a map. Lines without
    a finite point only appear in the legend.
    """
    return _Chart(lines, size, log_x, equal).drawn(title, x_label)


class _Chart:
    def __init__(self, lines: Sequence[Line], size: tuple[int, int], log_x: bool, equal: bool) -> None:
        self.lines, self.log_x = lines, log_x
        self.width, self.height = (SHARPNESS * side for side in size)
        legend = max((_text_width(line.name) for line in lines), default=0) + 60 * SHARPNESS
        self.left, self.right = 62 * SHARPNESS, self.width - legend
        self.top, self.bottom = 34 * SHARPNESS, self.height - 46 * SHARPNESS
        self.picture: NDArray[np.uint8] = np.full((self.height, self.width, 3), 255, np.uint8)
        points = [_finite(line, log_x) for line in lines if not line.level]
        levels = [np.array([[np.nan, line.y[0]]]) for line in lines if line.level and np.isfinite(line.y[0])]
        known = np.concatenate([*points, *levels]) if points or levels else np.zeros((0, 2))
        x, y = (known[np.isfinite(known[:, k]), k] for k in (0, 1))
        self.x_range = _with_room(np.log10(x) if log_x else x, 0.0)
        self.y_range = _with_room(y, 0.06)
        if equal:
            self._draw_alike()

    def drawn(self, title: str, x_label: str) -> NDArray[np.uint8]:
        self._axes(x_label)
        self._text(title, self.left, self.top - 12 * SHARPNESS, 0.5)
        for index, line in enumerate(self.lines):
            self._line(line, index)
        size = (self.width // SHARPNESS, self.height // SHARPNESS)
        return np.asarray(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _draw_alike(self) -> None:
        """Widens the range that has more pixels for its units."""
        self.x_range = _with_room(np.array(self.x_range), 0.06)
        across, up = self.right - self.left, self.bottom - self.top
        unit = max((self.x_range[1] - self.x_range[0]) / across, (self.y_range[1] - self.y_range[0]) / up)
        self.x_range, self.y_range = (
            (sum(ends) / 2 - unit * pixels / 2, sum(ends) / 2 + unit * pixels / 2)
            for ends, pixels in ((self.x_range, across), (self.y_range, up))
        )

    def _place(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int32]:
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        columns = self.left + across * (self.right - self.left)
        return np.stack([columns, self.bottom - up * (self.bottom - self.top)], -1).round().astype(np.int32)

    def _axes(self, x_label: str) -> None:
        for value in _ticks(*self.y_range):
            row = int(self._place(np.array([0.0]), np.array([value]))[0, 1])
            cv2.line(self.picture, (self.left, row), (self.right, row), GRID, SHARPNESS)
            text = f"{value:.6g}"
            self._text(text, self.left - _text_width(text) - 6 * SHARPNESS, row + 4 * SHARPNESS)
        decades = _log_ticks(*self.x_range) if self.log_x else _ticks(*self.x_range)
        for value in decades:
            column = int(self._place(np.array([value]), np.array([0.0]))[0, 0])
            cv2.line(self.picture, (column, self.top), (column, self.bottom), GRID, SHARPNESS)
            text = f"{10**value if self.log_x else value:.4g}"
            self._text(text, column - _text_width(text) // 2, self.bottom + 17 * SHARPNESS)
        cv2.rectangle(self.picture, (self.left, self.top), (self.right, self.bottom), INK, SHARPNESS)
        middle = (self.left + self.right - _text_width(x_label)) // 2
        self._text(x_label, middle, self.bottom + 35 * SHARPNESS)

    def _line(self, line: Line, index: int) -> None:
        color = COLORS[index % len(COLORS)]
        dashed = line.level or index >= len(COLORS)
        if line.level:
            ends = self._place(np.array(self.x_range), np.full(2, line.y[0]))
            if np.isfinite(line.y[0]):
                self._stroke(ends, color, dashed, SHARPNESS)
        else:
            for part in _unbroken(line, self.log_x):
                x = np.log10(part[:, 0]) if self.log_x else part[:, 0]
                places = self._place(x, part[:, 1])
                self._stroke(places, color, dashed, 2 * SHARPNESS)
                for place in places if len(places) <= 40 else places[:1]:
                    cv2.circle(self.picture, tuple(map(int, place)), 2 * SHARPNESS, color, -1, cv2.LINE_AA)
        row = self.top + (8 + 17 * index) * SHARPNESS
        start = self.right + 12 * SHARPNESS
        sample = np.array([[start, row], [start + 24 * SHARPNESS, row]], np.int32)
        self._stroke(sample, color, dashed, SHARPNESS if line.level else 2 * SHARPNESS)
        self._text(line.name, start + 30 * SHARPNESS, row + 4 * SHARPNESS)

    def _stroke(self, places: NDArray[np.int32], color: tuple[int, int, int], dashed: bool, width: int) -> None:
        if not dashed:
            cv2.polylines(self.picture, [places], False, color, width, cv2.LINE_AA)
            return
        for a, b in zip(places[:-1].astype(float), places[1:].astype(float), strict=True):
            length = float(np.hypot(*(b - a)))
            for begin in np.arange(0, length, 12.0 * SHARPNESS / 2):
                ends = [a + (b - a) * min(1, at / length) for at in (begin, begin + 3 * SHARPNESS)]
                first, last = (tuple(map(int, end.round())) for end in ends)
                cv2.line(self.picture, first, last, color, width, cv2.LINE_AA)

    def _text(self, text: str, x: int, y: int, size: float = 0.4) -> None:
        cv2.putText(self.picture, text, (x, y), FONT, size * SHARPNESS, INK, SHARPNESS, cv2.LINE_AA)


def _text_width(text: str) -> int:
    return int(cv2.getTextSize(text, FONT, 0.4 * SHARPNESS, SHARPNESS)[0][0])


def _finite(line: Line, log_x: bool) -> NDArray[np.float64]:
    points = np.stack([np.asarray(line.x, float), np.asarray(line.y, float)], -1).reshape(-1, 2)
    return points[np.isfinite(points).all(1) & ((points[:, 0] > 0) | (not log_x))]


def _unbroken(line: Line, log_x: bool) -> list[NDArray[np.float64]]:
    """The pieces of a line between points that are not finite."""
    points = np.stack([np.asarray(line.x, float), np.asarray(line.y, float)], -1).reshape(-1, 2)
    good = np.isfinite(points).all(1) & ((points[:, 0] > 0) | (not log_x))
    edges = np.flatnonzero(np.diff(good.astype(int))) + 1
    return [part for part, keep in zip(np.split(points, edges), np.split(good, edges), strict=True) if keep.any()]


def _with_room(values: NDArray[np.float64], room: float) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    span = high - low if high > low else max(abs(high) * 0.1, 1e-3)
    return low - room * span - (0 if high > low else span / 2), high + room * span + (0 if high > low else span / 2)


def _ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between two limits."""
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next(m * power for m in (1, 2, 5, 10) if m * power >= raw))
    first, last = int(np.ceil(low / step)), int(np.floor(high / step + 1e-6))
    return [round(k * step, 12) for k in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Logarithms of 1, 2 and 5 times powers of ten between two limits."""
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    found = [float(np.log10(m)) + e for e in exponents for m in (1, 2, 5)]
    return [value for value in found if low <= value <= high]
