"""Places in the body: organs and folds, sheets of tissue, the inside of a tube, and narrow clefts between walls."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.details import decorate
from training.instruments.fields import Field, Generator, draw_line, fractal, smooth, walk, wrinkles
from training.instruments.glare import glaring, shaded
from training.instruments.tissue import Surface, lit, random_skin, skin_maps

KINDS = ("organs", "sac", "sheet", "tube", "sinus")
SHARES = (0.39, 0.1, 0.14, 0.14, 0.23)


def tissue_picture(rng: Generator, shape: tuple[int, int], kind: str | None = None) -> NDArray[np.float32]:
    """A picture (h, w, 3) of tissue alone, linear, about 0 to 1 with highlights above."""
    kind = kind or str(rng.choice(KINDS, p=SHARES))
    surface = {"organs": organs, "sac": sac, "sheet": sheet, "tube": tube, "sinus": sinus}[kind](rng, shape)
    decorate(rng, surface)
    return glaring(rng, shaded(rng, lit(rng, surface)))


def _base(rng: Generator, shape: tuple[int, int], scene: str) -> Surface:
    skin = random_skin(rng, scene)
    albedo, relief = skin_maps(rng, skin, shape)
    folds = fractal(rng, shape, float(rng.uniform(30, 110)), 3, 0.45) * np.float32(rng.uniform(1, 12))
    if rng.random() < 0.3:
        folds += wrinkles(rng, shape, float(rng.uniform(25, 90)), 0.8) * np.float32(rng.uniform(1, 5))
    distance = np.exp(smooth(rng, shape, float(rng.uniform(90, 250))) * np.float32(rng.uniform(0.05, 0.3)))
    return Surface(albedo, relief + folds, distance, np.full(shape, skin.wetness, np.float32))


def sheet(rng: Generator, shape: tuple[int, int]) -> Surface:
    """A membrane with folds, of one to three tissues that pass into each other."""
    surface = _base(rng, shape, "sheet")
    for _ in range(int(rng.integers(0, 3))):
        skin = random_skin(rng, "sheet")
        albedo, relief = skin_maps(rng, skin, shape)
        share = fractal(rng, shape, float(rng.uniform(50, 130)), 3) - float(rng.uniform(-0.3, 0.7))
        alpha = np.clip(share / float(rng.uniform(0.1, 0.8)) + 0.5, 0, 1)
        _cover(surface, albedo, relief, alpha, skin.wetness)
    return surface


def organs(rng: Generator, shape: tuple[int, int]) -> Surface:
    """Rounded bodies and loops, one before the other, on a back wall."""
    surface = _base(rng, shape, "organs")
    surface.distance *= np.float32(rng.uniform(1.0, 1.9))
    for _ in range(int(rng.integers(0, 7))):
        _add_body(rng, surface, shape)
    return surface


def sac(rng: Generator, shape: tuple[int, int]) -> Surface:
    """Pale bodies that hang before a dark organ, as a gallbladder does before the liver."""
    surface = _base(rng, shape, "dark")
    surface.distance *= np.float32(rng.uniform(1.0, 1.9))
    for _ in range(int(rng.integers(0, 3))):
        _add_body(rng, surface, shape)
    for _ in range(int(rng.integers(1, 3))):
        _add_body(rng, surface, shape, "hanging")
    return surface


def _cover(surface: Surface, albedo: NDArray, relief: Field, alpha: Field, wetness: float) -> None:
    surface.albedo += (albedo - surface.albedo) * alpha[..., None]
    surface.height += (relief - surface.height) * alpha
    surface.wetness += (np.float32(wetness) - surface.wetness) * alpha


def _add_body(rng: Generator, surface: Surface, shape: tuple[int, int], scene: str | None = None) -> None:
    h, w = shape
    skin = random_skin(rng, scene or ("organs" if rng.random() < 0.8 else "pale"))
    albedo, relief = skin_maps(rng, skin, shape)
    if rng.random() < 0.45:  # a loop, a cord, an appendix or a fold
        width = float(np.exp(rng.uniform(np.log(5), np.log(55))))
        free = np.full(shape, 255, np.uint8)
        start = rng.uniform(-0.1, 1.1, 2) * (w, h)
        points = walk(rng, start, rng.uniform(0, 2 * np.pi), 8, int(rng.integers(8, 60)), rng.uniform(0.02, 0.35))
        draw_line(free, points, 1, 0)
        radius = cv2.distanceTransform((free > 100).astype(np.uint8), cv2.DIST_L2, 3) / np.float32(width)
    else:
        width = float(np.exp(rng.uniform(np.log(18), np.log(150))))
        centre = rng.uniform(-0.1, 1.1, 2) * (w, h)
        angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 3)
        y, x = np.ogrid[:h, :w]
        dx, dy = (x - centre[0]).astype(np.float32), (y - centre[1]).astype(np.float32)
        along = (np.cos(angle) * dx + np.sin(angle) * dy) / np.float32(width * stretch)
        across = (np.cos(angle) * dy - np.sin(angle) * dx) / np.float32(width)
        radius = np.sqrt(along**2 + across**2)
    radius = np.minimum(radius, 50)
    radius += smooth(rng, shape, max(12.0, width)) * np.float32(rng.uniform(0.02, 0.16))
    dome = np.sqrt(np.clip(1 - radius**2, 0, 1)) * np.float32(width * rng.uniform(0.4, 1.0))
    soft = float(rng.uniform(0.03, 0.12)) if rng.random() < 0.75 else float(rng.uniform(0.2, 0.6))
    alpha = np.clip((1 - radius) / np.float32(soft), 0, 1)
    # Its neighbourhood lies in its shade.
    shade = np.clip(1.25 - radius, 0, 1) * 2 * float(rng.uniform(0, 0.6))
    surface.distance *= 1 + np.clip(shade, 0, 1) * (1 - alpha)
    _cover(surface, albedo, relief + dome, alpha, skin.wetness)
    # What hangs before a dark organ would be over-exposed if it were nearer too.
    nearer = np.float32(rng.uniform(0.6, 1.3) if scene is None else rng.uniform(1.0, 2.0))
    surface.distance += (nearer * (1.1 - 0.1 * np.clip(dome / max(width, 1), 0, 1)) - surface.distance) * alpha


def tube(rng: Generator, shape: tuple[int, int]) -> Surface:
    """The inside of a colon, trachea or ureter, with a dark lumen and rings of folds."""
    h, w = shape
    surface = _base(rng, shape, "tube")
    y, x = np.mgrid[:h, :w].astype(np.float32)
    cx, cy = w * rng.uniform(0.1, 0.9), h * rng.uniform(0.1, 0.9)
    bend = smooth(rng, shape, 120) * np.float32(rng.uniform(0, 0.2))
    radius = np.sqrt(((x - cx) / w) ** 2 + ((y - cy) / h * rng.uniform(0.6, 1.1)) ** 2) + 0.5 * np.abs(bend) + 0.01
    depth = np.float32(rng.uniform(0.18, 0.5)) / radius
    turns = float(rng.uniform(0.8, 3.0))
    angle = np.arctan2(y - np.float32(cy), x - np.float32(cx))
    shift = np.float32(rng.uniform(0, 0.5)) * np.sin(3 * angle + np.float32(rng.uniform(0, 6)))
    rings = np.sin(np.float32(2 * np.pi * turns) * np.log(depth + 0.05) + shift + bend * 6)
    sharp = np.clip(rings, -1, 1) * np.float32(rng.uniform(0, 9))
    surface.height = 0.4 * surface.height + sharp * np.clip(radius * 4, 0, 1)
    farther = np.float32(rng.uniform(0.2, 1.0)) * np.clip(depth - 0.5, 0, 6)
    surface.distance *= np.clip(np.float32(0.75) + farther, 0.5, 8)
    if rng.random() < 0.7:
        surface.distance *= 1 + np.clip(-rings, 0, 1) * np.float32(rng.uniform(0, 0.6))
    return surface


def sinus(rng: Generator, shape: tuple[int, int]) -> Surface:
    """Large smooth walls with dark gaps between them, some so near that they are over-exposed."""
    h, w = shape
    surface = _base(rng, shape, "sinus")
    surface.distance *= np.float32(rng.uniform(1.2, 4.0))
    y, x = np.ogrid[:h, :w]
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(2, 5))):
        skin = random_skin(rng, "sinus")
        albedo, relief = skin_maps(rng, skin, shape)
        # Walls that face each other leave a cleft, which may be as narrow, dark and straight as a shaft.
        facing = rng.random() < 0.5
        angle = angle + np.pi + rng.normal(0, 0.15) if facing else rng.uniform(0, 2 * np.pi)
        place = rng.uniform(0.01, 0.1) * w if facing else rng.uniform(-0.1, 0.3) * w
        line = (np.cos(angle) * (x - w / 2) + np.sin(angle) * (y - h / 2) - place).astype(np.float32)
        line += smooth(rng, shape, float(rng.uniform(60, 160))) * np.float32(rng.uniform(2, 22))
        bulge = float(rng.uniform(20, 120))
        inside = np.clip(line / np.float32(bulge), 0, 1)
        dome = np.sqrt(1 - (1 - inside) ** 2) * np.float32(bulge * rng.uniform(0.4, 1.0))
        alpha = np.clip(line / float(rng.uniform(1.5, 8)), 0, 1)
        _cover(surface, albedo, relief + dome, alpha, skin.wetness)
        # The wall comes nearer towards the border of the picture.
        near = np.float32(rng.uniform(0.5, 1.5)) / (1 + np.clip(line, 0, None) * np.float32(rng.uniform(0, 0.015)))
        surface.distance += (near - surface.distance) * alpha
    return surface
