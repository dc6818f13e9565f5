"""What every search for instruments ends with: masks of all frames, and whether they are believed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import InstrumentMasks, Mask

TOO_MUCH = 0.45
"""A larger part of the view under instruments is not believed."""
JUMP = 3.0
"""Nor is a masked area that changes by this factor from one frame to the next, again and again."""


@dataclass(frozen=True)
class Findings:
    """Masks of a clip, or why there are none."""

    masks: InstrumentMasks | None
    """None when the self-check switched the search off, or nothing was found."""
    note: str
    """A sentence for the user."""


@dataclass(frozen=True)
class Gathered:
    """The masks that a search found, before anybody believes them."""

    masks: InstrumentMasks
    pixels: NDArray[np.float64]
    """(F, 2) of each frame, at the size of the search: under instruments, and under their halos."""
    nothing: bool
    """Whether no frame shows an instrument."""
    doubt: str
    """Why they are not believed, half a sentence; empty when they are."""


def gathered(
    found: Iterable[tuple[Mask, Mask]],
    size: tuple[int, int],
    view: Mask,
    progress: Callable[[int, int], None] | None,
    frames: int,
) -> Gathered:
    """Instrument and halo (h, w) of each of so many `frames`, kept for a clip of `size` (W, H).

    `view` (h, w) is True where there is a picture; `progress(done, total)` is called after each frame.
    """
    masks, counts = InstrumentMasks([], [], *size), []
    for done, (instrument, halo) in enumerate(found, 1):
        masks.append(instrument, halo)
        counts.append((instrument.sum(), halo.sum()))
        if progress is not None:
            progress(done, frames)
    pixels = np.array(counts, np.float64)
    return Gathered(masks, pixels, not pixels[:, 0].any(), unbelievable(pixels[:, 0] / max(int(view.sum()), 1)))


def unbelievable(shares: NDArray[np.float64]) -> str:
    """Why masks that hide these shares (F,) of the view are not believed; empty when they are."""
    crowded = int(np.count_nonzero(shares > TOO_MUCH))
    if crowded > 0.1 * len(shares):
        return f"they would hide more than {100 * TOO_MUCH:.0f} % of the view in {crowded} of {len(shares)} frames"
    smaller, larger = np.minimum(shares[:-1], shares[1:]), np.maximum(shares[:-1], shares[1:])
    # An instrument may come or go quickly; flicker is what cannot be. Patches below 1 % are too small to judge by.
    jumps = int(np.count_nonzero((larger > 0.01) & (larger > JUMP * np.maximum(smaller, 1e-9))))
    if jumps > max(2, 0.1 * (len(shares) - 1)):
        return f"their area jumps more than threefold {jumps} times in {len(shares)} frames"
    return ""
