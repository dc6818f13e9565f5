"""Materials of tools. Numbers are display values; a real picture's light and white balance come on top."""

import numpy as np

from training.instruments.canvas import Material
from training.instruments.fields import Generator

METALS = (
    (0.80, 0.81, 0.84),
    (0.70, 0.71, 0.74),
    (0.55, 0.56, 0.60),
    (0.42, 0.42, 0.45),
    (0.85, 0.84, 0.80),
    (0.62, 0.65, 0.72),
)
GOLD = ((0.85, 0.68, 0.30), (0.78, 0.60, 0.25), (0.80, 0.55, 0.40))
BLACK = ((0.10, 0.10, 0.11), (0.16, 0.16, 0.18), (0.22, 0.22, 0.24), (0.06, 0.06, 0.07), (0.12, 0.13, 0.18))
GREY = (
    (0.20, 0.20, 0.20),
    (0.24, 0.24, 0.24),
    (0.28, 0.28, 0.28),
    (0.32, 0.32, 0.32),
    (0.34, 0.34, 0.34),
    (0.40, 0.40, 0.40),
    (0.45, 0.46, 0.47),
    (0.52, 0.54, 0.58),
    (0.52, 0.56, 0.62),
    (0.62, 0.68, 0.76),
    (0.70, 0.74, 0.80),
)
WHITE = ((0.90, 0.90, 0.88), (0.95, 0.95, 0.96), (0.85, 0.88, 0.92), (0.88, 0.84, 0.74))
VIVID = (
    (0.10, 0.30, 0.70),
    (0.20, 0.50, 0.85),
    (0.10, 0.55, 0.45),
    (0.20, 0.65, 0.30),
    (0.90, 0.75, 0.10),
    (0.95, 0.45, 0.10),
    (0.55, 0.30, 0.75),
    (0.80, 0.15, 0.15),
    (0.90, 0.50, 0.65),
    (0.30, 0.75, 0.85),
)


def _tint(rng: Generator, colors: tuple[tuple[float, float, float], ...]) -> tuple[float, float, float]:
    color = np.array(colors[int(rng.integers(0, len(colors)))]) + rng.normal(0, 0.02, 3)
    # Steel and coatings are cool in one clip and as warm as brass in another, whatever the tissue's colours.
    warmth = float(rng.normal(0.05, 0.12)) if colors is not VIVID else 0.0
    r, g, b = np.clip(color * np.exp(warmth * np.array([1.0, 0.3, -1.0])), 0.02, 1)
    return float(r), float(g), float(b)


def metal(rng: Generator, golden: float = 0.14) -> Material:
    """Polished to matt steel, sometimes gold or titanium."""
    color = _tint(rng, GOLD if rng.random() < golden else METALS)
    mirror, gloss = float(rng.choice([0.55, 0.8, 1.0])), float(rng.uniform(0.3, 2.0))
    return Material(color, mirror, gloss, float(rng.uniform(0.08, 0.45)), float(rng.uniform(0, 0.25)))


def lacquer(rng: Generator) -> Material:
    """Shafts and housings: black, grey, white or vivid plastic, or a coated tube."""
    pick = rng.random()
    colors = BLACK if pick < 0.38 else GREY if pick < 0.76 else WHITE if pick < 0.85 else VIVID
    gloss = float(rng.choice([0.02, 0.15, 0.6, 1.2, 3.0], p=[0.35, 0.25, 0.15, 0.15, 0.1]) * rng.uniform(0.5, 1.3))
    weave = float(rng.uniform(0.1, 0.4)) if rng.random() < 0.12 else 0.0
    return Material(_tint(rng, colors), 0.0, gloss, float(rng.uniform(0.06, 0.5)), float(rng.uniform(0, 0.2)), weave)


def dull(rng: Generator) -> Material:
    """Shafts of dark fibre or matt coating, which have no highlight to be known by."""
    level = float(rng.uniform(0.10, 0.48))
    color = np.array([level, level, level]) * np.exp(float(rng.normal(0.08, 0.09)) * np.array([1.0, 0.4, -1.0]))
    r, g, b = map(float, color)
    weave = float(rng.uniform(0.05, 0.3)) if rng.random() < 0.2 else 0.0
    return Material((r, g, b), 0.0, float(rng.uniform(0, 0.08)), 0.5, float(rng.uniform(0, 0.35)), weave)


def ceramic(rng: Generator) -> Material:
    """White insulation."""
    return Material(_tint(rng, WHITE), 0.0, float(rng.uniform(0.2, 1.0)), float(rng.uniform(0.1, 0.4)), 0.05)


def vivid(rng: Generator) -> Material:
    """Clips, threads, markers and sheaths of a strong colour."""
    return Material(_tint(rng, VIVID), 0.0, float(rng.uniform(0.1, 0.8)), float(rng.uniform(0.1, 0.4)), 0.08)


def cloth(rng: Generator) -> Material:
    """Gauze, swabs and meshes, which may have soaked blood or be tinted by the light."""
    return Material(_tint(rng, WHITE), 0.0, 0.02, 0.5, float(rng.uniform(0.05, 0.25)), float(rng.uniform(0.1, 0.6)))


def any_part(rng: Generator) -> Material:
    """The small parts of a wrist or a jaw."""
    pick = rng.random()
    if pick < 0.72:
        return metal(rng)
    return lacquer(rng) if pick < 0.9 else ceramic(rng)
