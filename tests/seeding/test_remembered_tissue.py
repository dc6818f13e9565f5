"""Pixels that may be an instrument's are judged by what other frames show of the tissue there."""

import cv2
import numpy as np
import pytest

from endogs.clip.frame_source import Frame
from endogs.priors.motion.flow import ClipFlows
from endogs.seeding.continued_colors import continued_colors
from endogs.seeding.observations import Observations
from endogs.seeding.remembered_tissue import Memory, verdicts

HEIGHT, WIDTH, FRAMES = 96, 128, 9
METAL = (150, 160, 170)


def tissue(shift: float) -> np.ndarray:
    noise = cv2.GaussianBlur(
        np.random.default_rng(2).normal(size=(HEIGHT, WIDTH + 80, 3)).astype(np.float32), (0, 0), 3
    )
    wide = np.clip(np.array([170, 80, 70]) + 250 * noise, 20, 235).astype(np.uint8)
    return cv2.warpAffine(wide, np.float32([[1, 0, shift - 40], [0, 1, 0]]), (WIDTH, HEIGHT))


def columns(first: float, last: float, rows: int = HEIGHT) -> np.ndarray:
    x, y = np.arange(WIDTH), np.arange(HEIGHT)
    return ((x >= first) & (x < last))[None] & (y < rows)[:, None]


def bar(frame: int) -> tuple[int, int]:
    return 10 + 12 * frame, 22 + 12 * frame


def observed(speed: float, mask_margin: int, halo: int, missed: int = 0) -> Observations:
    """A bar passes over tissue that slides by `speed` pixels a frame; its mask lacks `mask_margin` pixels on each side,
    and the lowest `missed` rows with all that is around them."""
    frames = []
    for k in range(FRAMES):
        image, (first, last) = tissue(speed * k), bar(k)
        image[columns(first, last)] = METAL
        found = columns(first + mask_margin, last - mask_margin, HEIGHT - missed)
        around = columns(first - halo, last + halo, HEIGHT - missed) & ~found
        frames.append(Frame(k, k / 10, image, ~found & ~around, np.eye(3), np.eye(4), around))
    flows = ClipFlows(lambda k: frames[k].image, finest_scale=0)
    return Observations(frames, flows, lambda k: np.full((HEIGHT, WIDTH), 100, np.float32), False)


@pytest.mark.parametrize("speed", [0.0, 1.3])
def test_a_halo_is_divided_into_what_agrees_with_other_frames_and_what_does_not(speed):
    observations = observed(speed, mask_margin=3, halo=6)
    told = list(verdicts(observations, observations.masks))
    for k in (3, 4, 5):
        first, last = bar(k)
        rim = columns(first + 1, first + 3) | columns(last - 3, last - 1)
        beside = columns(first - 6, first - 2) | columns(last + 2, last + 6)
        assert told[k].other[rim].mean() > 0.85, "the metal that the mask lacks"
        assert told[k].tissue[beside].mean() > 0.9, "tissue that the halo holds"
        assert not (told[k].tissue & rim).any()
        assert told[k].other[beside].mean() < 0.02


def test_a_missed_end_that_hangs_together_with_its_instrument_is_none_of_the_tissue():
    observations = observed(0.0, mask_margin=0, halo=3, missed=5)
    told = list(verdicts(observations, observations.masks))[4]
    first, last = bar(4)
    missed = columns(first + 2, last - 2) & ~columns(0, WIDTH, HEIGHT - 5)
    assert told.other[missed].mean() > 0.8
    far = ~columns(first - 8, last + 8)
    assert told.tissue[far].all()


def test_what_only_one_side_contradicts_is_left_open():
    """An instrument that comes and stays: after it there is nothing to compare with."""
    observations = observed(0.0, mask_margin=3, halo=6)
    last = list(verdicts(observations, observations.masks))[-1]
    rim = columns(bar(FRAMES - 1)[0] + 1, bar(FRAMES - 1)[0] + 3)
    assert not last.other[rim].any()
    assert not last.tissue[rim].any()


def test_a_memory_moves_with_the_tissue_and_does_not_reach_into_what_was_never_seen():
    memory = Memory(HEIGHT, WIDTH)
    memory.see(np.full((HEIGHT, WIDTH, 3), (200, 90, 80), np.uint8), columns(20, 64))
    grid = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    grid[..., 0] = -0.4  # a frame later tissue is 0.4 pixels further right
    for _ in range(10):
        memory.carry_on(grid)
    known = np.flatnonzero(memory.known[HEIGHT // 2])
    assert abs(known[0] - 24) <= 1
    assert abs(known[-1] - 67) <= 1
    assert np.abs(memory.colors[memory.known].astype(int) - (200, 90, 80)).max() <= 8
    assert not memory.colors[~memory.known].any()


def test_colours_are_continued_from_the_tissue_alone():
    image = np.full((HEIGHT, WIDTH, 3), (180, 80, 70), np.uint8)
    image[:, 64:] = (120, 60, 60)
    shown = ~columns(30, 100)
    image[~shown] = (240, 240, 10)
    found = continued_colors(image, shown)
    assert found is not None
    assert (found[shown.nonzero()[0][0], 0] == (180, 80, 70)).all()
    behind = found[:, 34:96].astype(int)
    assert behind[..., 0].min() >= 119
    assert behind[..., 0].max() <= 181
    assert behind[..., 2].min() >= 59, "none of the yellow, whose blue is 10"
    assert continued_colors(image, np.zeros_like(shown)) is None
