"""Where a clip's colours change at once and for good, as when narrow-band light or the white balance is switched."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

JUMP = 0.04
"""Change of the shares of red, green and blue, summed: a third of the way from tissue in white to narrow-band light."""
SUDDEN = 4.0
"""Times the neighbours' largest change that it stands out: an instrument that enters takes some frames."""
AROUND = 4
"""Frames before and after whose median colours must differ: a flash ends."""


DARK = 24.0
"""Mean grey level of pictures whose colours are not looked at: 16 is video black shown in full range."""
BLUER = 1.15
"""Times as much blue as red from which the channels may be exchanged: tissue in white light has more red than blue."""


def shares(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(3,) shares of red, green and blue in the light of an image (H, W, 3); NaN where it is dark."""
    total = image.reshape(-1, 3).mean(0, dtype=np.float64)
    return np.asarray(total / total.sum(), np.float64) if total.mean() > DARK else np.full(3, np.nan)


def exchanged_note(colours: Sequence[NDArray[np.float64]]) -> list[str]:
    """A sentence when pictures of such `shares` have more blue than red, and more than green."""
    lit = [colour for colour in colours if np.isfinite(colour).all()]
    if not lit:
        return []
    red, green, blue = np.median(lit, 0)
    if blue < BLUER * red or blue < green:
        return []
    return [
        f"the pictures hold {blue / red:.1f} times as much blue as red, where tissue in white light is red: if they "
        "were written with red and blue exchanged (cv2.imwrite takes BGR), write them again."
    ]


def find_switches(colour_of: Callable[[int], NDArray[np.float64]], indices: Sequence[int]) -> list[int]:
    """Frames that other colours begin with; `colour_of` gives a frame's `shares`, and `indices` are looked at first."""
    known = [i for i in indices if np.isfinite(colour_of(i)).all()]
    indices, colours = known, [colour_of(i) for i in known]
    changes = [float(np.abs(b - a).sum()) for a, b in pairwise(colours)]
    found = []
    for step, change in enumerate(changes):
        around = changes[max(0, step - AROUND) : step] + changes[step + 1 : step + 1 + AROUND]
        if change < JUMP or len(around) < 2 or change < SUDDEN * max(around):
            continue
        before = np.median(colours[max(0, step + 1 - AROUND) : step + 1], 0)
        after = np.median(colours[step + 1 : step + 1 + AROUND], 0)
        if np.abs(after - before).sum() >= JUMP:
            switch = _narrowed(colour_of, indices[step], indices[step + 1])
            # Between frames that lie seconds apart the camera may have moved to tissue of another colour.
            if not np.abs(colour_of(switch) - colour_of(switch - 1)).sum() < JUMP:
                found.append(switch)
    return found


def _narrowed(colour_of: Callable[[int], NDArray[np.float64]], first: int, second: int) -> int:
    """The first frame after `first`, up to `second`, that has the colours of `second`, found by halving."""
    old, new = colour_of(first), colour_of(second)
    while second - first > 1:
        middle = (first + second) // 2
        colour = colour_of(middle)
        is_old = not np.isfinite(colour).all() or np.abs(colour - old).sum() < np.abs(colour - new).sum()
        first, second = (middle, second) if is_old else (first, middle)
    return second
