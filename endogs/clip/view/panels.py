"""Evenly coloured surroundings of the view: panels of patient data, bars and backgrounds of any colour.

Told by shape, not by stillness: one colour over a whole side of the picture (text and a slight gradient are allowed),
ending in a sharp edge that is straight or round, so that what is left is a rectangle, an octagon or a disc.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""X0, Y0, X1, Y1 in pixels, X1 and Y1 excluded."""

LONGEST = 480
"""Pixels of the longer side at which panels are looked for: compression noise and the edges of letters average out."""
DARKEST = 12
"""Surroundings whose channels stay below are black ones, which have rules of their own (`field_of_view.py`); those
reach up to 24, noise of compression included, which a grey of 18 may exceed: up to there both rules look."""
SAME = (13.0, 5.0)
"""Largest deviation of any channel, in most frames, from the panel's colour: noise of strong compression, and what is
tried where the view has nearly that colour."""
MOST = 0.85
"""Of the frames; in the others compression may smear."""
SHARE = 0.25
"""A panel's colour covers at least this part of one side of the picture; text and bars may cover the rest."""
SEEN = 0.7
"""Two colours, before their gradients are known, cover this part of it."""
FULL = 0.96
"""A panel with its text covers at least this part of a whole side."""
SMALLEST = 0.01
"""Of the frame; less is a thin line."""
LEAST_VIEW = 0.08
"""Of the frame; less is not what an endoscope sees on a screen."""
CONTRAST = 10.0
"""Deviation from the panel's colour just inside the view, mean over the frames, any channel."""
CONTRAST_SHARE = 0.6
"""Part of the view's edge that has this contrast; the view may have the panel's colour elsewhere."""
SHARP = 0.3
"""Of that contrast at most this much is left some pixels beyond the edge: a drawn edge, not a fading one."""
EVEN = 2.5
"""Median deviation within a panel; tissue out of focus is less even."""
DENT = 0.02
"""Of the longer side: narrower dents in the view's edge do not count."""
LINE = 0.06
"""Of the longer side: narrower outgrowths of the view are lines of text."""
UNDENTED = 0.75
"""Part of the view's edge that lies on its convex hull."""
FILLED = 0.6
"""Of a box: what is even in it is the box rather than around something."""
ROUNDS = 3
"""Panels within panels."""


@dataclass(frozen=True)
class Panels:
    """Evenly coloured surroundings."""

    outside: Mask
    """(H, W) True = surely no tissue."""
    doubtful: list[Box]
    """What one colour leaves of the picture, where how it ends does not surely tell a panel from tissue."""


def find_panels(images: Sequence[NDArray[np.uint8]], before: Mask) -> Panels:
    """The panels in uint8 RGB frames (H, W, 3), beyond what is excluded `before` (H, W)."""
    import cv2

    height, width = before.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32) for image in images]
    outside = cv2.resize(before.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    start = outside.copy()
    mean = np.asarray(np.mean(small, axis=0), np.float32)
    doubtful: list[Box] = []
    for _ in range(ROUNDS):
        for same in SAME:
            found, doubtful = _peel(small, mean, outside, same)
            if (found & ~outside).any():
                break
        else:
            break
        outside = found
    wider = np.asarray(cv2.resize((outside & ~start).view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST))
    if wider.any():
        # Half a pixel of the small picture, and the blur of an edge.
        wider = cv2.dilate(wider, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    boxes = [(round(a / scale), round(b / scale), round(c / scale), round(d / scale)) for a, b, c, d in doubtful]
    return Panels(wider.view(bool), boxes)


def even_rest(images: Sequence[NDArray[np.uint8]], strips: Mask, outside: Mask) -> tuple[Box, bool] | None:
    """Where the colour of `strips` (H, W) goes on beside them in uint8 RGB frames (H, W, 3), beyond what is `outside`
    (H, W), and whether it fills that box: a sign that only the rim of a panel was found."""
    import cv2

    if not strips.any():
        return None
    height, width = outside.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)) for image in images]
    mean = np.asarray(np.mean(small, axis=0), np.float32)
    done = cv2.resize(outside.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    bar = cv2.resize(strips.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    deviation = largest_channel(np.abs(mean - cv2.blur(mean, (5, 5))))
    _, labels = cv2.connectedComponents(bar.view(np.uint8), connectivity=4)
    for label in range(1, int(labels.max()) + 1):
        strip = labels == label
        colour = np.median(mean[strip], axis=0)
        like = (largest_channel(np.abs(mean - colour)) < SAME[1]) & (deviation < EVEN) & ~done
        near = cv2.dilate(strip.view(np.uint8), np.ones((15, 15), np.uint8)).view(bool)
        patches = cv2.connectedComponents(like.view(np.uint8), connectivity=4)[1]
        rest = like & np.isin(patches, np.unique(patches[near & like]))
        if colour.max() >= DARKEST and rest.mean() > SMALLEST:
            x0, y0, x1, y1 = box_of(rest)
            box = (round(x0 / scale), round(y0 / scale), round(x1 / scale), round(y1 / scale))
            return box, bool(rest[y0:y1, x0:x1].mean() > FILLED)
    return None


def box_of(mask: Mask) -> Box:
    """The bounding box of a mask (H, W) that is True somewhere."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def largest_channel(image: NDArray[Any]) -> NDArray[Any]:
    """The largest channel (H, W) of an image (H, W, 3); numpy's own reduction is ten times as slow for three."""
    return np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])


def largest_part(mask: Mask) -> Mask:
    """The largest connected part of a mask (H, W)."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _peel(
    frames: Sequence[NDArray[np.float32]], mean: NDArray[np.float32], outside: Mask, same: float
) -> tuple[Mask, list[Box]]:
    """What is outside (H, W) with one more layer of panels, and boxes of what is in doubt."""
    if outside.all():
        return outside, []
    x0, y0, x1, y1 = box_of(~outside)
    if min(x1 - x0, y1 - y0) < 16:
        return outside, []
    painted, colours = np.zeros_like(outside), np.zeros_like(mean)
    for colour, seeds in _side_colours(mean, outside, (x0, y0, x1, y1), same):
        if not (seeds & ~painted).any():
            continue
        patch = _patch(mean, colour, seeds, outside, same)
        if patch is None:
            continue
        paint, plane = patch
        if not _covers_a_side(paint | painted, outside, (x0, y0, x1, y1)) and paint.mean() < 4 * SMALLEST:
            continue
        new = _same_in_most_frames(frames, plane, paint, same) & ~painted
        colours[new] = plane[new]
        painted |= new
    added = painted & ~outside
    if added.mean() < SMALLEST:
        return outside, []
    view = largest_part(~(outside | painted))
    whole = ~view
    if view.mean() < LEAST_VIEW or not _covers_a_side(whole, outside, (x0, y0, x1, y1)):
        return outside, []
    if _is_drawn(frames, mean, view, painted, colours):
        # An instrument of the panel's colour that reaches the edge of the view is within the view; text is not.
        return ~_hull(view) | outside, []
    return outside, [box_of(view)] if _is_drawn(frames, mean, view, painted, colours, 0.7) else []


def _side_colours(
    mean: NDArray[np.float32], outside: Mask, box: Box, same: float
) -> list[tuple[NDArray[np.float32], Mask]]:
    """Colours (3,) that cover much of a side of the box in the mean frame (H, W, 3), and where they do (H, W)."""
    x0, y0, x1, y1 = box
    bands = [(slice(y0, y1), slice(x0 + 1, x0 + 4)), (slice(y0, y1), slice(x1 - 4, x1 - 1))]
    bands += [(slice(y0 + 1, y0 + 4), slice(x0, x1)), (slice(y1 - 4, y1 - 1), slice(x0, x1))]
    found = []
    for rows, columns in bands:
        colours = mean[rows, columns]
        free = ~outside[rows, columns]
        side: list[tuple[NDArray[np.float32], Mask]] = []
        rest = free.mean()
        for _ in range(2):
            if free.mean() < SHARE:
                break
            bins = (colours[free] / 16).astype(int) @ np.array([256, 16, 1])
            mode = np.bincount(bins).argmax()
            centre = np.median(colours[free][bins == mode], axis=0)
            near = free & (largest_channel(np.abs(colours - centre)) < same)
            centre = np.median(colours[near], axis=0) if near.any() else centre
            near = free & (largest_channel(np.abs(colours - centre)) < same)
            if near.mean() >= SHARE and centre.max() >= DARKEST:
                seeds = np.zeros_like(outside)
                seeds[rows, columns] = near
                side.append((np.asarray(centre, np.float32), seeds))
                rest -= near.mean()
            free &= ~near
        found += side if rest < 1 - SEEN else []
    return found


def _patch(
    mean: NDArray[np.float32], colour: NDArray[np.float32], seeds: Mask, outside: Mask, same: float
) -> tuple[Mask, NDArray[np.float32]] | None:
    """What is connected to `seeds` (H, W) in one colour that may change slightly over the picture, and that colour
    everywhere (H, W, 3); None when it is not even."""
    import cv2

    height, width = outside.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], -1)
    plane = np.broadcast_to(colour, mean.shape).astype(np.float32)
    paint = seeds
    for _ in range(4):
        like = (largest_channel(np.abs(mean - plane)) < same) & ~outside
        labels = cv2.connectedComponents(like.view(np.uint8), connectivity=4)[1]
        paint = like & np.isin(labels, np.unique(labels[seeds & like]))
        if paint.sum() < 50:
            return None
        inner = cv2.erode(paint.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        at = np.flatnonzero(inner if inner.sum() > 50 else paint)
        at = at[:: max(1, len(at) // 4000)]
        solution = np.linalg.lstsq(terms.reshape(-1, 3)[at], mean.reshape(-1, 3)[at], rcond=None)[0]
        plane = (terms @ solution).astype(np.float32)
    if float(np.median(largest_channel(np.abs(mean - plane))[paint])) > EVEN:
        return None
    return paint, plane


def _same_in_most_frames(
    frames: Sequence[NDArray[np.float32]], plane: NDArray[np.float32], paint: Mask, same: float
) -> Mask:
    """The part of `paint` (H, W) that has the colour `plane` (H, W, 3) in most frames, but for a common change."""
    count = np.zeros(paint.shape, np.int32)
    at = np.flatnonzero(paint)[:: max(1, int(paint.sum()) // 2000)]
    for frame in frames:
        off = frame - plane
        count += largest_channel(np.abs(off - np.median(off.reshape(-1, 3)[at], axis=0))) < same
    return np.asarray(paint & (count >= MOST * len(frames)))


def _covers_a_side(paint: Mask, outside: Mask, box: Box) -> bool:
    """Whether `paint` (H, W), with what is outside and what it encloses, takes a whole side of the box."""
    x0, y0, x1, y1 = box
    whole = (paint | outside)[y0:y1, x0:x1]
    whole = ~largest_part(~whole)
    return (
        max(
            whole[:, 1:4].all(1).mean(),
            whole[:, -4:-1].all(1).mean(),
            whole[1:4].all(0).mean(),
            whole[-4:-1].all(0).mean(),
        )
        >= FULL
    )


def _is_drawn(
    frames: Sequence[NDArray[np.float32]],
    mean: NDArray[np.float32],
    view: Mask,
    painted: Mask,
    colours: NDArray[np.float32],
    leniency: float = 1.0,
) -> bool:
    """Whether the view (H, W) ends at what is painted (H, W) in `colours` (H, W, 3) in a sharp edge of a
    simple shape."""
    import cv2

    nearest, labels = cv2.distanceTransformWithLabels(
        (~painted).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = np.zeros((int(labels.max()) + 1, 3), np.float32)
    palette[labels[painted]] = colours[painted]
    within = view & (nearest > 1.5) & (nearest < 3.5)
    depth = cv2.distanceTransform((~view).view(np.uint8), cv2.DIST_L2, 5)
    beyond = painted & (depth > 1.5) & (depth < 3.5)
    if within.sum() < 20 or beyond.sum() < 20:
        return False
    contrast = np.mean([np.abs(frame[within] - palette[labels[within]]).max(1) for frame in frames], axis=0)
    rest = np.abs(mean[beyond] - colours[beyond]).max(1)
    if np.mean(contrast > CONTRAST) < CONTRAST_SHARE * leniency:
        return False
    if np.median(rest) * leniency > SHARP * np.median(contrast):
        return False
    return _is_simple(view, cv2.dilate(painted.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool), leniency)


def _is_simple(view: Mask, edge: Mask, leniency: float) -> bool:
    """Whether the outline of `view` (H, W), where it lies on `edge` (H, W), is convex and made of straight lines and
    arcs: rectangles, octagons, discs, and discs with their sides cut off."""
    import cv2

    contours, _ = cv2.findContours(_opened(view), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return False
    contour = max(contours, key=len)
    points = contour[:, 0].astype(np.float32)
    on_edge = edge[contour[:, 0, 1], contour[:, 0, 0]]
    if on_edge.sum() < 20:
        return False
    hull = cv2.convexHull(contour)
    tolerance = max(1.6, 0.008 * max(view.shape))
    dents = np.array([cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in points[on_edge]])
    # Instruments of the panel's colour cut into the view; tissue has dents all along.
    if np.mean(dents < tolerance) < UNDENTED * leniency:
        return False
    x, y = points[on_edge][dents < tolerance].T
    explained = np.zeros(len(x), bool)
    reach = max(12, 0.06 * max(view.shape))
    for along, across in ((x, y), (y, x)):
        for value in np.unique(np.rint(across)):
            near = np.abs(across - value) <= 1
            if near.sum() >= reach and np.ptp(along[near]) >= reach:
                explained |= near
    rest = ~explained
    if rest.sum() > 0.08 * len(x):
        # Straight corners of an octagon, or one circle.
        corners = cv2.approxPolyDP(hull, tolerance, True)
        if len(corners) > 10 and not _is_round(x[rest], y[rest], 2 * tolerance):
            return False
    return True


def _opened(view: Mask) -> NDArray[np.uint8]:
    """A view (H, W) without dents and outgrowths, as instruments of the panel's colour and lines of text that run into
    the view leave them."""
    import cv2

    size = max(3, round(DENT * max(view.shape))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    margin = size + round(LINE * max(view.shape))
    padded = cv2.morphologyEx(np.pad(view.view(np.uint8), margin, mode="edge"), cv2.MORPH_CLOSE, disc)
    # A square keeps the corners of a rectangle, and all but a fraction of a pixel of a disc.
    line = max(3, round(LINE * max(view.shape)))
    padded = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((line, line), np.uint8))
    return np.array(padded[margin:-margin, margin:-margin], np.uint8)


def _hull(view: Mask) -> Mask:
    """The convex hull of a view (H, W)."""
    import cv2

    opened = _opened(view)
    contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return view
    hull = cv2.convexHull(max(contours, key=len))
    return np.asarray(cv2.fillConvexPoly(np.zeros_like(opened), hull, [1]), np.uint8).view(bool)


def _is_round(x: NDArray[np.float32], y: NDArray[np.float32], tolerance: float) -> bool:
    """Whether points (N,) lie on one circle (Kasa's least squares, 1976)."""
    matrix = np.stack([x, y, np.ones_like(x)], 1).astype(np.float64)
    solution = np.linalg.lstsq(matrix, (x * x + y * y).astype(np.float64), rcond=None)[0]
    centre = solution[:2] / 2
    radius = np.sqrt(max(solution[2] + centre @ centre, 0.0))
    off = np.abs(np.hypot(x - centre[0], y - centre[1]) - radius)
    return bool(np.mean(off < tolerance) > 0.85)
