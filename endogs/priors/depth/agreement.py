"""What neighbouring frames know of a still scene's depth, brought together in one of them.

Each frame's depth is looked up where the frame in question sees its own pixels: a pixel's point, moved into the other
camera, lies there at a depth that the other frame knows too. By the ratio of the two the pixel's depth is off, by the
other frame's word. The weighted median of all frames decides which of them agree, and these are averaged, as fusing
depth maps under visibility is done since P. Merrell et al., "Real-time visibility-based fusion of depth maps", 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.priors.depth.depth_words import DepthWord, WordRule
from endogs.priors.depth.parallax_kernels import agree_on_depth, epipolar_matrix
from endogs.priors.depth.triangulation import APART
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
    # All deviations are parts of one guess, or what is farther would weigh more.
    deviation = np.where(own.inverse > 0, np.maximum(own.relative, FIRMEST) * guess, np.inf).astype(np.float32)
    words = [DepthWord(other.inverse, other.relative, _between_samples(own, other)) for other in others]
    value, deviation = agree_on_depth([own.inverse], [deviation], words, guess, WordRule(INSIDE, FIRMEST, APART))
    return value, np.divide(deviation, value, out=np.full_like(value, np.inf), where=value > 0)


def _between_samples(own: FrameWord, other: FrameWord) -> NDArray[np.float64]:
    """The epipolar matrix (3, 4) from samples of a frame to those of another."""
    move = other.world_to_camera @ invert_rigid(own.world_to_camera)
    return epipolar_matrix(_of_samples(own), _of_samples(other), move)


def _of_samples(word: FrameWord) -> NDArray[np.float64]:
    """The intrinsics (3, 3) of the picture that samples make, their centres at +0.5."""
    small = word.K.copy()
    small[0, 2] -= word.step // 2 + 0.5
    small[1, 2] -= word.step // 2 + 0.5
    small[:2] /= word.step
    small[:2, 2] += 0.5
    return small
