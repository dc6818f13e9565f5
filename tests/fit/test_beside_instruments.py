"""What all frames together say of pixels beside and behind instruments changes the weights and colours of a fit."""

from dataclasses import replace

import numpy as np
import torch

from endogs.camera import Camera
from endogs.clip.frame_source import Frame
from endogs.fit.beside_instruments import tinted, weighed
from endogs.fit.view import View
from endogs.priors.motion.flow import ClipFlows
from endogs.seeding.observations import Observations

HEIGHT, WIDTH, FRAMES = 64, 96, 5
TISSUE, METAL = (180, 80, 70), (120, 130, 140)


def columns(first: int, last: int) -> np.ndarray:
    x = np.arange(WIDTH)
    return np.repeat(((x >= first) & (x < last))[None], HEIGHT, 0)


def observed(step: int) -> Observations:
    """A bar of 16 columns that moves by `step` a frame; masks lack 3 columns on each side, halos reach 4 beyond."""
    frames = []
    for k in range(FRAMES):
        first = 20 + step * k
        image = np.full((HEIGHT, WIDTH, 3), TISSUE, np.uint8)
        image[columns(first, first + 16)] = METAL
        found = columns(first + 3, first + 13)
        around = columns(first - 4, first + 20) & ~found
        frames.append(Frame(k, k / 10, image, ~found & ~around, np.eye(3), np.eye(4), around))
    flows = ClipFlows(lambda k: frames[k].image, finest_scale=0)
    return Observations(frames, flows, lambda k: np.full((HEIGHT, WIDTH), 100, np.float32), False)


def views_of(observations: Observations) -> list[View]:
    camera = Camera.from_numpy(np.eye(3), np.eye(4), WIDTH, HEIGHT)
    return [
        View(
            frame.time,
            camera,
            torch.from_numpy(frame.image),
            torch.from_numpy(np.where(frame.tissue_mask, 255, np.where(frame.doubtful, 51, 0)).astype(np.uint8)),
            k,
        )
        for k, frame in enumerate(observations.frames)
    ]


def test_a_halo_counts_fully_where_it_is_tissue_and_not_at_all_where_it_is_metal():
    observations = observed(20 // 2 + 4)
    before = views_of(observations)
    after = weighed(before, observations, observations.masks)[2].weight.numpy()
    first = 20 + 2 * 14
    assert (after[:, first - 4 : first - 2] == 255).all()
    assert (after[:, first + 1 : first + 3] == 0).mean() > 0.9
    assert (after[:, first + 3 : first + 13] == 0).all(), "the instrument itself"
    assert (after[:, :20] == 255).all()


def test_masks_that_leave_nothing_open_change_no_weight():
    observations = observed(14)
    for k, frame in enumerate(observations.frames):
        bar = columns(20 + 14 * k, 36 + 14 * k)
        observations.correct(k, replace(frame, tissue_mask=~bar, doubtful=None))
        observations.masks[k] = ~bar
    before = views_of(observed(14))
    before = [
        replace(v, weight=torch.from_numpy(m.astype(np.uint8) * 255))
        for v, m in zip(before, observations.masks, strict=True)
    ]
    for old, new in zip(before, weighed(before, observations, observations.masks), strict=True):
        assert torch.equal(old.weight, new.weight)


def test_what_no_frame_shows_is_asked_for_colours_of_tissue():
    observations = observed(0)
    hidden = columns(25, 31)
    view = tinted(views_of(observations), observations, hidden, 0.05)[1]
    assert (view.weight.numpy()[hidden] == 13).all()
    assert np.abs(view.image.numpy()[hidden].astype(int) - TISSUE).max() <= 1, "no metal"
    assert (view.image.numpy()[~hidden] == observations.frames[1].image[~hidden]).all()
    assert (observations.frames[1].image[hidden] == METAL).all(), "the frame itself is shared and stays"
