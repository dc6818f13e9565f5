"""White glare that hangs together with an instrument is not taken for a part of it."""

import numpy as np

from endogs.priors.instruments.glare_beside import glare_beside

HEIGHT, WIDTH = 128, 160


def box(x0: int, x1: int, y0: int, y1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


SHAFT = box(60, 80, 0, 90)
GLARE = box(80, 96, 40, 60)
HIGHLIGHT = box(68, 72, 20, 80)
"""Of the shaft."""


def seen(odds_of_glare: float, glare=(245, 240, 238)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image = np.full((HEIGHT, WIDTH, 3), (160, 80, 70), np.uint8)
    image[SHAFT], image[GLARE], image[HIGHLIGHT] = (110, 112, 115), glare, (250, 250, 250)
    odds = np.full((HEIGHT, WIDTH), -3, np.float32)
    odds[SHAFT], odds[GLARE], odds[HIGHLIGHT] = 4, odds_of_glare, 0.5
    return image, SHAFT | GLARE, odds


def test_glare_that_is_nowhere_surely_an_instrument_is_told_from_a_shafts_own_highlight():
    found = glare_beside(*seen(0.4))
    assert found[GLARE].mean() > 0.8
    assert not found[SHAFT].any()


def test_white_jaws_that_are_surely_an_instrument_stay():
    assert not glare_beside(*seen(3.0)).any()


def test_a_doubtful_part_in_another_colour_stays():
    assert not glare_beside(*seen(0.4, glare=(150, 150, 160))).any()
    assert not glare_beside(*seen(0.4, glare=(240, 150, 90))).any()
