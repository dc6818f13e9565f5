"""What lies on tissue and is no instrument: blood, bile, scars, burns, foam, drops of water, stool."""

import cv2
import numpy as np

from training.instruments.fields import Generator, blob, draw_line, smooth, walk
from training.instruments.tissue import Surface


def decorate(rng: Generator, surface: Surface) -> None:
    """Adds a few of them to `surface`, in place."""
    for chance, add in ((0.3, _pool), (0.25, _stain), (0.15, _scars), (0.08, _burns), (0.15, _foam), (0.12, _strands)):
        if rng.random() < chance:
            add(rng, surface)


def _paint(surface: Surface, color: tuple[float, float, float], alpha: np.ndarray) -> None:
    surface.albedo += (np.array(color, np.float32) ** 2 - surface.albedo) * alpha[..., None]


def _pool(rng: Generator, surface: Surface) -> None:
    """Liquid: smooth, shining; blood, bile or pus."""
    shape = surface.height.shape
    alpha = blob(rng, shape, float(rng.uniform(0.02, 0.3)), float(rng.uniform(25, 90)), 0.06)
    colors = ((0.38, 0.03, 0.03), (0.5, 0.05, 0.04), (0.2, 0.02, 0.02), (0.45, 0.42, 0.1), (0.75, 0.68, 0.4))
    color = colors[rng.choice(5, p=[0.45, 0.28, 0.17, 0.05, 0.05])]
    surface.height += (cv2.blur(surface.height, (31, 31)) - surface.height) * alpha
    surface.wetness += (np.float32(rng.uniform(0.5, 1.5)) - surface.wetness) * alpha
    _paint(surface, color, alpha * float(rng.uniform(0.6, 0.97)))


def _stain(rng: Generator, surface: Surface) -> None:
    """A thin film that tints: blood, bile, stool, dye."""
    shape = surface.height.shape
    colors = ((0.5, 0.08, 0.06), (0.6, 0.55, 0.15), (0.4, 0.28, 0.1), (0.2, 0.45, 0.4), (0.15, 0.25, 0.6))
    color = colors[rng.choice(5, p=[0.74, 0.12, 0.1, 0.02, 0.02])]
    alpha = blob(rng, shape, float(rng.uniform(0.05, 0.4)), float(rng.uniform(8, 60)), 0.8)
    _paint(surface, color, alpha * float(rng.uniform(0.2, 0.8)))


def _scars(rng: Generator, surface: Surface) -> None:
    shape = surface.height.shape
    alpha = blob(rng, shape, float(rng.uniform(0.01, 0.12)), float(rng.uniform(10, 50)), 0.4)
    _paint(surface, (0.92, 0.86, 0.82), alpha * float(rng.uniform(0.3, 0.9)))


def _burns(rng: Generator, surface: Surface) -> None:
    """Char and its pale rim."""
    shape = surface.height.shape
    alpha = blob(rng, shape, float(rng.uniform(0.005, 0.05)), float(rng.uniform(8, 30)), 0.3)
    wide = cv2.GaussianBlur(alpha, (0, 0), 4)
    _paint(surface, (0.85, 0.76, 0.62), np.clip(1.5 * wide, 0, 0.8))
    dark = float(rng.uniform(0.05, 0.2))
    _paint(surface, (1.2 * dark, dark, 0.8 * dark), alpha * 0.95)


def _foam(rng: Generator, surface: Surface) -> None:
    """Bubbles: bright little rings."""
    h, w = surface.height.shape
    canvas = np.zeros((h, w), np.uint8)
    centre = rng.uniform(0, 1, 2) * (w, h)
    for _ in range(int(rng.integers(3, 60))):
        at = np.round((centre + rng.normal(0, 0.12 * w, 2)) * 16).astype(int)
        size = int(16 * rng.uniform(1.0, 7))
        cv2.circle(canvas, (int(at[0]), int(at[1])), size, int(rng.integers(80, 255)), 1, cv2.LINE_AA, 4)
    ring = canvas.astype(np.float32) / 255
    surface.height += ring * np.float32(rng.uniform(0.3, 1.5))
    surface.wetness += ring * 0.6
    _paint(surface, (0.95, 0.9, 0.88), ring * float(rng.uniform(0.1, 0.6)))


def _strands(rng: Generator, surface: Surface) -> None:
    """Thin fibres of connective tissue, fat or mucus, stretched between places: no sutures."""
    h, w = surface.height.shape
    canvas = np.zeros((h, w), np.uint8)
    angle = rng.uniform(0, np.pi)
    start = rng.uniform(0, 1, 2) * (w, h)
    for _ in range(int(rng.integers(2, 14))):
        points = walk(rng, start + rng.normal(0, 12, 2), angle + rng.normal(0, 0.25), 4, int(rng.integers(5, 25)), 0.08)
        draw_line(canvas, points, float(rng.uniform(0.5, 3)), int(rng.integers(60, 230)))
    alpha = cv2.GaussianBlur(canvas, (0, 0), 0.8).astype(np.float32) / 255
    surface.height += alpha * 2 * np.clip(smooth(rng, (h, w), 20) + 1, 0, 2)
    color = ((0.92, 0.80, 0.72), (0.9, 0.72, 0.4), (0.75, 0.35, 0.3))[rng.integers(0, 3)]
    _paint(surface, color, alpha * float(rng.uniform(0.3, 0.9)))
