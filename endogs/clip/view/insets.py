"""Windows on a screen: a second picture within the first, and pillars beside the view that are blurred copies of it.

They are told by their borders, which are drawn (`drawn_edges.py`): four of them, parallel to the sides of the picture,
or two that run through the whole picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from endogs.clip.view.drawn_edges import DrawnEdges, find_drawn_edges
from endogs.clip.view.panels import EVEN, Box, Mask, box_of

SURE = 0.85
"""Part of a border that is drawn, from which it surely is one."""
PAIR = 0.6
"""The same of two borders that lie symmetrically."""
LIKELY = 0.5
"""The same of a likely one."""
THROUGH = 0.75
"""Of the whole picture: a drawn edge that divides it."""
UNEQUAL = 0.45
"""Of the picture: two halves alike are two views, of which `stereo_hint.py` speaks; less is a picture beside it."""
ALL_ROUND = 0.75
"""Mean of the four borders of an inset, from which it surely is one, when none of them is less than likely."""
LONGEST_FLUSH = 2.2
"""Times as long as wide: what is longer and comes in from a side of the picture may be the shaft of an instrument."""
SMALLEST = 0.004
"""Of the frame; less is a button or a letter."""
SMALLEST_FRAME = 100
"""Pixels of the shorter side."""
LONGEST_DOUBTFUL = 3.0
"""The same from which on it surely is one, where all its other borders are drawn."""
LEAST_DOUBTFUL = 0.01
"""Of the frame; less is not worth a doubt."""
LARGEST = 0.35
"""Of the frame; a larger window may be the view itself."""
THIN = 0.06
"""Of the shorter side: narrower windows are bars."""
LEAST = 24
"""Pixels: narrower windows are marks."""
BREAK = 1.35
"""Times as different are pixels across an inset's border as pixels as far apart within: a drawn frame on one picture
has the same picture on both sides."""
BLURRED = 0.4
"""Of the view's detail is left, at most, in a blurred copy of it."""
STILL = 2.5
"""Mean change of brightness between frames, on 0..255, of a picture that stands still."""
EDGE = 3
"""Pixels to each side that the blur of a border takes."""


@dataclass(frozen=True)
class Windows:
    """What is not the view itself."""

    outside: Mask
    """(H, W) True = surely no tissue of the view."""
    insets: list[Box] = field(default_factory=list)
    """Windows within the view that are excluded."""
    pillars: list[Box] = field(default_factory=list)
    """Parts beside the view that are excluded."""
    doubtful: list[Box] = field(default_factory=list)
    """What may be one or the other."""


def find_windows(images: Sequence[NDArray[np.uint8]], before: Mask) -> Windows:
    """The windows in uint8 RGB frames (H, W, 3), beyond what is excluded `before` (H, W)."""
    import cv2

    height, width = before.shape
    if min(height, width) < SMALLEST_FRAME or before.all():
        return Windows(np.zeros_like(before))
    greys = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in images]
    edges = find_drawn_edges(greys)
    # The rim of a round view is straight for a while.
    rim = cv2.dilate(before.view(np.uint8), np.ones((13, 13), np.uint8)).view(bool)
    edges = DrawnEdges(edges.upright & ~rim, edges.level & ~rim)
    outside = np.zeros_like(before)
    pillars, doubtful = _divided(greys, edges, before)
    for box in pillars:
        _fill(outside, box)
    insets = []
    for box, drawn in _rectangles(edges, before | outside):
        if not _breaks(greys, box):
            # A frame drawn on one picture, or a window that shows nearly the same.
            if len(drawn) > 1 and float(np.mean(drawn)) >= SURE and min(drawn) >= PAIR and _is_compact(box):
                doubtful.append(box)
            continue
        even = _is_even(images, box)
        if _is_sure(box, drawn, even):
            insets.append(box)
            _fill(outside, box)
        elif _area(box) < LEAST_DOUBTFUL * before.size:
            continue
        elif (
            len(drawn) == 4
            or (((even and len(drawn) == 2) or _is_compact(box)) and (len(drawn) == 3 or np.mean(drawn) >= SURE))
            or (len(drawn) == 3 and min(drawn) >= PAIR and _is_compact(box, LONGEST_DOUBTFUL))
        ):
            doubtful.append(box)
    return Windows(outside, insets, pillars, doubtful)


def _is_sure(box: Box, drawn: tuple[float, ...], even: bool) -> bool:
    """Whether a box is an inset, by the parts of its borders within the picture that are drawn, and by whether it has
    one colour."""
    if len(drawn) == 4:
        return float(np.mean(drawn)) >= ALL_ROUND
    if even and len(drawn) == 2:
        return float(np.mean(drawn)) >= SURE
    return min(drawn) >= SURE and _is_compact(box)


def _is_even(images: Sequence[NDArray[np.uint8]], box: Box) -> bool:
    """Whether most of a box of uint8 RGB frames (H, W, 3) has one colour."""
    x0, y0, x1, y1 = box
    inner = images[0][y0 + EDGE : y1 - EDGE : 2, x0 + EDGE : x1 - EDGE : 2].reshape(-1, 3).astype(np.float32)
    return float(np.median(np.abs(inner - np.median(inner, axis=0)).max(1))) < EVEN


def _is_compact(box: Box, longest: float = LONGEST_FLUSH) -> bool:
    longer, shorter = max(box[2] - box[0], box[3] - box[1]), min(box[2] - box[0], box[3] - box[1])
    return longer <= longest * shorter


def _fill(mask: Mask, box: Box) -> None:
    x0, y0, x1, y1 = box
    mask[max(0, y0 - EDGE) : y1 + EDGE, max(0, x0 - EDGE) : x1 + EDGE] = True


def _divided(greys: Sequence[NDArray[np.uint8]], edges: DrawnEdges, before: Mask) -> tuple[list[Box], list[Box]]:
    """Boxes beside the view, sure and doubtful, where edges run through the whole of what is left."""
    x0, y0, x1, y1 = box_of(~before)
    sure: list[Box] = []
    doubtful: list[Box] = []
    for upright in (True, False):
        # Rows become columns for bars above and below.
        lines = edges.upright if upright else edges.level.T
        a0, b0, a1, b1 = (x0, y0, x1, y1) if upright else (y0, x0, y1, x1)
        drawn = lines[b0:b1].mean(0)
        margin = max(8, round(0.03 * (a1 - a0)))
        at = [p for p in (edges.columns() if upright else edges.rows()) if a0 + margin < p < a1 - margin]
        cuts = sorted(p for p in at if drawn[max(0, p - 1) : p + 2].max() >= LIKELY)
        if not (len(cuts) == 2 and abs(cuts[0] - a0 - (a1 - cuts[1])) < 0.02 * (a1 - a0)):
            cuts = [p for p in cuts if drawn[max(0, p - 1) : p + 2].max() >= THROUGH]
        if not cuts or len(cuts) > 4:
            continue
        bounds = [a0, *cuts, a1]
        parts = list(pairwise(bounds))
        boxes: list[Box] = [(a, b0, b, b1) if upright else (b0, a, b1, b) for a, b in parts]
        detail, change = zip(*(_liveliness(greys, box) for box in boxes), strict=True)
        # The view is the liveliest part.
        weight = [d * (b - a) * (1 + min(c, 5.0)) for d, c, (a, b) in zip(detail, change, parts, strict=True)]
        main = int(np.argmax(weight))
        clear = [float(drawn[max(0, p - 1) : p + 2].max()) for p in cuts]
        dull = [d < BLURRED * detail[main] or c < STILL < change[main] / 2 for d, c in zip(detail, change, strict=True)]
        pair = (
            len(parts) == 3
            and main == 1
            and abs(parts[0][1] - a0 - (a1 - parts[2][0])) < 0.02 * (a1 - a0)
            and min(detail[0], detail[2]) > 0.5 * max(detail[0], detail[2])
        )
        needed = PAIR if pair else SURE
        for i, box in enumerate(boxes):
            if i != main:
                beside = i + 1 == main or i - 1 == main
                edge = np.mean(clear) if pair else clear[i] if i < main else clear[i - 1]
                if edge >= needed and dull[i] and beside:
                    sure.append(box)
                elif dull[i] or pair or _area(box) < UNEQUAL * _area((x0, y0, x1, y1)):
                    doubtful.append(box)
    return sure, doubtful


def _liveliness(greys: Sequence[NDArray[np.uint8]], box: Box) -> tuple[float, float]:
    """Detail, and change between frames, of a box of grey frames (H, W), each on 0..255."""
    import cv2

    x0, y0, x1, y1 = box
    parts = [grey[y0 + EDGE : y1 - EDGE, x0 + EDGE : x1 - EDGE] for grey in greys]
    if parts[0].size < 16:
        return 0.0, 0.0
    detail = [float(cv2.absdiff(part, cv2.blur(part, (9, 9))).mean()) for part in parts[::4]]
    change = [float(np.median(cv2.absdiff(one, other))) for one, other in pairwise(parts)]
    return float(np.mean(detail)), float(np.mean(change)) if change else 0.0


def _rectangles(edges: DrawnEdges, before: Mask) -> list[tuple[Box, tuple[float, ...]]]:
    """Boxes with drawn edges on all sides, or on those that are not sides of what is left, and how much of those
    within the picture is drawn."""
    height, width = before.shape
    x0, y0, x1, y1 = box_of(~before)
    columns = [p for p in edges.columns() if x0 + EDGE < p < x1 - EDGE]
    rows = [p for p in edges.rows() if y0 + EDGE < p < y1 - EDGE]
    if not columns or not rows:
        return []
    down = np.vstack([np.zeros((1, width)), np.cumsum(edges.upright, axis=0)])
    along = np.hstack([np.zeros((height, 1)), np.cumsum(edges.level, axis=1)])

    def drawn_column(x: int, top: int, bottom: int) -> float:
        return float((down[bottom, x - 1 : x + 2] - down[top, x - 1 : x + 2]).max() / (bottom - top))

    def drawn_row(y: int, left: int, right: int) -> float:
        return float((along[y - 1 : y + 2, right] - along[y - 1 : y + 2, left]).max() / (right - left))

    thin = max(LEAST, THIN * min(height, width))
    found: list[tuple[Box, tuple[float, ...]]] = []
    for left, right in combinations(sorted([x0, *columns, x1]), 2):
        for top, bottom in combinations(sorted([y0, *rows, y1]), 2):
            share = (right - left) * (bottom - top) / (height * width)
            if right - left < thin or bottom - top < thin or not SMALLEST <= share <= LARGEST:
                continue
            if (left, right) == (x0, x1) or (top, bottom) == (y0, y1):
                continue
            drawn = (
                *(drawn_column(x, top, bottom) for x in (left, right) if x not in (x0, x1)),
                *(drawn_row(y, left, right) for y in (top, bottom) if y not in (y0, y1)),
            )
            if min(drawn) >= LIKELY:
                found.append(((left, top, right, bottom), drawn))
    # Borders of their own count for more than the picture's, which are everywhere.
    found.sort(key=lambda item: (-len(item[1]), -float(np.mean(item[1])) - 0.1 * _area(item[0]) / (height * width)))
    chosen: list[tuple[Box, tuple[float, ...]]] = []
    for box, drawn in found:
        if before[box[1] : box[3], box[0] : box[2]].mean() > 0.5:
            continue
        if all(_common(box, other) < 0.3 * min(_area(box), _area(other)) for other, _ in chosen):
            chosen.append((box, drawn))
    return chosen


def _area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _common(one: Box, other: Box) -> int:
    return _area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def _breaks(greys: Sequence[NDArray[np.uint8]], box: Box) -> bool:
    """Whether the picture within the box is another one than around it."""
    x0, y0, x1, y1 = box
    near, far = 4, 12
    across: list[float] = []
    within: list[float] = []

    def compare(grey: NDArray[np.int16], place: int) -> None:
        """Columns of `grey` (rows, W) at both sides of column `place`."""
        last = grey.shape[1]
        if place - far < 0 or place + far >= last:
            return
        line = {offset: grey[:, place + offset] for offset in (-far, -near, near, far)}
        across.append(float(np.abs(line[-near] - line[near]).mean()))
        within.append(float(np.abs(line[near] - line[far]).mean()))
        within.append(float(np.abs(line[-near] - line[-far]).mean()))

    for grey in greys:
        signed = grey.astype(np.int16)
        for x in (x0, x1):
            compare(signed[y0 + 4 : y1 - 4], x)
        for y in (y0, y1):
            compare(signed[:, x0 + 4 : x1 - 4].T, y)
    return bool(across) and float(np.mean(across)) > BREAK * float(np.mean(within))
