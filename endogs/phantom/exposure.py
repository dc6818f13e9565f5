"""How bright a phantom's pictures are: fixed, or by an automatic exposure as endoscopes have it."""

import math

import numpy as np
from numpy.typing import NDArray

from endogs.phantom.config import Phantom

GREEN = np.array([0.3, 0.6, 0.1], np.float32)
"""Weights of a level."""
LAG = 0.35
"""Seconds in which an automatic exposure makes up for 63 % of a change."""
MOST_GAIN = 6.0
"""Largest and smallest exposure, relative to the first frame's."""
WANTED = {"abdomen": 0.27, "colon": 0.30}
"""Level that is aimed at, linear."""
BRIGHTEST = 1.1
"""Level that 94 % of the colon's pixels stay below; 1 is white."""
PERCENTILE = {"abdomen": 70, "colon": 72}
"""Share of the pixels below the level, percent: a lumen is mostly dark, and the walls count."""


def green_weighted(config: Phantom, radiance: NDArray[np.float32], chosen: NDArray[np.bool_] | None = None) -> float:
    """The level of linear radiance (h, w, 3), over the `chosen` pixels (h, w)."""
    levels = radiance @ GREEN
    levels = levels if chosen is None else levels[chosen]
    level = float(np.percentile(levels, PERCENTILE[config.anatomy]))
    if config.anatomy == "colon":  # a fold beside the lens must not be white all over
        level = max(level, float(np.percentile(levels, 94)) * WANTED["colon"] / BRIGHTEST)
    return level


class Exposure:
    """The exposure from frame to frame; without automatic it stays what it is."""

    def __init__(self, config: Phantom) -> None:
        self.config = config
        self.gain = 1.0
        """Of the frame that was seen last, relative to the first one."""
        self._is_first = True

    def see(self, radiance: NDArray[np.float32], chosen: NDArray[np.bool_] | None) -> None:
        """Follow what a frame shows: linear radiance (H, W, 3) at gain 1, over the `chosen` pixels (H, W)."""
        if not self.config.exposes_itself:
            return
        level = green_weighted(self.config, radiance[::4, ::4], None if chosen is None else chosen[::4, ::4])
        wanted = WANTED[self.config.anatomy] * 2**self.config.exposure / max(level, 1e-9)
        wanted = min(max(wanted, 1 / MOST_GAIN), MOST_GAIN)
        if self._is_first:
            self.gain, self._is_first = 1.0, False
            return
        share = 1 - math.exp(-1 / (self.config.fps * LAG))
        self.gain *= (wanted / self.gain) ** share
