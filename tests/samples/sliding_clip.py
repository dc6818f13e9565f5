"""A tiny clip for the tests: textured tissue that slides to the right, with a still instrument over one corner."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.frame_source import Frame

WIDTH, HEIGHT, SPEED = 48, 40, 0.75
"""Size in pixels, and pixels per frame."""


def texture(seed: int = 3) -> np.ndarray:
    """Smooth reddish noise (HEIGHT, WIDTH + 40, 3) uint8 RGB."""
    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH + 40, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.6)
    return np.clip(np.array([170, 90, 80]) + 130 * noise, 20, 235).astype(np.uint8)


def write_sliding_clip(folder: Path, frames: int = 10) -> Path:
    """An EndoNeRF-style folder without poses: frame i shows the texture moved right by SPEED * i pixels."""
    (folder / "images").mkdir(parents=True)
    image = texture()
    for i in range(frames):
        move = np.float32([[1, 0, SPEED * i - 20], [0, 1, 0]])
        frame = cv2.warpAffine(image, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        cv2.imwrite(str(folder / "images" / f"{i:03d}.png"), frame[..., ::-1])
    return folder / "images"


def masked_frames(clip: Clip, numbers: Sequence[int], masks: Sequence[np.ndarray]) -> list[Frame]:
    """Frames of a clip with other tissue masks."""
    return [replace(clip.frame(i), tissue_mask=mask) for i, mask in zip(numbers, masks, strict=True)]


class InstrumentOnTheLeft:
    """Masks (HEIGHT, WIDTH) for `Clip.with_masks`: a still instrument over the first fourteen columns."""

    def read(self, index: int) -> np.ndarray:
        """Where frame `index` shows tissue."""
        return np.repeat((np.arange(WIDTH) >= 14)[None], HEIGHT, 0)

    def doubtful(self, index: int) -> np.ndarray:
        """Nowhere is it in doubt."""
        return np.zeros((HEIGHT, WIDTH), bool)


def sliding_clip(folder: Path, frames: int = 10) -> Clip:
    """The clip, read; its last four rows are ignored."""
    return load_clip(write_sliding_clip(folder, frames), ClipOptions(focal=50.0, fps=10.0, ignore_rows=("36:40",)))
