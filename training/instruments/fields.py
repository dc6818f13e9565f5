"""Random smooth fields and random lines, the raw material of every drawn tissue and tool."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Generator = np.random.Generator


def smooth(rng: Generator, shape: tuple[int, int], cell: float) -> Field:
    """Noise (h, w) of about zero mean and unit spread whose bumps are about `cell` pixels wide."""
    h, w = shape
    rows, columns = int(h / cell) + 4, int(w / cell) + 4
    small = rng.standard_normal((rows, columns)).astype(np.float32)
    big = cv2.resize(small, (int(columns * cell) + 1, int(rows * cell) + 1), interpolation=cv2.INTER_CUBIC)
    y, x = rng.integers(0, max(1, big.shape[0] - h)), rng.integers(0, max(1, big.shape[1] - w))
    return np.ascontiguousarray(big[y : y + h, x : x + w]) * np.float32(1.25)


def fractal(rng: Generator, shape: tuple[int, int], cell: float, octaves: int = 3, gain: float = 0.5) -> Field:
    """A sum of `octaves` fields, each twice as fine as the one before and `gain` times as strong."""
    total = smooth(rng, shape, cell)
    strength, norm = 1.0, 1.0
    for _ in range(octaves - 1):
        cell = max(cell / 2, 1.5)
        strength *= gain
        norm += strength**2
        total += np.float32(strength) * smooth(rng, shape, cell)
    return total / np.float32(np.sqrt(norm))


def lobules(rng: Generator, shape: tuple[int, int], cell: float) -> Field:
    """Domes (h, w) in [0, 1] around scattered seeds, about `cell` pixels apart: fat, glands, villi."""
    h, w = shape
    count = max(4, int(h * w / cell**2))
    free = np.full(shape, 255, np.uint8)
    free[rng.integers(0, h, count), rng.integers(0, w, count)] = 0
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 3)
    return np.clip(1 - (distance / np.float32(0.75 * cell)) ** 2, 0, 1)


def wrinkles(rng: Generator, shape: tuple[int, int], period: float, bend: float = 0.5) -> Field:
    """Ridges (h, w) in [-1, 1] that run side by side, `period` pixels apart, and are bent by noise."""
    h, w = shape
    angle = rng.uniform(0, np.pi)
    y, x = np.ogrid[:h, :w]
    phase = (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32) / np.float32(period)
    phase += np.float32(bend) * smooth(rng, shape, 3 * period)
    return np.sin(np.float32(2 * np.pi) * phase)


def walk(rng: Generator, start: NDArray, angle: float, step: float, count: int, turn: float) -> NDArray[np.float64]:
    """Points (count, 2) of a smooth random path, x and y in pixels; `turn` radians is the spread of its bends."""
    bends = np.cumsum(rng.normal(0, turn, count))
    bends = angle + np.convolve(np.pad(bends, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    steps = step * np.stack([np.cos(bends), np.sin(bends)], 1)
    return np.asarray(start, np.float64) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], 0)])


def draw_line(canvas: NDArray[np.uint8], points: NDArray, thickness: float, value: int = 255) -> None:
    """Draws an open line through points (n, 2) into a uint8 canvas, anti-aliased, in sixteenths of a pixel."""
    fixed = np.round(np.asarray(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, value, max(1, round(thickness)), cv2.LINE_AA, 4)


def vessel_tree(rng: Generator, shape: tuple[int, int], size: float, trees: int) -> Field:
    """How much each pixel (h, w) lies in a vessel, 0 to 1: `trees` branching lines, `size` pixels thick at the root."""
    h, w = shape
    canvas = np.zeros(shape, np.uint8)
    for _ in range(trees):
        todo = [(rng.uniform(0, 1, 2) * (w, h), rng.uniform(0, 2 * np.pi), size * rng.uniform(0.5, 1.3), 3)]
        while todo:
            start, angle, thick, depth = todo.pop()
            points = walk(rng, start, angle, 5, int(rng.integers(6, 22)), 0.25)
            draw_line(canvas, points, thick, int(np.clip(90 + 90 * thick, 60, 255)))
            if depth and thick > 0.6:
                for _ in range(int(rng.integers(1, 3))):
                    at = points[int(rng.integers(1, len(points)))]
                    todo.append((at, angle + rng.choice([-1, 1]) * rng.uniform(0.3, 1.1), 0.6 * thick, depth - 1))
    blurred = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.6, 1.6)))
    return blurred.astype(np.float32) / 255


def blob(rng: Generator, shape: tuple[int, int], share: float, cell: float, softness: float = 0.15) -> Field:
    """A patchy mask (h, w) in [0, 1] that covers about `share` of the picture in spots `cell` pixels wide."""
    field = fractal(rng, shape, cell, 3)
    level = np.quantile(field[::4, ::4], 1 - np.clip(share, 0.001, 0.999))
    return np.clip((field - np.float32(level)) / np.float32(softness) + 0.5, 0, 1)


def slope(height: Field) -> tuple[Field, Field]:
    """Central differences (h, w) of a height along x and y."""
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    return cv2.filter2D(height, -1, kernel), cv2.filter2D(height, -1, kernel.T)
