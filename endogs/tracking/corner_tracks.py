"""Corners of the tissue, followed from picture to picture by Lucas and Kanade's method, and checked.

B. Lucas and T. Kanade, "An iterative image registration technique", 1981; corners by J. Shi and C. Tomasi, "Good
features to track", 1994. A point must return to where it began, and look like what it was in the last keyframe: on wet
tissue points slide along with highlights and shadows, which only the second test sees.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.tracking.config import TrackingConfig
from endogs.tracking.luma import Look

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


def new_corners(look: Look, taken: Array, config: TrackingConfig, most: int) -> Array:
    """Up to `most` corners (N, 2) of a picture, pixels with centres at +0.5, away from those `taken` (M, 2)."""
    if most <= 0:
        return np.zeros((0, 2))
    allowed = look.usable.copy()
    border = config.patch // 2 + 1
    allowed[:border], allowed[-border:], allowed[:, :border], allowed[:, -border:] = 0, 0, 0, 0
    for x, y in taken:
        cv2.circle(allowed, (int(x), int(y)), int(config.apart), 0, -1)
    found = cv2.goodFeaturesToTrack(look.grey, most, config.quality, config.apart, mask=allowed, blockSize=5)
    if found is None:
        return np.zeros((0, 2))
    return np.asarray(found, np.float64).reshape(-1, 2) + 0.5


def follow(before: Look, now: Look, pixels: Array, guess: Array, config: TrackingConfig) -> tuple[Array, Bools]:
    """Where points (N, 2) of one picture are in another, searched from `guess` (N, 2), and which came back."""
    if not len(pixels):
        return pixels.copy(), np.zeros(0, bool)
    start, first = (np.ascontiguousarray(x - 0.5, np.float32) for x in (pixels, guess))
    ahead, found = _flow(before.grey, now.grey, start, first, config.window, config.levels)
    back, returned = _flow(now.grey, before.grey, ahead, ahead - (first - start), config.window, config.levels)
    good = found & returned & (np.linalg.norm(back - start, axis=1) < config.returns)
    moved = ahead.astype(np.float64) + 0.5
    return moved, good & now.inside(moved)


def settle(
    reference: Look, now: Look, anchors: Array, pixels: Array, config: TrackingConfig, zoom: Array | None = None
) -> tuple[Array, Bools]:
    """Points (N, 2) drawn onto the patches around `anchors` (N, 2) of the last keyframe, and which look like them.

    This is what keeps small errors from adding up from frame to frame. `zoom` (N,) is how much larger the point looks
    now, from its depths.
    """
    if not len(pixels):
        return pixels.copy(), np.zeros(0, bool)
    start, first = (np.ascontiguousarray(x - 0.5, np.float32) for x in (anchors, pixels))
    fine, found = _flow(reference.grey, now.grey, start, first, config.window, 0)
    near = found & (np.linalg.norm(fine - first, axis=1) < 1.5)
    settled = np.where(near[:, None], fine.astype(np.float64) + 0.5, pixels)
    alike = correlation(reference, now, anchors, settled, config.patch, zoom) > config.correlation
    return settled, alike & now.inside(settled)


def carried_over(look: Look, affine: Array) -> Look:
    """A picture moved by an affine map (2, 3) of its pixels, centres at +0.5; only what is followed in is moved."""
    centred = affine.copy()
    centred[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    size, flags = (look.width, look.height), cv2.INTER_LINEAR
    grey = cv2.warpAffine(look.grey, centred, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return replace(look, grey=np.asarray(grey, np.uint8))


def affine_between(here: Array, there: Array) -> Array:
    """The affine map (2, 3) that takes points (n, 2) nearest to others (n, 2), with the worst quarter left out."""
    kept = np.ones(len(here), bool)
    found = np.eye(2, 3)
    for _ in range(2):
        if kept.sum() < 8:
            return np.eye(2, 3)
        found = np.linalg.lstsq(np.c_[here, np.ones(len(here))][kept], there[kept], rcond=None)[0].T
        left = np.linalg.norm(here @ found[:, :2].T + found[:, 2] - there, axis=1)
        kept = left <= np.quantile(left, 0.75)
    return np.asarray(found, np.float64)


def correlation(a: Look, b: Look, here: Array, there: Array, side: int, zoom: Array | None = None) -> Array:
    """(N,) normalized correlation in [-1, 1] of patches around `here` (N, 2) of `a` and `there` (N, 2) of `b`."""
    if not len(here):
        return np.zeros(0)
    reach = np.arange(side, dtype=np.float32) - side // 2
    offsets = np.stack(np.meshgrid(reach, reach), -1).reshape(1, -1, 2)
    one = _sampled(a.grey, here[:, None] - 0.5 + offsets)
    larger = 1.0 if zoom is None else np.clip(zoom, 0.5, 2.0)[:, None, None]
    other = _sampled(b.grey, there[:, None] - 0.5 + larger * offsets)
    one, other = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    power = np.sqrt(np.square(one).sum(1) * np.square(other).sum(1))
    return np.asarray((one * other).sum(1) / np.maximum(power, 1e-6), np.float64)


def _sampled(grey: NDArray[np.uint8], places: NDArray[np.floating]) -> NDArray[np.float32]:
    """Values (N, M) of a picture at places (N, M, 2), centres at integers."""
    at = np.asarray(places, np.float32)
    picked = [
        cv2.remap(
            grey, at[k : k + 30000, :, 0], at[k : k + 30000, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for k in range(0, len(at), 30000)
    ]
    return np.concatenate(picked).astype(np.float32)


def _flow(
    one: NDArray[np.uint8],
    other: NDArray[np.uint8],
    points: NDArray[np.float32],
    guess: NDArray[np.float32],
    window: int,
    levels: int,
) -> tuple[NDArray[np.float32], Bools]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        points.reshape(-1, 1, 2),
        np.ascontiguousarray(guess, np.float32).reshape(-1, 1, 2).copy(),
        winSize=(window, window),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(found).ravel() > 0
