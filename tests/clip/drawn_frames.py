"""Pictures of a drawn tissue and of a mask, with enough shades to be told from labels."""

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 48, 40


def tissue(index: int, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3) RGB: red noise that drifts with `index`, another one for another `seed`."""
    noise = np.random.default_rng(seed).integers(60, 220, (12, 14)).astype(np.float32)
    large = cv2.resize(noise, (width + 40, height), interpolation=cv2.INTER_CUBIC)[:, 2 * index : 2 * index + width]
    return np.clip(np.stack([large, large * 0.45 + 20, large * 0.35 + 30], -1), 0, 255).astype(np.uint8)


def mask(index: int, value: int = 255) -> np.ndarray:
    """uint8 (H, W): a block of `value` on 0."""
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[10:22, 5 + index : 20 + index] = value
    return found


def save(path: Path, image: np.ndarray) -> Path:
    """Write gray, or RGB(A) in OpenCV's order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3:
        image = np.concatenate([image[..., 2::-1], image[..., 3:]], 2)
    assert cv2.imwrite(str(path), image)
    return path


def series(folder: Path, name: str, images: list[np.ndarray]) -> Path:
    """Write `images` under `name` with their numbers in place of {}."""
    for index, image in enumerate(images):
        save(folder / name.format(index), image)
    return folder
