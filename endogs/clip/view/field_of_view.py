"""What an endoscope sees within the picture: without the black around a round view, panels, strips of an interface and
windows with another picture.

All are told by shape, not by stillness: a still clip of still tissue stays whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.view.crescents import crescents
from endogs.clip.view.framing import Framing
from endogs.clip.view.glare import glare_beside
from endogs.clip.view.insets import Windows, find_windows
from endogs.clip.view.overlays import find_overlays
from endogs.clip.view.panels import Box, Panels, box_of, even_rest, find_panels, largest_channel

Mask = NDArray[np.bool_]

SAMPLES = 16
"""Frames that are looked at."""
LONGEST = 960
"""Pixels of the longer side at which they are looked at."""
BLACK = 24
"""Largest value of any channel around a round view, compression noise included."""
BORDER_CONTRAST = 20
"""By how much the view's rim is brighter than the black around it; a dark corner fades in less sharply."""
RING_CONTRAST, RING_BEYOND = 1.08, 4
"""How many times brighter a ring along the edge of the view is than what lies so many pixels farther inside."""
WIDEST_RING = 0.01
"""Of the longer side."""
STRIP_DEPTH = 0.12
"""Strips are looked for in this part of the height (width) along each side."""
STRIP_LENGTH = 0.2
"""A strip's edge is straight over at least this part of the side."""
SHORTEST_STRIP = 64
"""Nor is less than this, in pixels, called straight."""
STRIP_CONTRAST = 8
"""Step of brightness across a strip's edge, in every frame."""
EVEN = 4.0
"""Median deviation of brightness along an evenly coloured row."""
STRIP_FRAMES = 3
"""Frames that are needed to say that an edge never moves."""


@dataclass(frozen=True)
class FieldOfView:
    """Where tissue may be seen."""

    outside: Mask
    """(H, W) True = never tissue."""
    notes: list[str]
    """What was found, a sentence each."""


def find_field_of_view(images: Sequence[NDArray[np.uint8]], framing: Framing | None = None) -> FieldOfView:
    """The field of view of a clip from a few of its uint8 RGB frames (H, W, 3).

    The notes give places in pixels of the original, of which the frames are what `framing` keeps.
    """
    import cv2

    height, width = images[0].shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) for image in images]
    words = Places(framing or Framing(0, 0, width, height, width, height), size)
    black = black_surroundings(small)
    few = len(small) < STRIP_FRAMES
    panels = Panels(np.zeros_like(black), []) if few else find_panels(small, black)
    outside = black | panels.outside
    windows = Windows(np.zeros_like(black)) if few else find_windows(small, outside)
    outside |= windows.outside
    strips, sides = interface_strips(small, outside)
    outside |= strips
    if outside.all():
        return FieldOfView(np.zeros((height, width), bool), [])
    notes = []
    if black.any():
        notes.append(f"black around the view ({words.share(black)}) is excluded.")
    if panels.outside.any():
        kept = words.place(box_of(~(black | panels.outside)))
        notes.append(
            f"panels of one colour around the view ({words.share(panels.outside & ~black)}) are excluded; the view is "
            f"in {kept}."
        )
    if strips.any():
        places = " and ".join(words.place(box) for box in sides.values())
        notes.append(f"a burnt-in strip at the {' and '.join(sides)} ({words.share(strips)}; {places}) is excluded.")
    for box in windows.pillars:
        notes.append(f"a blurred or still picture beside the view ({words.of(box)}) is excluded.")
    for box in windows.insets:
        notes.append(f"a window drawn over the view ({words.of(box)}) is excluded.")
    if notes:
        notes[-1] += " --ignore-rows replaces what was found, --borders keep keeps it all."
    for box in panels.doubtful:
        crop = " ".join(map(str, words.box(box)))
        notes.append(
            f"one colour surrounds {words.place(box)} and is kept as tissue, with any text in it: if it is a panel, "
            f"--crop {crop} leaves it out."
        )
    rest = None if few or panels.doubtful else even_rest(small, strips, outside)
    if rest is not None:
        box, is_box = rest
        remedy = words.remedy(box) if is_box else "--ignore-mask with a drawn mask"
        notes.append(
            f"only a part of a border may have been found: the same colour goes on in {words.of(box)}, which is kept "
            f"as tissue with any text in it; {remedy} leaves it out."
        )
    for box in windows.doubtful if not panels.doubtful else []:
        notes.append(
            f"straight edges that never move separate {words.of(box)}, which is kept as tissue: if it shows something "
            f"else, {words.remedy(box)} leaves it out."
        )
    notes += _overlay_notes(small, outside, windows, words) if not panels.doubtful else []
    large = cv2.resize(outside.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).view(bool)
    return FieldOfView(large, notes)


def _overlay_notes(images: Sequence[NDArray[np.uint8]], outside: Mask, windows: Windows, words: "Places") -> list[str]:
    """What stands still in the view of uint8 RGB frames (H, W, 3), in a sentence, but for what was spoken of before."""
    import cv2

    greys = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in images]
    spoken = outside.copy()
    for x0, y0, x1, y1 in windows.doubtful:
        spoken[y0:y1, x0:x1] = True
    boxes = find_overlays(greys, spoken)
    if not boxes:
        return []
    return [
        f"captions, a logo or small windows may be drawn over the view: sharp edges stand still while it moves in "
        f"{'; '.join(words.of(box) for box in boxes)}. They are kept as tissue: "
        f"{' '.join(words.remedy(box) for box in boxes)} leaves them out."
    ]


@dataclass(frozen=True)
class Places:
    """Places in the pictures that are looked at, in words and pixels of the original."""

    framing: Framing
    size: tuple[int, int]
    """(width, height) at which they are looked at."""

    def share(self, mask: Mask) -> str:
        """How much of a frame a mask (H, W) is."""
        return f"{100 * mask.mean():.1f} % of the frame"

    def box(self, box: Box) -> Box:
        """A box in pixels of the original."""
        width, height = self.size
        return self.framing.original_box((box[0] / width, box[1] / height, box[2] / width, box[3] / height))

    def place(self, box: Box) -> str:
        """Where a box is."""
        x0, y0, x1, y1 = self.box(box)
        return f"columns {x0} to {x1}, rows {y0} to {y1}"

    def of(self, box: Box) -> str:
        """Where a box is, and how much of a frame."""
        share = (box[2] - box[0]) * (box[3] - box[1]) / (self.size[0] * self.size[1])
        return f"{self.place(box)}, {100 * share:.1f} % of the frame"

    def remedy(self, box: Box) -> str:
        """The option that leaves a box out."""
        return "--ignore-box " + ",".join(map(str, self.box(box)))


def black_surroundings(images: Sequence[NDArray[np.uint8]]) -> Mask:
    """Pixels (H, W) outside a round or letterboxed view of uint8 RGB frames (H, W, 3).

    Black in every frame, reaching at least two corners of the image (a black instrument reaches one), and ending in a
    sharp edge; a view that moves a little leaves crescents of it. What the black encloses apart from the view (text
    beside it) is outside too.
    """
    import cv2

    levels = [largest_channel(image) for image in images]
    brightest = np.max(levels, axis=0)
    height, width = brightest.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats((brightest < BLACK).view(np.uint8), connectivity=4)
    corners = [int(labels[y, x]) for y in (0, -1) for x in (0, -1) if labels[y, x]]
    black = np.zeros((height, width), bool)
    if len(corners) < 2:
        return black
    reach = max(3, round(0.012 * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    median = np.median(levels, axis=0)
    for label in set(corners):
        if stats[label, cv2.CC_STAT_AREA] < 0.002 * height * width:
            continue
        patch = labels == label
        rim = cv2.dilate(patch.view(np.uint8), disc).view(bool) & (labels != label)
        if rim.any() and np.median(median[rim]) - np.median(median[patch]) > BORDER_CONTRAST:
            black |= patch
    if not black.any():
        return black
    black |= crescents(black, levels, BLACK)
    black |= glare_beside(black, levels, BLACK)
    # The view is the largest part that is left.
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~black).view(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros((height, width), bool)
    view = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    # Its rim is dim and blurred, or a bright ring.
    edge = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    view = cv2.erode(view.view(np.uint8), edge, borderValue=1).view(bool)
    ring = bright_ring(median, view)
    if ring == 0:
        return ~view
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ring + 3, 2 * ring + 3))  # a ring is blurred too
    return ~cv2.erode(view.view(np.uint8), disc, borderValue=1).view(bool)


def bright_ring(brightness: NDArray[np.uint8] | NDArray[np.float64], view: Mask) -> int:
    """Width, pixels, of the ring along the edge of a view (H, W) that is brighter than what lies farther inside.

    `brightness` (H, W) is the median of many frames: tissue has no ring that stays while it moves past.
    """
    import cv2

    height, width = view.shape
    inside = np.rint(cv2.distanceTransform(view.view(np.uint8), cv2.DIST_L2, 5)).astype(np.intp)
    widest = max(2, round(WIDEST_RING * max(height, width)))
    rings = range(1, widest + RING_BEYOND + 1)
    levels = [float(np.median(brightness[inside == k])) if (inside == k).any() else 0.0 for k in rings]
    found = 0
    while found < widest and levels[found] > RING_CONTRAST * levels[found + RING_BEYOND] > 0:
        found += 1
    return found


def brightness(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean channel (H, W) of a uint8 RGB image (H, W, 3)."""
    red, green, blue = (image[..., channel].astype(np.float32) for channel in range(3))
    return (red + green + blue) / np.float32(3)


def interface_strips(images: Sequence[NDArray[np.uint8]], black: Mask) -> tuple[Mask, dict[str, Box]]:
    """Bars along the image border in uint8 RGB frames (H, W, 3), and where they are by the names of their sides.

    A bar ends in an edge that is straight, parallel to the border and in the same place in every frame; tissue has no
    such edges. `black` (H, W) is what is excluded already.
    """
    found = np.zeros(black.shape, bool)
    sides: dict[str, Box] = {}
    if len(images) < STRIP_FRAMES:
        return found, sides
    greys = np.stack([brightness(image) for image in images])
    for turns, side in enumerate(("bottom", "left", "top", "right")):
        # Every side becomes the bottom; turned back at the end.
        strip = _bottom_strip(np.rot90(greys, turns, (1, 2)), np.rot90(black, turns))
        if strip.any():
            found |= np.rot90(strip, -turns)
            sides[side] = box_of(np.rot90(strip, -turns))
    return found, sides


def _bottom_strip(greys: NDArray[np.float32], black: Mask) -> Mask:
    """The bars (H, W) along the last row of frames (F, H, W)."""
    import cv2

    height, width = black.shape
    strip = np.zeros((height, width), bool)
    first = height - max(4, round(STRIP_DEPTH * height))
    if first < 2:
        return strip
    along = max(3, round(0.015 * width)) | 1
    # Across three rows, because lens correction bends strips a little; texture has no edge of one sign all along.
    steps = []
    for grey in greys:
        band = cv2.blur(np.ascontiguousarray(grey[first - 2 :]), (along, 1))
        steps.append(band[3:] - band[:-3])
    blocked = cv2.dilate(black.view(np.uint8), np.ones((9, 9), np.uint8))[first : height - 1].view(bool)
    margin = max(2, round(0.005 * height))
    typical = np.median(greys[:, first:], axis=0)
    for edge in (np.min(steps, axis=0) > STRIP_CONTRAST, np.max(steps, axis=0) < -STRIP_CONTRAST):
        edge &= ~blocked
        for row, line in enumerate(edge.view(np.uint8)):
            line = cv2.morphologyEx(line[None], cv2.MORPH_CLOSE, np.ones((1, along), np.uint8))[0]
            change = np.diff(np.concatenate([[0], line.astype(np.int8), [0]]))
            for start, end in zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True):
                trim = (end - start) // 16
                long = end - start >= max(STRIP_LENGTH * width, SHORTEST_STRIP)
                if long and _is_straight(greys[:, :, start + trim : end - trim], first + row):
                    bar = typical[min(row + 4, len(typical) - 1)]
                    # Tissue may match the bar's brightness for a moment and interrupt its edge: the bar goes on.
                    same = (np.abs(bar - np.median(bar[start:end])) < 2 * EVEN).astype(np.uint8)
                    same[start:end] = 1
                    same = cv2.morphologyEx(same[None], cv2.MORPH_CLOSE, np.ones((1, along), np.uint8))[0]
                    start = start - int(np.argmin(np.append(same[:start][::-1], 0)))
                    end = end + int(np.argmin(np.append(same[end:], 0)))
                    strip[first + row - margin :, max(0, start - margin) : end + margin] = True
    return strip


def _is_straight(greys: NDArray[np.float32], row: int, reach: int = 3) -> bool:
    """Whether the edge near `row` of frames (F, H, W) is drawn, not grown: sharp, straight, all but horizontal, and
    with an evenly coloured bar below it.

    Where the step is steepest in each column must lie on a line to half a pixel, and most of the change must happen
    within three rows there; the fold of an organ bends and fades.
    """
    import cv2

    top, bottom = max(0, row - reach), min(greys.shape[1], row + reach + 1)
    bands = [cv2.blur(np.ascontiguousarray(grey[top:bottom]), (5, 1)) for grey in greys]
    steps = np.median([np.abs(np.diff(band, axis=0)) for band in bands], axis=0)
    at = steps.argmax(0)
    columns = np.arange(at.size)
    near = np.abs(np.arange(len(steps))[:, None] - at) <= 1
    sharp = float((steps * near).sum() / max(float(steps.sum()), 1e-6))
    below = greys[:, np.minimum(row + 2 + np.arange(4), greys.shape[1] - 1)]
    uneven = np.abs(below - np.median(below, axis=2, keepdims=True))
    # The most even row counts: the others may hold text.
    if np.median(np.median(uneven, axis=2).min(1)) > EVEN:
        return False
    slope, height = np.polyfit(columns, at, 1)
    off = np.abs(at - slope * columns - height)
    return bool(abs(slope) < 0.03 and np.mean(off < 0.75) > 0.8 and sharp > 0.7)
