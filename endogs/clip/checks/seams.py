"""A straight seam across the whole picture: two pictures that are shown side by side, or one above the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

INNER = 0.2
"""Share of the side that each picture must have at least; narrower ones are panels and windows."""
SEAM = 6.0
"""Times the median step between neighbouring columns that the step at a seam is."""
STANDS_OUT = 2.5
"""Times the second largest step, away from the seam."""
LEAST = 8.0
"""Grey levels of the step: below them shading and compression do as much."""
ROWS = 0.75
"""Share of the rows in which the step must stand out: a seam has no gaps."""


def seam_note(
    images: Sequence[NDArray[np.uint8]],
    ignored: NDArray[np.bool_] | None,
    within: tuple[int, int, int, int] | None = None,
) -> list[str]:
    """A sentence when `images` (H, W, 3) of one clip have a seam where nothing is `ignored` (H, W).

    They show the part `within` (x0, y0, x1, y1) of the clip's own frames, shrunk perhaps; None: they are these frames.
    """
    if not images:
        return []
    greys = [np.asarray(image, np.float32).mean(2) for image in images]
    for is_upright in (True, False):
        planes = greys if is_upright else [grey.T for grey in greys]
        hidden = None if ignored is None else ignored if is_upright else ignored.T
        found = find_seam(planes, hidden)
        if found is not None:
            height, width = greys[0].shape
            x0, y0, x1, y1 = within or (0, 0, width, height)
            first, last, side = (x0, x1, width) if is_upright else (y0, y1, height)
            place = first + round(found * (last - first) / side)
            line = f"column {place}" if is_upright else f"row {place}"
            ends = (first, place) if place - first >= last - place else (place, last)
            box = (ends[0], y0, ends[1], y1) if is_upright else (x0, ends[0], x1, ends[1])
            return [
                f"a straight seam crosses all pictures at {line}, as where two pictures are shown beside each other: "
                f"if so, --crop {','.join(map(str, box))} keeps one."
            ]
    return []


def find_seam(greys: Sequence[NDArray[np.float32]], hidden: NDArray[np.bool_] | None) -> int | None:
    """The column that a second picture begins with in `greys` (H, W), None without a seam."""
    height, width = greys[0].shape
    low, high = int(INNER * width), int((1 - INNER) * width)
    if high - low < 16 or len(greys) < 2:
        return None
    steps = np.stack([np.abs(np.diff(grey, axis=1)) for grey in greys])
    seen = np.ones((height, width - 1), bool) if hidden is None else ~(hidden[:, 1:] | hidden[:, :-1])
    rows = seen.sum(1) > width // 2
    if rows.sum() < height // 2:
        return None
    usual = np.median(steps[:, rows], (0, 1))
    found = low + int(usual[low:high].argmax())
    away = np.delete(usual[low:high], np.arange(max(0, found - low - 2), min(high - low, found - low + 3)))
    if usual[found] < max(LEAST, SEAM * float(np.median(usual)), STANDS_OUT * float(away.max())):
        return None
    stands_out = (steps[:, rows, found] > 2 * np.median(steps[:, rows], 2)).mean(0)
    return found + 1 if (stands_out > 0.5).mean() >= ROWS else None
