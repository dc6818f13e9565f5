"""What neighbouring frames know of a still scene's depth, brought together in one of them.

Each frame's depth is looked up where the frame in question sees its own pixels: a pixel's point, moved into the other
camera, lies there at a depth that the other frame knows too. By the ratio of the two the pixel's depth is off, by the
other frame's word. The weighted median of all frames decides which of them agree, and these are averaged, as fusing
depth maps under visibility is done since P. Merrell et al., "Real-time visibility-based fusion of depth maps", 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid, pixel_rays
from endogs.priors.depth.triangulation import InverseDepth, fused
from endogs.priors.pull_push import filled

FIRMEST = 0.01
"""Relative standard deviation that a frame's word has at least: frames share the pictures that they know it from."""
INSIDE = 0.7
"""Share of the pixels around a place that must be known for its depth to be known."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class FrameWord:
    """What one frame's own pictures say about its depth, at every `step`-th pixel."""

    inverse: Plane
    """(h, w) 1/z in the poses' units; 0 is unknown."""
    relative: Plane
    """(h, w) its relative standard deviation; infinite where it is unknown."""
    K: NDArray[np.float64]
    """(3, 3) intrinsics of the whole picture."""
    world_to_camera: NDArray[np.float64]
    """(4, 4)."""
    step: int
    """Pixels between samples, the first at `step // 2`."""


def agreed(own: FrameWord, others: Sequence[FrameWord]) -> tuple[Plane, Plane]:
    """Inverse depth (h, w) of a frame by its own word and that of others, and its relative standard deviation.

    Where the frame says nothing, others speak for it as far as depth continued from around meets theirs. 0 and infinite
    where nobody says anything, or where they do not agree.
    """
    if not others or not (own.inverse > 0).any():
        return own.inverse, own.relative
    guess = filled(own.inverse)
    value, deviation = fused([_own(own, guess), *(_told(own, guess, other) for other in others)])
    relative = np.where(value > 0, deviation / np.where(value > 0, value, 1), np.inf).astype(np.float32)
    return value, relative


def _own(own: FrameWord, guess: Plane) -> InverseDepth:
    """What a frame says itself. All deviations are parts of one guess (h, w), or what is farther would weigh more."""
    known = own.inverse > 0
    deviation = np.where(known, np.maximum(own.relative, FIRMEST) * guess, np.inf)
    return InverseDepth(own.inverse, deviation.astype(np.float32), 0.0)


def _told(own: FrameWord, guess: Plane, other: FrameWord) -> InverseDepth:
    """What another frame says about the frame's inverse depth, near a guess (h, w) of it, all of which is > 0."""
    step = own.step
    height, width = guess.shape
    rays = pixel_rays(own.K, width * step, height * step)[step // 2 :: step, step // 2 :: step].astype(np.float32)
    move = (other.world_to_camera @ invert_rigid(own.world_to_camera)).astype(np.float32)
    points = rays / guess[..., None] @ move[:3, :3].T + move[:3, 3]
    z = points[..., 2]
    before = z > 1e-3 / guess
    seen = points @ other.K.astype(np.float32).T
    pixels = seen[..., :2] / np.where(before, z, 1)[..., None]
    place = (pixels - 0.5 - step // 2) / step
    known = other.inverse > 0
    relative = np.where(known, np.maximum(other.relative, FIRMEST), 0).astype(np.float32)
    share, inverse, spread = (
        cv2.remap(plane, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        for plane in (known.astype(np.float32), other.inverse, relative)
    )
    told = before & (share > INSIDE)
    share = np.where(told, share, 1)
    # The other frame's depth by that of the moved point is what the guess of the depth is to be multiplied by.
    value = np.where(told, guess * (inverse / share) * z, 0).astype(np.float32)
    deviation = np.where(told & (value > 0), guess * spread / share, np.inf).astype(np.float32)
    return InverseDepth(value, deviation, 0.0)
