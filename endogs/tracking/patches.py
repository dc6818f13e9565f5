"""Where small patches of the tissue are in another picture, whatever their size, slant and light there.

A corner that is followed from keyframe to keyframe takes a new patch each time, and the errors add up: on a rigid colon
.18 pixels after one keyframe, .6 after eight. Here the first patch is found again in one step. B. Lucas and T. Kanade,
"An iterative image registration technique", 1981, with a patch that an affine map deforms (J. Shi and C. Tomasi, "Good
features to track", 1994), on the logarithm of luma, in which the lamp's light adds a plane.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.tracking.luma import LIFT, SMOOTHING, Grey

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
ROUNDS = 3
LONGEST = 1.5
"""Pixels that one round moves a patch at most."""
REFORMED = 0.15
"""Share by which one round stretches or shears a patch at most."""
SHIFT, AFFINE, LIGHT = slice(0, 2), slice(2, 6), slice(6, 9)
"""What is solved for: where the patch is, how it is deformed, and a plane of light."""


@dataclass(frozen=True)
class Matched:
    """Patches in another picture."""

    pixels: Array
    """(n, 2) centres, which lie at +0.5."""
    alike: Array
    """(n,) share of the patch's variation that is explained, 1 at best."""


def light(luma: Grey) -> Array32:
    """(h, w) logarithm of luma, in percent, without its finest noise."""
    smooth = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), SMOOTHING)
    return np.asarray(100 * cv2.log(smooth + LIFT), np.float32)


def matched(first: Array32, second: Array32, here: Array, there: Array, shapes: Array, side: int) -> Matched:
    """Patches around `here` (n, 2) of one picture's `light` in another's, searched from `there` (n, 2), a pixel off.

    `shapes` (n, 2, 2) is about how far the first picture's pixels are apart where the second's are one apart; `side` is
    in pixels, odd.
    """
    centre, at, form = (np.asarray(x, np.float32) for x in (here - 0.5, there - 0.5, shapes))
    around, inside = _offsets(side + 2), _offsets(side)
    unit = 2 * inside.T / side
    rows = np.ones((len(here), 9, side * side), np.float32)
    rows[:, 7:] = unit
    for _ in range(ROUNDS):
        patch = _sampled(first, centre[:, None] + around @ form.transpose(0, 2, 1)).reshape(-1, side + 2, side + 2)
        flat = patch[:, 1:-1, 1:-1].reshape(len(here), -1)
        slopes = (patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]) / 2, (patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]) / 2
        for axis, slope in enumerate(slopes):
            rows[:, axis] = slope.reshape(len(here), -1)
            rows[:, 2 + 2 * axis : 4 + 2 * axis] = rows[:, axis, None] * unit
        drawn = _sampled(second, at[:, None] + inside)
        change = _solved(rows, drawn - flat)
        step = -change[:, SHIFT]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        at = at + step * np.minimum(1, LONGEST / np.maximum(length, 1e-6))
        bend = np.clip(change[:, AFFINE].reshape(-1, 2, 2) * np.float32(2 / side), -REFORMED, REFORMED)
        form = form @ (np.eye(2, dtype=np.float32) + bend)
    left = np.square(drawn - flat - (change[:, None] @ rows)[:, 0]).sum(1)
    power = np.square(drawn - drawn.mean(1, keepdims=True)).sum(1)
    return Matched(at.astype(np.float64) + 0.5, np.asarray(1 - left / np.maximum(power, 1e-6), np.float64))


def _offsets(side: int) -> Array32:
    """(side * side, 2) pixels around a centre, row by row."""
    reach = np.arange(side, dtype=np.float32) - side // 2
    return np.stack(np.meshgrid(reach, reach), -1).reshape(-1, 2)


def _sampled(picture: Array32, places: Array32) -> Array32:
    """Values (n, m) of a picture at places (n, m, 2), centres at integers."""
    found = np.empty(places.shape[:2], np.float32)
    for k in range(0, len(places), 30_000):  # OpenCV's pictures have fewer rows than 2^15
        x, y = (np.ascontiguousarray(places[k : k + 30_000, :, axis]) for axis in (0, 1))
        found[k : k + 30_000] = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def _solved(rows: Array32, change: Array32) -> Array32:
    """(n, 9) by least squares: how much of each row (n, 9, m) is in `change` (n, m).

    A patch that does not determine a number, as one along an edge, leaves it small.
    """
    normal = rows @ rows.transpose(0, 2, 1)
    size = np.sqrt(np.einsum("nii->ni", normal)) + np.float32(1e-6)
    normal = normal / (size[:, :, None] * size[:, None, :]) + np.float32(1e-4) * np.eye(9, dtype=np.float32)
    side = (rows @ change[:, :, None]) / size[:, :, None]
    return np.asarray(np.linalg.solve(normal, side)[:, :, 0] / size, np.float32)
