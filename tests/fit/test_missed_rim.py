"""How much too narrow found masks are is measured where other frames know what is there, and holds elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from endogs.camera import Camera
from endogs.clip.frame_source import Frame
from endogs.fit.beside_instruments import weighed
from endogs.fit.missed_rim import CONTRADICTED, FEWEST, missed_rim, rings_around
from endogs.fit.view import View
from endogs.priors.motion.flow import ClipFlows
from endogs.seeding.observations import Observations
from endogs.seeding.remembered_tissue import Verdict

HEIGHT, WIDTH, FRAMES, RIM = 120, 400, 5, 4
TISSUE, METAL = (180, 80, 70), (120, 130, 140)
STILL = 300
"""First column of the bar that rests."""


def columns(first: int, last: int) -> np.ndarray:
    x = np.arange(WIDTH)
    return np.repeat(((x >= first) & (x < last))[None], HEIGHT, 0)


def bars(k: int) -> list[int]:
    """First columns of two bars of 20 columns at frame k: one moves, the other rests."""
    return [60 + 30 * k, STILL]


def fitted_views(narrow: int, scale: int) -> list[View]:
    """Weights of a clip whose masks lack `narrow` columns on each side of both bars, with halos of 4 around them.

    All of that is enlarged by `scale`.
    """
    frames, views = [], []
    camera = Camera.from_numpy(np.eye(3), np.eye(4), WIDTH * scale, HEIGHT * scale)
    for k in range(FRAMES):
        image, found, around = np.full((HEIGHT, WIDTH, 3), TISSUE, np.uint8), *np.zeros((2, HEIGHT, WIDTH), bool)
        for first in bars(k):
            image[columns(first, first + 20)] = METAL
            found |= columns(first + narrow, first + 20 - narrow)
            around |= columns(first + narrow - RIM, first + 20 - narrow + RIM)
        image, found, around = (x.repeat(scale, 0).repeat(scale, 1) for x in (image, found, around))
        frame = Frame(k, k / 10, image, ~around, np.eye(3), np.eye(4), around & ~found)
        frames.append(frame)
        weight = torch.from_numpy(np.where(around & ~found, 51, np.where(found, 0, 255)).astype(np.uint8))
        view = View(frame.time, camera, torch.from_numpy(image), weight, k)
        views.append(replace(view, occluded=torch.from_numpy(found.view(np.uint8))))
    flows = ClipFlows(lambda k: frames[k].image, finest_scale=0)
    observations = Observations(frames, flows, lambda k: np.full(image.shape[:2], 100, np.float32), False)
    return weighed(views, observations, observations.masks)


@pytest.mark.parametrize(("narrow", "scale"), [(0, 1), (2, 1), (3, 1), (0, 2), (3, 2)])
def test_what_is_missed_of_a_moving_bar_is_not_learned_of_a_resting_one(narrow, scale):
    for view in fitted_views(narrow, scale):
        weight = view.weight.numpy()[::scale, ::scale]
        assert (weight[:, STILL : STILL + 20] == 0).all(), "metal, though no frame shows what it hides"
        assert (weight[:, STILL + narrow - RIM : STILL] == 51).all(), "tissue of the halo"
        assert (weight[:, STILL + 20 : STILL + 20 - narrow + RIM] == 51).all()


def verdict(rings: np.ndarray, other: dict[int, float]) -> Verdict:
    """All pixels of the rings decided, a share of each as something else than tissue."""
    order = np.arange(rings.shape[1]) / rings.shape[1]
    decided = np.zeros(rings.shape, bool)
    for ring, share in other.items():
        decided |= (rings == ring) & (order < share)[None]
    return Verdict((rings > 0) & ~decided, decided)


def ringed() -> np.ndarray:
    """Four rings of 1000 pixels each, as rows."""
    return np.repeat(np.arange(1, 5, dtype=np.uint8)[:, None], 1000, 1)


@pytest.mark.parametrize(
    ("shares", "rim"),
    [({}, 0), ({1: 0.06}, 0), ({1: 0.3, 2: 0.1}, 2), ({1: 0.3, 3: 0.3}, 1), ({2: 0.5}, 0)],
)
def test_rings_count_from_the_outline_up_to_the_first_that_is_tissue(shares, rim):
    assert missed_rim([(ringed(), verdict(ringed(), shares))]) == rim


def test_a_few_pixels_say_nothing():
    few = ringed()[:, : FEWEST - 1]
    told = few, verdict(few, {1: 1.0})
    assert missed_rim([told]) == 0
    assert missed_rim([told, told]) == 1, "all frames count together"
    assert missed_rim([]) == 0
    assert 0 < CONTRADICTED < 0.5


def test_rings_end_with_the_rim_of_the_halo():
    instrument = columns(100, 120)
    rings = rings_around(instrument, columns(90, 140) & ~instrument)
    assert rings[0, 90:103].tolist() == [0, 0, 0, 0, 0, 5, 4, 3, 2, 1, 0, 0, 0]
    assert rings[0, 118:127].tolist() == [0, 0, 1, 2, 3, 4, 5, 0, 0]
    assert not rings_around(np.zeros_like(instrument), instrument).any()
