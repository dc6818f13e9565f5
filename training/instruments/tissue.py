"""Tissue: what it is coloured like, its small structure, and how a lamp beside the camera lights it.

Colours are linear; a palette's numbers are display values that are squared.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.fields import Field, Generator, fractal, lobules, slope, smooth, vessel_tree, wrinkles

PALETTE = {
    "muscle": (0.62, 0.22, 0.18),
    "mucosa": (0.84, 0.46, 0.40),
    "pale mucosa": (0.90, 0.66, 0.58),
    "bowel": (0.76, 0.50, 0.47),
    "bowel purple": (0.55, 0.34, 0.36),
    "stomach": (0.85, 0.60, 0.55),
    "fat": (0.88, 0.70, 0.34),
    "pale fat": (0.93, 0.83, 0.60),
    "orange fat": (0.84, 0.52, 0.22),
    "liver": (0.42, 0.17, 0.13),
    "dark liver": (0.27, 0.11, 0.12),
    "spleen": (0.36, 0.17, 0.22),
    "fascia": (0.88, 0.78, 0.72),
    "bone": (0.93, 0.86, 0.80),
    "gallbladder": (0.66, 0.62, 0.42),
    "pale gallbladder": (0.88, 0.78, 0.55),
    "uterus": (0.82, 0.50, 0.48),
    "brain": (0.90, 0.74, 0.66),
    "lung": (0.66, 0.42, 0.44),
    "mottled": (0.27, 0.18, 0.22),
    "kidney": (0.50, 0.26, 0.22),
    "bluish": (0.58, 0.46, 0.55),
    "translucent": (0.82, 0.73, 0.68),
    "cool fascia": (0.72, 0.64, 0.67),
    "tendon": (0.86, 0.82, 0.80),
}
RARE = ("gallbladder", "mottled", "bluish", "bone", "fascia", "brain", "translucent", "cool fascia", "tendon")
PALE = ("fascia", "cool fascia", "tendon", "translucent")
"""What is as grey as steel in places, and told from it by its shape and grain."""
SHEETS = ("mucosa", "bowel", "bowel purple", "fat", "orange fat", "fascia", "muscle", "pale mucosa", "uterus")
LIKELY = {
    "organs": tuple(name for name in PALETTE if name not in RARE) * 6 + RARE,
    "pale": ("gallbladder", "pale gallbladder", "pale gallbladder", "pale fat", "stomach", "pale mucosa", *PALE),
    "dark": ("liver", "liver", "dark liver", "dark liver", "spleen", "muscle"),
    "hanging": ("pale gallbladder", "gallbladder", "translucent", "translucent", "pale fat", "stomach", "bluish"),
    "sheet": (*SHEETS * 2, *PALE),
    "tube": ("mucosa", "pale mucosa", "stomach", "orange fat", "muscle", "bowel"),
    "sinus": ("mucosa", "pale mucosa", "bone", "fascia", "muscle", "stomach"),
}


PALEST, PALEST_OF_ALL = 0.24, 0.08
"""Tissue is rarely greyer than this saturation, (largest - smallest) / largest; steel and coatings are. `PALE` tissue
is rarely greyer than the second."""


@dataclass
class Skin:
    """What a surface is made of."""

    color: NDArray[np.float32]
    """(3,) linear."""
    kind: str
    """One of smooth, lobules, wrinkles, fibres, grain."""
    size: float
    """Pixels of its structure."""
    wetness: float
    """Strength of its highlights."""


def random_skin(rng: Generator, scene: str) -> Skin:
    """A skin that fits the scene."""
    name = str(rng.choice(LIKELY[scene]))
    shade = np.clip(np.array(PALETTE[name]) + rng.normal(0, 0.035, 3), 0.04, 0.97)
    largest, smallest = shade.max(), shade.min()
    palest = PALEST_OF_ALL if name in PALE else PALEST
    if largest - smallest < palest * largest and scene != "hanging" and rng.random() < 0.95:
        shade = largest - (largest - shade) * (palest * largest / max(largest - smallest, 0.01))
    if name.endswith("fat"):
        kind = str(rng.choice(["lobules", "lobules", "smooth", "fibres"]))
    elif scene == "organs" and name.startswith("bowel"):
        kind = str(rng.choice(["wrinkles", "grain", "smooth", "lobules"]))
    else:
        kind = str(rng.choice(["smooth", "smooth", "grain", "fibres", "lobules", "wrinkles"]))
    return Skin(
        (np.clip(shade, 0.03, 0.97) ** 2).astype(np.float32),
        kind,
        float(np.exp(rng.uniform(np.log(5), np.log(26)))),
        float(rng.choice([0.0, 0.3, 0.8, 1.3]) * rng.uniform(0.4, 1.2)),
    )


def skin_maps(rng: Generator, skin: Skin, shape: tuple[int, int]) -> tuple[NDArray[np.float32], Field]:
    """Albedo (h, w, 3) and relief (h, w), pixels, of a skin that covers the whole picture."""
    mottle = fractal(rng, shape, float(rng.uniform(12, 70)), 3, 0.6)
    amount = float(rng.uniform(0.03, 0.2))
    if skin.kind == "lobules":
        relief = lobules(rng, shape, skin.size)
        mottle += 0.8 * (relief - 0.5)
        relief = relief * np.float32(0.12 * skin.size * rng.uniform(0.3, 1.2))
    elif skin.kind == "wrinkles":
        relief = wrinkles(rng, shape, skin.size, float(rng.uniform(0.3, 1.2)))
        mottle += float(rng.uniform(0, 0.8)) * relief
        relief = relief * np.float32(0.05 * skin.size * rng.uniform(0.2, 1.0))
    elif skin.kind == "fibres":
        h, w = shape
        noise = smooth(rng, (h, max(8, w // 8)), 2.5)
        noise = cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
        turn = cv2.getRotationMatrix2D((w / 2, h / 2), float(rng.uniform(0, 180)), 1.3)
        noise = cv2.warpAffine(noise, turn, (w, h), borderMode=cv2.BORDER_REFLECT)
        mottle += float(rng.uniform(0.2, 1.2)) * noise
        relief = noise * np.float32(rng.uniform(0.05, 0.35))
    elif skin.kind == "grain":
        relief = fractal(rng, shape, float(rng.uniform(1.6, 7)), 2)
        mottle += float(rng.uniform(0.1, 0.6)) * relief
        relief = relief * np.float32(rng.uniform(0.1, 0.5))
    else:
        relief = fractal(rng, shape, skin.size, 2) * np.float32(0.03 * skin.size)
    # Where blood is nearer the surface green and blue lose more than red.
    reach = np.array([0.5, 1.0, 1.0], np.float32) * np.float32(amount)
    albedo = skin.color * np.exp(mottle[..., None] * reach)
    if rng.random() < 0.3:
        other = random_skin(rng, "organs").color
        spots = np.clip(fractal(rng, shape, float(rng.uniform(6, 80)), 3) - float(rng.uniform(0.3, 1.3)), 0, 1)
        albedo += (other - skin.color) * (spots * float(rng.uniform(0.2, 0.9)))[..., None]
    if rng.random() < 0.65:
        vessels = vessel_tree(rng, shape, float(rng.uniform(0.7, 3.2)), int(rng.integers(1, 7)))
        dark = np.array([[0.75, 0.25, 0.25], [0.5, 0.2, 0.3], [0.35, 0.25, 0.4]], np.float32)[rng.integers(0, 3)]
        albedo *= 1 - (vessels * float(rng.uniform(0.3, 0.95)))[..., None] * (1 - dark)
    if rng.random() < 0.35:
        fine = vessel_tree(rng, shape, 0.8, int(rng.integers(8, 22)))
        albedo *= 1 - (fine * float(rng.uniform(0.3, 0.8)))[..., None] * np.array([0.3, 0.8, 0.7], np.float32)
    return np.clip(albedo, 0, 1), relief


@dataclass
class Surface:
    """A picture's tissue before the lamp is switched on."""

    albedo: NDArray[np.float32]
    """(h, w, 3) linear."""
    height: Field
    """(h, w) pixels towards the camera, for the slope."""
    distance: Field
    """(h, w) from the lamp, 1 = middle."""
    wetness: Field
    """(h, w) strength of highlights."""


def lit(rng: Generator, surface: Surface) -> NDArray[np.float32]:
    """The surface (h, w, 3), linear, under a lamp near the camera, with highlights where it mirrors the lamp."""
    h, w = surface.height.shape
    steep_x, steep_y = slope(surface.height)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    focal = np.float32(w * rng.uniform(0.6, 1.3))
    lamp = rng.normal(0, 0.12, 2)
    lx = (np.float32(w * (0.5 + lamp[0])) - x) / focal
    ly = (np.float32(h * (0.5 + lamp[1])) - y) / focal
    # With n = (-hx, -hy, 1) / |n| and the lamp towards (lx, ly, 1).
    length = np.sqrt(1 + steep_x**2 + steep_y**2)
    facing = (1 - steep_x * lx - steep_y * ly) / (length * np.sqrt(1 + lx * lx + ly * ly))
    soft = float(rng.uniform(0.0, 0.35))
    shade = soft + (1 - soft) * np.clip(facing, 0, 1)
    light = shade / (surface.distance**2 * (1 + float(rng.uniform(0, 1.2)) * (lx * lx + ly * ly)))
    image = surface.albedo * light[..., None]
    if surface.wetness.max() > 0:
        bumps = fractal(rng, (h, w), float(rng.uniform(1.8, 14)), 2) * np.float32(rng.uniform(0.05, 0.5))
        if rng.random() < 0.3:  # highlights drawn out along fibres
            reach = int(rng.integers(3, 12))
            bumps = np.float32(2) * cv2.blur(bumps, (reach, 1) if rng.random() < 0.5 else (1, reach))
        bx, by = slope(bumps)
        gx, gy = steep_x + bx + lx * 0.5, steep_y + by + ly * 0.5
        tight = np.float32(rng.uniform(0.01, 0.08) ** 0.5)
        glint = np.exp(-(gx * gx + gy * gy) / (tight * tight)) * surface.wetness / surface.distance
        if rng.random() < 0.7:
            glint *= np.clip(smooth(rng, (h, w), float(rng.uniform(15, 60))) + 0.2, 0, 1.5)
        # From a dull sheen to saturated white or bluish patches with hard rims.
        strength = np.float32(np.exp(rng.uniform(np.log(0.1), np.log(6.0))))
        if strength > 0.8:  # strong ones lie in patches: a picture full of them is rare
            glint *= np.clip(smooth(rng, (h, w), float(rng.uniform(15, 60))) - float(rng.uniform(0.3, 1.4)), 0, 1)
        image += (strength * glint)[..., None] * np.array([1, 1, rng.uniform(1, 1.25)], np.float32)
    return image
