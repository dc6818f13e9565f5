"""A tiny clip for the tests of instruments: red tissue, and a grey shaft that comes in from the left."""

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 160, 120


def tissue(seed: int = 1, color: tuple[int, int, int] = (165, 90, 80)) -> np.ndarray:
    """Smooth noise (HEIGHT, WIDTH, 3) uint8 RGB around a colour."""
    generator = np.random.default_rng(seed)
    light = cv2.GaussianBlur(generator.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), 3)
    grain = generator.normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    return np.clip(np.array(color) * (1 + 1.2 * light[..., None]) + 2 * grain, 5, 235).astype(np.uint8)


def shaft(length: float) -> np.ndarray:
    """bool (HEIGHT, WIDTH): a slanted bar, 18 pixels thick, from the left border to x = `length`."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(mask, (-20, 70), (round(length), 50), 1, 18)
    return mask.astype(bool)


def tool_frame(length: float | None, color: tuple[int, int, int] = (120, 124, 130)) -> np.ndarray:
    """Tissue with highlights, and the shaft unless `length` is None."""
    image = tissue()
    for x, y in ((120, 30), (135, 80), (100, 100)):
        cv2.circle(image, (x, y), 3, (250, 250, 250), -1)
    if length is not None:
        image[shaft(length)] = color
    return cv2.GaussianBlur(image, (0, 0), 0.7)


def write_tool_clip(folder: Path, frames: int = 6, instrument: bool = True) -> Path:
    """PNG files of the shaft moving in by 4 pixels a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(frames):
        image = tool_frame(60 + 4 * i if instrument else None)
        cv2.imwrite(str(folder / f"{i:03d}.png"), image[..., ::-1])
    return folder


def write_images(folder: Path, images: list[np.ndarray]) -> Path:
    """PNG files of RGB images (H, W, 3), in their order, in a new folder."""
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i:03d}.png"), image[..., ::-1])
    return folder


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))
