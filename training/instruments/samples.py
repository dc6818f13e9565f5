"""One training sample by its number: a picture, its mask, and what the frame shows. Same number, same bytes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.instruments.composing import with_tools
from training.instruments.places import tissue_picture
from training.instruments.sensor import blurred, exposed, recorded, round_view, smoky, vignetted
from training.instruments.whole_frames import black, dense_smoke, outside, smeared

SHAPE = (256, 320)
"""Rows and columns of every sample."""
STATE_SHARES = (0.86, 0.045, 0.02, 0.035, 0.04)
"""How often the frame is tissue, outside, black, smoke, smeared: the order of `network_layers.STATES`."""
WITHOUT_TOOLS = 0.2
UNKNOWN = 255
"""The mask's value where nothing may be learned."""
SHARED = 2
"""This many samples are drawn over one tissue, each seen from elsewhere, because tissue takes longest to draw."""


@dataclass(frozen=True)
class Sample:
    """What the network is shown and what it should say."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB."""
    mask: NDArray[np.uint8]
    """(h, w) 1 = instrument, 0 = not, `UNKNOWN` = either."""
    state: int
    """Index into `network_layers.STATES`."""


def tissue_of(number: int, seed: int) -> NDArray[np.float32]:
    """The tissue (h, w, 3), linear, under the samples of one group."""
    rng = np.random.default_rng([seed, 1, number // SHARED])
    return tissue_picture(rng, SHAPE)


def make_sample(number: int, seed: int, tissue: NDArray[np.float32] | None = None) -> Sample:
    """Sample `number` of the endless series `seed`; `tissue` may be given where `tissue_of` is known already."""
    rng = np.random.default_rng([seed, 2, number])
    image = _seen_from_elsewhere(rng, tissue_of(number, seed) if tissue is None else tissue)
    state = int(rng.choice(len(STATE_SHARES), p=STATE_SHARES))
    cover = np.zeros(SHAPE, np.float32)
    if rng.random() > WITHOUT_TOOLS:
        composed = with_tools(rng, image)
        image, cover = composed.image, composed.cover
    mask = np.where(cover > 0.5, 1, 0).astype(np.uint8)
    mask[(cover > 0.3) & (cover < 0.6)] = UNKNOWN
    display = exposed(rng, vignetted(rng, image))
    if state == 0 and rng.random() < 0.12:
        display = smoky(rng, display, float(rng.uniform(0.05, 0.4)))
    if state == 1:
        display = outside(rng, SHAPE)
        mask[:] = UNKNOWN
    elif state == 2:
        display = black(rng, display)
        mask[:] = 0
    elif state == 3:
        display = dense_smoke(rng, display)
        mask[mask == 1] = UNKNOWN  # nobody could tell
    elif state == 4:
        display = smeared(rng, display)
        mask[:] = UNKNOWN
    if rng.random() < 0.28:
        view = round_view(rng, SHAPE)
        display = display * view[..., None] + float(rng.uniform(0, 0.03)) * (1 - view[..., None])
        mask[view < 0.5] = 0
    return Sample(recorded(rng, blurred(rng, display)), mask, state)


def _seen_from_elsewhere(rng: np.random.Generator, tissue: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mirrored, turned a little and enlarged."""
    h, w = tissue.shape[:2]
    zoom, turn = float(rng.uniform(1.0, 1.5)), float(rng.uniform(-20, 20))
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), turn, zoom)
    matrix[:, 2] += rng.uniform(-0.15, 0.15, 2) * (zoom - 1) * (w, h)
    if rng.random() < 0.5:
        tissue = tissue[:, ::-1]
    if rng.random() < 0.5:
        tissue = tissue[::-1]
    return cv2.warpAffine(np.ascontiguousarray(tissue), matrix, (w, h), borderMode=cv2.BORDER_REFLECT)
