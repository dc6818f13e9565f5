"""From linear light to the bytes of a video: exposure, colour, sharpness, the round view, noise and compression."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.composing import streak
from training.instruments.fields import Field, Generator, smooth


def exposed(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness and colours (h, w, 3), display values 0 to 1, as a camera's automatic would choose them."""
    sample = image[::4, ::4].mean(2)
    level = float(np.quantile(sample, 0.6))
    if rng.random() < 0.4:
        image = _veiled(image, float(rng.uniform(0.02, 0.25)), float(rng.uniform(0.1, 0.6)))
    image = image * np.float32(np.exp(rng.normal(np.log(0.2), 0.45)) / max(level, 0.01))
    gains = np.exp(rng.normal(0, 0.05, 3) + rng.normal(0, 0.1) * np.array([1, 0, -1])).astype(np.float32)
    image = image * gains
    if rng.random() < 0.5:  # a soft shoulder instead of clipping
        image = image / (1 + np.float32(rng.uniform(0, 0.5)) * image)
    image = np.sqrt(np.clip(image, 0, 1))
    if rng.random() < 0.5:
        image = np.clip(image, 1e-4, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))
    if rng.random() < 0.5:
        grey = image.mean(2, keepdims=True)
        image = grey + (image - grey) * np.float32(rng.uniform(0.85, 1.4))
    if rng.random() < 0.045:  # narrow-band light, or a grey picture
        image = _narrow_band(rng, image)
    lift = float(rng.uniform(0, 0.06)) if rng.random() < 0.4 else 0.0
    return np.clip(lift + (1 - lift) * image, 0, 1)


def _veiled(image: NDArray[np.float32], strength: float, width: float) -> NDArray[np.float32]:
    """Linear (h, w, 3) with the light that lens and damp air scatter: black tools get the colour of what is around.

    `strength` is the share that is scattered, `width` how far, as a part of the picture's width.
    """
    small = cv2.resize(np.minimum(image, 1.5), (image.shape[1] // 8, image.shape[0] // 8), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), width * small.shape[1])
    veil = cv2.resize(wide, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return image * np.float32(1 - strength) + np.float32(strength) * veil


def _narrow_band(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    if rng.random() < 0.3:
        return np.repeat(image.mean(2, keepdims=True), 3, 2)
    green, blue = image[..., 1], image[..., 2]
    gains = rng.uniform(0.8, 1.5, 3).astype(np.float32)
    return np.stack([gains[0] * green, gains[1] * blue, gains[2] * blue], -1)


def vignetted(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Darker towards the corners."""
    h, w = image.shape[:2]
    y, x = np.ogrid[:h, :w]
    r2 = ((x / w - 0.5) ** 2 + (y / h - 0.5) ** 2).astype(np.float32)
    return image * np.exp(-np.float32(rng.uniform(0, 3.5)) * r2)[..., None]


def blurred(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Out of focus or moved, or sharpened by the camera."""
    pick = rng.random()
    if pick < 0.2:
        return cv2.GaussianBlur(image, (0, 0), float(rng.choice([0.6, 1.0, 2.0]) * rng.uniform(0.6, 1.1)))
    if pick < 0.25:
        return np.asarray(cv2.filter2D(image, -1, streak(rng, int(rng.integers(3, 10)))), np.float32)
    if pick < 0.8:
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.7, 2.0)))
        return np.clip(image + np.float32(rng.uniform(0.3, 2.5)) * (image - soft), 0, 1)
    return image


def smoky(rng: Generator, image: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Display values behind smoke that lets through 1 - `strength`, on average."""
    h, w = image.shape[:2]
    density = np.clip(strength * (1 + 0.35 * smooth(rng, (h, w), float(rng.uniform(40, 140)))), 0, 0.97)[..., None]
    tint = np.float32(rng.uniform(0.35, 0.8)) * (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
    glow = tint * (1 + 0.15 * smooth(rng, (h, w), 90))[..., None]
    return np.clip(image * (1 - density) + glow * density, 0, 1)


def round_view(rng: Generator, shape: tuple[int, int]) -> Field:
    """A mask (h, w), 1 inside the field of view: a circle cut by the borders, an octagon, or a box with cut corners."""
    h, w = shape
    y, x = np.ogrid[:h, :w]
    if rng.random() < 0.75:
        radius = float(rng.uniform(0.36, 0.62)) * max(h, w)
        cx, cy = w / 2 + rng.normal(0, 0.04 * w), h / 2 + rng.normal(0, 0.04 * h)
        squeeze = float(rng.choice([1.0, 1.0, 0.75, 1.25]))
        away = np.sqrt(((x - cx) * squeeze) ** 2 + (y - cy) ** 2).astype(np.float32)
        mask = np.clip(radius - away, 0, 1)
        if rng.random() < 0.3:
            mask = mask * (np.abs(y - cy) < rng.uniform(0.6, 1) * radius)
        return mask.astype(np.float32)
    cut = float(rng.uniform(0.5, 0.8)) * (h + w) / 2
    corner = np.clip(cut - np.abs(x - w / 2) - np.abs(y - h / 2), 0, 1)
    return (corner * (np.abs(x - w / 2) < rng.uniform(0.36, 0.5) * w)).astype(np.float32)


def captioned(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Text, a patient's lines or a strip of the robot's screen, which are no instruments."""
    h, w = image.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        letters = "".join(chr(int(c)) for c in rng.integers(48, 123, int(rng.integers(2, 12))))
        at = (int(rng.uniform(0, 0.9) * w), int(rng.choice([0.06, 0.12, 0.95]) * h))
        color = tuple(int(v) for v in ((255, 255, 255), (255, 255, 60), (60, 255, 120))[rng.integers(0, 3)])
        cv2.putText(image, letters, at, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.25, 0.6)), color, 1, cv2.LINE_AA)
    return image


def recorded(rng: Generator, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 (h, w, 3) of display values: noise, interlace, and the blocks of a lossy code."""
    h, w = image.shape[:2]
    values = image * np.float32(255)
    if rng.random() < 0.7:
        noise = rng.standard_normal((h // 2, w, 3), np.float32) * np.float32(rng.uniform(0.5, 7))
        noise = np.concatenate([noise, noise[::-1, ::-1]])
        if rng.random() < 0.5:
            noise = cv2.blur(noise, (2, 2)) * np.float32(1.6)
        values[: len(noise)] += noise
    result = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.06:
        result[::2] = np.roll(result[::2], int(rng.integers(-6, 7)), 1)
    if rng.random() < 0.15:
        result = captioned(rng, result)
    pick = rng.random()
    if pick < 0.2:  # a clip that was smaller
        factor = float(rng.uniform(0.4, 0.9))
        small = cv2.resize(result, (max(8, int(w * factor)), max(8, int(h * factor))), interpolation=cv2.INTER_AREA)
        result = cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 97))]
        result = cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR)
    return result
