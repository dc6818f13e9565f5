"""Batches from a bank: random crops, flips and quarter turns, tools cut out of one sample and laid into another."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.priors.instruments.usual_colors import usual_colors
from training.instruments.fields import Generator
from training.instruments.samples import UNKNOWN

CROP = (176, 224)
"""Rows and columns of a training picture: multiples of the network's stride."""
ZOOM = (0.55, 1.0)
"""Share of a sample's side that a crop shows before it is resized, relative to the largest that fits."""


REOPEN = 200
"""Batches between two looks for new shards."""


@dataclass(frozen=True)
class Batch:
    """What one step sees."""

    images: Tensor
    """(N, 3, h, w) as `usual_colors` gives them."""
    masks: Tensor
    """(N, h, w) 1 = instrument."""
    known: Tensor
    """(N, h, w) 1 = counts."""
    states: Tensor
    """(N,) indices."""

    def to(self, device: str) -> "Batch":
        """The batch on a device."""
        return Batch(*(part.to(device) for part in (self.images, self.masks, self.known, self.states)))


class Batches:
    """An endless series of batches, drawn with replacement from all shards of a bank."""

    def __init__(self, bank: Path, size: int, seed: int) -> None:
        self._bank, self._size = bank, size
        self._rng = np.random.default_rng(seed)
        self._shards: list[tuple[NDArray, NDArray, NDArray]] = []
        self._drawn = 0

    def _open(self) -> None:
        places = sorted(place for place in self._bank.glob("shard-*") if place.suffix != ".unfinished")
        if not places:
            raise SystemExit(f"{self._bank}: no shards; run make_bank.py first")
        names = ("images", "masks", "states")
        self._shards = [tuple(np.load(p / f"{n}.npy", mmap_mode="r") for n in names) for p in places]  # type: ignore[misc]

    def _sample(self) -> tuple[NDArray, NDArray, int]:
        images, masks, states = self._shards[int(self._rng.integers(0, len(self._shards)))]
        k = int(self._rng.integers(0, len(images)))
        return np.array(images[k]), np.array(masks[k]), int(states[k])

    def next(self) -> Batch:
        """The next batch. Shards that were added to the bank meanwhile are seen after a while."""
        if self._drawn % REOPEN == 0:
            self._open()
        self._drawn += 1
        images, masks, states = [], [], []
        for _ in range(self._size):
            image, mask, state = self._sample()
            if state == 0 and self._rng.random() < 0.25:
                self._lay_in(image, mask)
            image, mask = cropped(self._rng, image, mask)
            images.append(usual_colors(recolored(self._rng, image)))
            masks.append(mask)
            states.append(state)
        pixels = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2))
        values = torch.from_numpy(np.stack(masks))
        return Batch(pixels, (values == 1).float(), (values != UNKNOWN).float(), torch.tensor(states))

    def _lay_in(self, image: NDArray, mask: NDArray) -> None:
        """Lays the tools of another sample over this one: copy and paste (Ghiasi et al., CVPR 2021)."""
        other, tools, state = self._sample()
        if state != 0:
            return
        # Where the other sample's border is black its view ends, and so does the tool.
        alpha = cv2.GaussianBlur((tools == 1).astype(np.float32), (0, 0), 0.7)[..., None]
        image[:] = np.clip(image + (other.astype(np.float32) - image) * alpha + 0.5, 0, 255)
        mask[tools == 1] = 1
        mask[tools == UNKNOWN] = UNKNOWN


def cropped(rng: Generator, image: NDArray, mask: NDArray) -> tuple[NDArray, NDArray]:
    """A random part of a sample, mirrored and perhaps on its side, resized to `CROP`."""
    h, w = mask.shape
    on_side = rng.random() < 0.25
    rows, columns = CROP if not on_side else CROP[::-1]
    share = float(rng.uniform(*ZOOM)) * min(h / rows, w / columns)
    tall, wide = int(rows * share), int(columns * share * min(1.0, float(rng.uniform(0.9, 1.1))))
    y, x = int(rng.integers(0, h - tall + 1)), int(rng.integers(0, w - wide + 1))
    image, mask = image[y : y + tall, x : x + wide], mask[y : y + tall, x : x + wide]
    image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST)
    if on_side:
        image, mask = image.transpose(1, 0, 2), mask.T
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.5:
        image, mask = image[::-1], mask[::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def recolored(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another brightness, contrast and colour balance, by a table for each channel."""
    if rng.random() < 0.3:
        return image
    levels = np.arange(256, dtype=np.float32) / 255
    power, gain = np.exp(rng.normal(0, 0.18)), np.exp(rng.normal(0, 0.12))
    gains = gain * np.exp(rng.normal(0, 0.06, 3))
    table = np.clip(255 * gains[:, None] * levels**power + 0.5, 0, 255).astype(np.uint8)
    return np.stack([cv2.LUT(np.ascontiguousarray(image[..., k]), table[k]) for k in range(3)], -1)
