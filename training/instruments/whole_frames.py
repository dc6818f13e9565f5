"""Frames that show no tissue clearly: out of the body, black, behind smoke, through a smeared or wiped lens."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.fields import Generator, blob, fractal, smooth
from training.instruments.sensor import smoky


def outside(rng: Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Display values (h, w, 3) of a place outside the body: drapes, walls, screens, gloves, the inside of a trocar."""
    h, w = shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    colors = (
        (0.20, 0.45, 0.50), (0.15, 0.35, 0.60), (0.25, 0.50, 0.35), (0.85, 0.86, 0.85), (0.60, 0.62, 0.64),
        (0.30, 0.30, 0.32), (0.12, 0.13, 0.15), (0.75, 0.85, 0.90), (0.90, 0.88, 0.80), (0.80, 0.62, 0.52),
    )  # fmt: skip

    def color() -> NDArray[np.float32]:
        chosen = np.array(colors[int(rng.integers(0, len(colors)))], np.float32)
        return np.clip(chosen + rng.normal(0, 0.05, 3), 0, 1).astype(np.float32)

    image = np.empty((h, w, 3), np.float32)
    image[:] = color()
    if rng.random() < 0.25:  # inside a trocar: rings of metal or plastic around a hole
        cx, cy = rng.uniform(0.3, 0.7, 2) * (w, h)
        radius = np.hypot(x - np.float32(cx), y - np.float32(cy)) / np.float32(rng.uniform(0.15, 0.5) * w)
        rings = 0.6 + 0.4 * np.sin(radius * np.float32(rng.uniform(4, 30)))
        image *= (rings * np.clip(radius / 1.5, 0.1, 1.2))[..., None]
        if rng.random() < 0.7:
            hole = np.clip((1 - radius) * 10, 0, 1)[..., None]
            inner = np.array([0.7, 0.35, 0.3], np.float32) * np.float32(rng.uniform(0.05, 1.2))
            image += (inner * (1 + 0.2 * smooth(rng, shape, 20))[..., None] - image) * hole
    else:
        for _ in range(int(rng.integers(1, 9))):
            cx, cy = float(rng.uniform(0, w)), float(rng.uniform(0, h))
            wide, tall = map(float, np.exp(rng.uniform(np.log(15), np.log(140), 2)))
            turn = float(rng.uniform(0, 180))
            mask = np.zeros(shape, np.uint8)
            if rng.random() < 0.7:
                box = cv2.boxPoints(((cx, cy), (wide, tall), turn))
                cv2.fillPoly(mask, [box.astype(np.int32)], 255, cv2.LINE_AA)
            else:
                cv2.ellipse(mask, ((cx, cy), (wide, tall), turn), 255, -1, cv2.LINE_AA)
            image += (color() - image) * (mask.astype(np.float32) / 255)[..., None]
        folds = fractal(rng, shape, float(rng.uniform(15, 80)), 3)
        image *= (1 + float(rng.uniform(0.05, 0.35)) * folds)[..., None]
    image *= np.float32(rng.uniform(0.4, 1.3))
    image *= np.exp(0.4 * smooth(rng, shape, 150))[..., None]
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1, 9)))
    return np.clip(image, 0, 1)


def black(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Display values of a lamp that is off, or so weak that nothing can be told."""
    weak = float(rng.choice([0.0, 0.02, 0.06]))
    return image * np.float32(weak) + np.float32(rng.uniform(0, 0.05))


def dense_smoke(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Display values behind so much smoke that little is seen."""
    return smoky(rng, image, float(rng.uniform(0.6, 0.95)))


def smeared(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Display values through fat, blood, water or a cloth on the lens."""
    h, w = image.shape[:2]
    pick = rng.random()
    soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(5, 16)))
    if pick < 0.4:  # a film of fat or water
        cover = blob(rng, (h, w), float(rng.uniform(0.55, 0.98)), float(rng.uniform(40, 120)), 0.5)[..., None]
        return image + (soft * np.float32(rng.uniform(0.8, 1.2)) - image) * cover
    if pick < 0.65:  # drops that bend the light
        bend = smooth(rng, (h, w), float(rng.uniform(15, 45))) * np.float32(rng.uniform(15, 50))
        y, x = np.mgrid[:h, :w].astype(np.float32)
        bent = cv2.remap(soft * 0.5 + image * 0.5, x + bend, y - bend, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return cv2.GaussianBlur(bent, (0, 0), float(rng.uniform(1, 4)))
    if pick < 0.85:  # blood
        cover = blob(rng, (h, w), float(rng.uniform(0.5, 0.95)), float(rng.uniform(40, 110)), 0.6)[..., None]
        red = np.array([0.55, 0.05, 0.03], np.float32) * np.float32(rng.uniform(0.3, 1.3))
        return np.clip(soft * (1 - 0.9 * cover) + red * 0.9 * cover, 0, 1)
    cloth = np.array([0.85, 0.85, 0.83], np.float32) * (1 + 0.15 * fractal(rng, (h, w), 40, 3))[..., None]
    cloth = cv2.GaussianBlur(cloth, (0, 0), float(rng.uniform(2, 10)))
    return np.clip(soft * 0.1 + cloth * np.float32(rng.uniform(0.4, 1.0)), 0, 1)
