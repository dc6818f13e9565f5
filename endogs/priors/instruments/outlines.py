"""The outlines of instruments that evidence has found, moved to the edges of the picture."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.components import grown_into, without_holes
from endogs.priors.instruments.grabcut import refine
from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.tissue_colors import Chroma

Looked = TypeVar("Looked")
Found = TypeVar("Found")
AHEAD = 4
"""Frames that may wait for their outlines."""


Refine = Callable[[NDArray[np.uint8], Mask, Chroma], Mask]
"""Moves a mask (h, w) to the edges of a uint8 RGB image (h, w, 3), with the help of log odds (h, w)."""


def outlined(image: NDArray[np.uint8], mask: Mask, odds: Chroma, view: Mask, refine: Refine = refine) -> Mask:
    """Patches `mask` (h, w) of a uint8 RGB image (h, w, 3), grown by their log `odds` (h, w) and refined at its edges.

    They have no holes, and lie within the `view` (h, w).
    """
    if not mask.any():
        return mask
    return without_holes(refine(image, grown_into(mask, odds), odds)) & view


def beside(looked: Iterable[Looked], outline: Callable[[Looked], Found]) -> Iterator[Found]:
    """`outline` of each frame, in order, on a second thread while the next frames are looked at."""
    waiting: list[Future[Found]] = []
    with ThreadPoolExecutor(1) as pool:
        for one in looked:
            waiting.append(pool.submit(outline, one))
            while waiting and (waiting[0].done() or len(waiting) > AHEAD):
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
