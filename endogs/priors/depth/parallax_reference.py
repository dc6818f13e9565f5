"""The kernels of depth from parallax in double precision: the truth in tests, and what serves without a compiler.

What each returns is written in `parallax_kernels.py`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.depth_words import DepthWord, WordRule

BEFORE = 1e-3
"""Times the depth: what is nearer to the other camera's plane is not before it."""
Array = NDArray[np.float64]


def other_pixels(u: Array, v: Array, inverse: Array, epipolar: Array) -> Array:
    """Homogeneous pixels (..., 3) of another camera for pixels (u, v), centres at +0.5, of inverse depth."""
    u, v, inverse = np.broadcast_arrays(u, v, inverse)
    return np.asarray(np.stack([u, v, np.ones_like(u), inverse], -1) @ epipolar.T)


def between(plane: NDArray, x: Array, y: Array) -> Array:
    """Bilinear samples of a plane (H, W[, C]) where pixels' centres are whole numbers; the edge is repeated."""
    height, width = plane.shape[:2]
    x, y = np.clip(np.nan_to_num(x), 0, width - 1), np.clip(np.nan_to_num(y), 0, height - 1)
    column, row = x.astype(np.intp), y.astype(np.intp)
    a, b = ((x - column), (y - row)) if plane.ndim == 2 else ((x - column)[..., None], (y - row)[..., None])
    right, below = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    values = plane.astype(np.float64)
    upper = values[row, column] * (1 - a) + values[row, right] * a
    lower = values[below, column] * (1 - a) + values[below, right] * a
    return np.asarray(upper * (1 - b) + lower * b)


def all_set(mask: NDArray[np.uint8], x: Array, y: Array) -> NDArray[np.bool_]:
    """Whether all four pixels of a mask (H, W) around a place are set."""
    height, width = mask.shape
    column = np.clip(np.nan_to_num(x), 0, width - 1).astype(np.intp)
    row = np.clip(np.nan_to_num(y), 0, height - 1).astype(np.intp)
    right, below = np.minimum(column + 1, width - 1), np.minimum(row + 1, height - 1)
    return (mask[row, column] > 0) & (mask[row, right] > 0) & (mask[below, column] > 0) & (mask[below, right] > 0)


def centres(height: int, width: int, step: int = 1) -> tuple[Array, Array]:
    """Columns (1, w) and rows (h, 1) of every step-th pixel, the first at step // 2, centres at +0.5."""
    columns, rows = (np.arange(step // 2, n, step, dtype=np.float64) + 0.5 for n in (width, height))
    return columns[None], rows[:, None]


def warp_by_depth(
    inverse: NDArray[np.float32],
    image: NDArray[np.uint8],
    tissue: NDArray[np.uint8],
    stand_in: NDArray[np.uint8],
    epipolar: Array,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Array]:
    """Picture, mask of what it shows, and places (H, W, 2)."""
    height, width = inverse.shape
    seen = other_pixels(*centres(height, width), inverse.astype(np.float64), epipolar)
    before = seen[..., 2] > BEFORE
    places = np.where(before[..., None], seen[..., :2] / np.where(before, seen[..., 2], 1)[..., None], 0)
    x, y = places[..., 0] - 0.5, places[..., 1] - 0.5
    shown = before & (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1) & all_set(tissue, x, y)
    warped = np.where(shown, np.floor(between(image, x, y) + 0.5), stand_in).astype(np.uint8)
    return warped, shown.astype(np.uint8), places


def triangulate_flow(
    flow: NDArray[np.float32],
    back: NDArray[np.float32] | None,
    tissue: NDArray[np.uint8],
    other_tissue: NDArray[np.uint8],
    places: NDArray[np.float32] | None,
    epipolar: Array,
    rule: tuple[float, float, float],
    step: int,
) -> Array:
    """Five planes (5, h, w); `rule` are relative, absolute and farthest."""
    height, width = flow.shape[:2]
    relative, absolute, farthest = rule
    u, v = centres(height, width, step)
    sample = (slice(step // 2, None, step), slice(step // 2, None, step))
    there = flow[sample].astype(np.float64)
    x, y = u - 0.5 + there[..., 0], v - 0.5 + there[..., 1]
    again = -there if back is None else between(back, x, y)
    size = np.square(there).sum(-1) + np.square(again).sum(-1)
    usable = np.square(there + again).sum(-1) < relative * size + absolute
    usable &= (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    usable &= (np.abs(there).max(-1) < farthest) & (tissue[sample] > 0) & all_set(other_tissue, x, y)
    if places is not None:
        there = between(places, x, y) - np.stack(np.broadcast_arrays(u, v), -1)
    start = other_pixels(u, v, np.zeros((1, 1)), epipolar)
    moved = epipolar[:, 3]
    far = start[..., :2] / start[..., 2:]
    along = moved[:2] - far * moved[2]
    strength = np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-12)
    along = along / strength[..., None]
    shift = np.stack(np.broadcast_arrays(u, v), -1) + there - far
    moved_by = (shift * along).sum(-1)
    slope = strength - moved_by * moved[2]
    # p(w) = far + along * w strength / (A_z + w B_z)
    value = moved_by * start[..., 2] / np.where(slope > 0, slope, np.inf)
    ahead = start[..., 2] + value * moved[2]
    good = usable & (start[..., 2] > 1e-3) & (value > 0) & (ahead > 1e-3)
    # The derivative of the pixel by w is along * strength A_z / ahead^2.
    deviation = np.square(ahead) / (strength * np.maximum(start[..., 2], 1e-6))
    across = np.abs(shift[..., 0] * along[..., 1] - shift[..., 1] * along[..., 0])
    lengths = (np.hypot(way[..., 0], way[..., 1]) for way in (shift, there))
    return np.where(good, np.stack([value, deviation, across, *lengths]), 0)


def agree_on_depth(
    values: Sequence[NDArray[np.float32]],
    deviations: Sequence[NDArray[np.float32]],
    words: Sequence[DepthWord],
    guess: NDArray[np.float32] | None,
    rule: WordRule,
) -> tuple[Array, Array]:
    """Inverse depth and deviation, 0 where there is none."""
    told = [np.asarray(value, np.float64) for value in values]
    spread = [np.where(value > 0, deviation, np.inf) for value, deviation in zip(told, deviations, strict=True)]
    for word in words:
        assert guess is not None
        value, deviation = _heard(word, guess.astype(np.float64), rule)
        told.append(value)
        spread.append(deviation)
    estimates, deviation = np.stack(told), np.stack(spread).astype(np.float64)
    weights = np.where(deviation > 0, 1 / np.square(np.where(deviation > 0, deviation, 1)), 0)
    order = np.argsort(np.where(weights > 0, estimates, np.inf), axis=0)
    ranked, ranked_weights = np.take_along_axis(estimates, order, 0), np.take_along_axis(weights, order, 0)
    total = ranked_weights.sum(0)
    middle = (np.cumsum(ranked_weights, 0) < total / 2).sum(0)[None].clip(max=len(estimates) - 1)
    median = np.take_along_axis(ranked, middle, 0)[0]
    agree = weights * (np.square(estimates - median) * weights < rule.apart**2)
    precision = agree.sum(0)
    known = precision > total / 2
    safe = np.where(known, precision, 1)
    return np.where(known, (agree * estimates).sum(0) / safe, 0), np.where(known, 1 / np.sqrt(safe), 0)


def _heard(word: DepthWord, guess: Array, rule: WordRule) -> tuple[Array, Array]:
    height, width = guess.shape
    seen = other_pixels(*centres(height, width), guess, word.epipolar)
    before = (seen[..., 2] > BEFORE) & (guess > 0)
    pixels = np.where(before[..., None], seen[..., :2] / np.where(before, seen[..., 2], 1)[..., None], -9)
    known = word.inverse > 0
    spread = np.where(known, np.maximum(word.relative, rule.firmest), 0)
    planes = np.stack([known, np.where(known, word.inverse, 0), spread], -1).astype(np.float64)
    # A rim of nothing: outside nobody says anything.
    planes = np.pad(planes, ((1, 1), (1, 1), (0, 0)))
    x, y = pixels[..., 0] + 0.5, pixels[..., 1] + 0.5
    inside = before & (x > 0) & (y > 0) & (x < planes.shape[1] - 1) & (y < planes.shape[0] - 1)
    share, inverse, deviation = np.moveaxis(between(planes, x, y) * inside[..., None], -1, 0)
    told = share > rule.inside
    share = np.where(told, share, 1)
    # The other frame's depth by that of the moved point is what the guess is to be multiplied by.
    value = np.where(told, inverse / share * seen[..., 2], 0)
    return value, np.where(told & (value > 0), guess * deviation / share, np.inf)
