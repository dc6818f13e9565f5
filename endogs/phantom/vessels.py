"""Blood vessels: trees that wander and branch, drawn as lines that thin out."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Branch = tuple[NDArray[np.float64], float]
"""Points (P, 2) in mm, and the vessel's diameter in mm."""


def grow_trees(rng: np.random.Generator, extent: tuple[float, float], trees: int, diameter: float) -> list[Branch]:
    """Branches of `trees` vessel trees that start anywhere in a rectangle of `extent` (width, height) mm.

    The trunk has `diameter` mm. Each branch is a walk whose heading changes smoothly; its children leave it at 25 to
    70 degrees with about 0.6 of its diameter, until 0.12 mm.
    """
    branches: list[Branch] = []
    for _ in range(trees):
        start = rng.uniform((0, 0), extent)
        heading = rng.uniform(0, 2 * np.pi)
        trunk = diameter * rng.uniform(0.7, 1.2)
        # Both ways from the start, so that no trunk begins with a stump.
        pending = [(start, heading, trunk), (start, heading + np.pi, trunk)]
        while pending:
            position, angle, width = pending.pop()
            step = 0.8
            steps = int(rng.uniform(30, 60) * min(max(width / 0.8, 0.22), 1.3))
            # A slow drift of the heading, and small bends (tortuosity), more of them in thin vessels.
            bends = np.convolve(rng.normal(0, 0.75, steps + 4), [0.2, 0.6, 0.2], "same")[:steps]
            bends *= min(max(0.45 / width, 0.35), 1.0)
            angles = angle + np.cumsum(rng.normal(0, 0.11, steps)) + bends
            points = position + np.cumsum(step * np.stack([np.cos(angles), np.sin(angles)], -1), 0)
            third = max(2, steps // 3)
            # Drawn in thirds, each thinner than the one before.
            for part in range(3):
                piece = points[max(0, part * third - 1) : (part + 1) * third + 1 if part < 2 else steps]
                if len(piece) > 1:
                    branches.append((piece, width * (1 - 0.17 * part)))
            if width * 0.6 < 0.12:
                continue
            pending.append((points[-1], angles[-1], width * 0.62))
            for at in np.sort(rng.integers(steps // 6, steps, rng.integers(2, 5))):
                side = rng.choice([-1.0, 1.0])
                child_angle = angles[at] + side * np.radians(rng.uniform(25, 70))
                pending.append((points[at], child_angle, width * rng.uniform(0.45, 0.68)))
    return branches


def draw(branches: list[Branch], extent: tuple[float, float], shape: tuple[int, int]) -> NDArray[np.float32]:
    """How much of each texel (shape) the vessels cover, in [0, 1], blurred a little as by the tissue above them."""
    scale = shape[1] / extent[0]
    # A line thinner than a texel is drawn one texel wide and fainter.
    strength = np.zeros(shape, np.float32)
    levels: dict[tuple[int, float], list[NDArray[np.int32]]] = {}
    for points, diameter in branches:
        texels = diameter * scale
        thickness = max(1, round(texels))
        # Small vessels lie deeper or are paler; four steps of opacity are enough.
        opacity = max(1, math.ceil(4 * min(1.0, texels) * (0.45 + 0.55 * min(1, diameter / 0.9)))) / 4
        fixed = np.round(points * scale * 16).astype(np.int32)  # cv2's fixed point: 4 fractional bits
        levels.setdefault((thickness, opacity), []).append(fixed)
    for (thickness, opacity), lines in sorted(levels.items(), key=lambda item: item[0]):
        layer = np.zeros(shape, np.uint8)
        cv2.polylines(layer, lines, False, 255, thickness, cv2.LINE_AA, 4)
        np.maximum(strength, np.float32(opacity / 255) * layer, out=strength)
    return cv2.GaussianBlur(strength, (0, 0), max(0.5, 0.12 * scale)).astype(np.float32, copy=False)
