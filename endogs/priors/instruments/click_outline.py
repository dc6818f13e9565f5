"""What a click on a frame means: the patch of the picture around it that looks like one thing.

From the click a front spreads over the frame, slowly across edges and away from the clicked colour: a geodesic
distance, as Bai & Sapiro (2007) cut pictures by it. Every level of the distance is a candidate, and the one with the
most contrast along its border is taken. Jaws are thin and mirror what is around them: from a click on one, the front
starts along the whole cheapest path to the instrument it belongs to.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, grown
from endogs.priors.instruments.tissue_colors import Chroma

Features = NDArray[np.float32]
Edges = tuple[NDArray[np.int64], NDArray[np.int64], float]

ODDS_SCALE = 4.0
"""Steps of colour (CIE L*a*b*) that one unit of log odds is worth."""
LIGHT = 0.7
"""Weight of lightness beside a* and b*: shading changes it within one thing."""
AWAY, STEP = 0.3, 0.5
"""Cost of a pixel: this part of its distance from the clicked colour, and this much anyway."""
CERTAIN, CHEAP = 0.3, 0.05
"""Between pixels above these log odds, costs are this part: grey shaft and white wrist are one instrument."""
PATH_AWAY, PATH_CROSSING = 0.5, 0.2
"""The same for paths to an instrument, and the weight of edges there, which run along jaws too."""
REACH = 0.2
"""How far a jaw may reach beyond its instrument, in widths of the frame."""
SAME_THING = 14.0
"""Mean distance from the clicked colour up to which a path stays on what was clicked."""
MIXED, LARGE = 0.1, 0.2
"""Weight of the colours inside against the contrast around, and the power of the area that large patches gain by."""
MIDDLE, HALFWAY = 2.0, 0.5
"""People click into the middle of what they mean: a patch whose border is near the click, beside how deep it is
elsewhere, is taken for less; from half of the depth on not."""
MOST_CONTRAST = 40.0
"""Of an edge, in steps of colour."""
SEPARATE = 0.02
"""Part of the frame up to which a separate patch of a mask that is clicked in its middle goes whole."""
NEARLY_ALL = 0.7
"""Of a connected part of a mask: when so much goes, all goes."""
LEVELS = 64
"""Distances that are tried."""
SMALLEST, LARGEST = 0.0004, 0.35
"""Parts of the frame that a patch may cover."""
FARTHEST = 900.0
"""The front stops at this distance."""


@dataclass(frozen=True)
class Look:
    """One frame as clicks see it."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB."""
    odds: Chroma
    """(h, w) log odds of instruments, by colour or a network, above 0 = rather instrument; zeros say nothing."""


def added_patch(look: Look, x: float, y: float, mask: Mask, allowed: Mask) -> Mask:
    """What the user points at, at column `x` and row `y`, as an instrument that `mask` (h, w) lacks.

    Of the `allowed` pixels (h, w), outside of the mask; empty where the click is not on one. (h, w), True = patch.
    """
    allowed = allowed & ~mask
    seed, inside = _seed(allowed, x, y)
    if not seed.any():
        return seed
    seen = _features(look)
    path = _path_to(mask, seen, seed, inside, x, y)
    certain = np.asarray(look.odds > CERTAIN).ravel()
    if np.median(look.odds[seed]) <= CERTAIN:
        certain = np.zeros_like(certain)
    return _patch(seen, seed, path, inside, certain)


def removed_patch(look: Look, x: float, y: float, mask: Mask, kept: Mask) -> Mask:
    """What the user points at, at column `x` and row `y`, as none of the instruments of `mask` (h, w).

    Never a pixel of `kept` (h, w); empty where the click is not on the mask. (h, w), True = patch.
    """
    seed, inside = _seed(mask & ~kept, x, y)
    if not seed.any():
        return seed
    if inside.sum() <= SEPARATE * inside.size and _centrality(inside, seed) == 1:
        return inside
    nothing = np.zeros_like(seed)
    patch = _patch(_features(look), seed, nothing, inside, nothing.ravel())
    # What would be left of a thing that goes is its rim.
    return inside if patch.sum() > NEARLY_ALL * inside.sum() else patch


def _features(look: Look) -> Features:
    """(h, w, 4) L*, a*, b* and log odds, smoothed but for edges, in steps of colour."""
    smooth = cv2.bilateralFilter(np.ascontiguousarray(look.image), 5, 25, 3)
    lab = cv2.cvtColor(smooth.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    odds = ODDS_SCALE * np.clip(look.odds, -4, 4)
    return np.dstack([LIGHT * lab[..., 0], lab[..., 1], lab[..., 2], odds]).astype(np.float32)


def _seed(allowed: Mask, x: float, y: float) -> tuple[Mask, Mask]:
    """The disc around a click, as exactly as people click, and the connected pixels around it; both may be empty."""
    height, width = allowed.shape
    column, row = min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)
    if not allowed[row, column]:
        return np.zeros_like(allowed), np.zeros_like(allowed)
    _, labels = cv2.connectedComponents(allowed.view(np.uint8), connectivity=4)
    inside = labels == labels[row, column]
    disc = np.zeros(allowed.shape, np.uint8)
    # Beside a mask, people mean the little that is between it and the edge.
    depth = cv2.distanceTransform(allowed.view(np.uint8), cv2.DIST_L2, 3)[row, column]
    cv2.circle(disc, (column, row), int(min(round(width / 200), max(depth - 1, 0))), 1, -1)
    return disc.view(bool) & inside, inside


def _edges(mask: Mask) -> list[Edges]:
    """Neighbouring pixels of `mask` (h, w), as indices of the flat frame, with their distance."""
    height, width = mask.shape
    index = np.arange(height * width).reshape(height, width)
    found = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        b = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        both = mask[a] & mask[b]
        found.append((index[a][both], index[b][both], float(np.hypot(dx, dy))))
    return found


def _differences(flat: NDArray[np.float32], edges: list[Edges]) -> list[NDArray[np.float32]]:
    """Difference of the colours (P, 4) across each edge."""
    return [np.linalg.norm(flat[a] - flat[b], axis=1) for a, b, _ in edges]


def _path_to(mask: Mask, seen: Features, seed: Mask, inside: Mask, x: float, y: float) -> Mask:
    """The cheapest path (h, w) from the click to the instruments of `mask`; empty where it would leave the jaw."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    path = np.zeros(mask.shape, bool)
    height, width = mask.shape
    reach = round(REACH * width)
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    box = (slice(top, int(y) + reach + 1), slice(left, int(x) + reach + 1))
    near = inside[box] & grown(mask[box], 1)
    if not near.any():
        return path
    flat = np.ascontiguousarray(seen[box]).reshape(-1, seen.shape[-1])
    other = np.linalg.norm(flat - np.median(seen[seed], axis=0), axis=1)
    edges = _edges(inside[box])
    costs = [
        PATH_CROSSING * crossing + length * (1 + PATH_AWAY * np.maximum(other[a], other[b]))
        for (a, b, length), crossing in zip(edges, _differences(flat, edges), strict=True)
    ]
    heads, tails = (np.concatenate([edge[end] for edge in edges]) for end in (0, 1))
    graph = coo_matrix((np.concatenate(costs), (heads, tails)), (near.size, near.size)).tocsr()
    start = min(int(y), height - 1) - top, min(int(x), width - 1) - left
    distance, before = dijkstra(
        graph, directed=False, indices=int(np.ravel_multi_index(start, near.shape)), return_predecessors=True
    )
    ends = np.flatnonzero(near.ravel() & np.isfinite(distance))
    if not ends.size:
        return path
    steps, at = [], int(ends[np.argmin(distance[ends])])
    while at >= 0:
        steps.append(at)
        at = int(before[at])
    if other[steps].mean() < SAME_THING:
        rows, columns = np.unravel_index(np.array(steps), near.shape)
        path[rows + top, columns + left] = True
    return path


def _patch(seen: Features, seed: Mask, path: Mask, inside: Mask, certain: NDArray[np.bool_]) -> Mask:
    """Of the front from `seed` and `path` over `inside` (h, w), the level with the most contrast along its border."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    click, seed = seed, seed | path
    flat = seen.reshape(-1, seen.shape[-1])
    other = np.linalg.norm(flat - np.median(seen[seed], axis=0), axis=1)
    edges = _edges(inside)
    differences = _differences(flat, edges)
    share = np.where(certain, CHEAP, 1.0)
    costs = [
        (crossing + length * (STEP + AWAY * np.maximum(other[a], other[b]))) * np.maximum(share[a], share[b])
        for (a, b, length), crossing in zip(edges, differences, strict=True)
    ]
    heads, tails = (np.concatenate([edge[end] for edge in edges]) for end in (0, 1))
    graph = coo_matrix((np.concatenate(costs), (heads, tails)), (inside.size, inside.size)).tocsr()
    distance = dijkstra(graph, directed=False, indices=np.flatnonzero(seed), min_only=True, limit=FARTHEST)

    order = np.argsort(distance, kind="stable")
    order = order[np.isfinite(distance[order])]
    first = int(max(SMALLEST * inside.size, seed.sum() + 1))
    last = min(int(LARGEST * inside.size), len(order) - 1)
    if last <= first:
        return inside & np.isfinite(distance).reshape(inside.shape)
    sizes = np.unique(np.geomspace(first, last, LEVELS).astype(int))
    levels = distance[order[sizes]]
    contrast, count = np.zeros(len(levels) + 1), np.zeros(len(levels) + 1)
    for (a, b, _), difference in zip(edges, differences, strict=True):
        near, beyond = np.minimum(distance[a], distance[b]), np.maximum(distance[a], distance[b])
        kept = np.isfinite(beyond)
        step = np.minimum(difference[kept], MOST_CONTRAST)
        # The border of a level crosses the edges from a pixel within it to one beyond.
        for end, sign in ((near, 1), (beyond, -1)):
            place = np.searchsorted(levels, end[kept])
            contrast += sign * np.bincount(place, step, len(levels) + 1)
            count += sign * np.bincount(place, minlength=len(levels) + 1)
    around = np.cumsum(contrast)[:-1] / np.maximum(np.cumsum(count)[:-1], 1)
    within = np.cumsum(other[order])[sizes] / (sizes + 1)
    patches = [(distance <= level).reshape(inside.shape) for level in levels]
    central = np.array([_centrality(patch, click) for patch in patches])
    worth = np.maximum(around - MIXED * within, 0.01) * (sizes + 1.0) ** LARGE
    return patches[int(np.argmax(worth * central**MIDDLE))]


def _centrality(patch: Mask, click: Mask) -> float:
    """How near to the middle of the patch (h, w) the click's disc (h, w) lies: its depth beside the greatest, 0 to 1.

    The border of the frame is no border of a patch.
    """
    depth = cv2.distanceTransform(np.pad(patch, 1, constant_values=True).view(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return min(1.0, float(np.median(depth[click]) / depth.max()) / HALFWAY)
