"""Sharper parallax: what optical flow finds between a frame and another that is already warped into it by its depth.

With depth and poses known roughly, a far frame looks nearly the same after the warp: flow holds where it is lost
without; and the farther the frames are apart, the less a pixel of flow weighs in the depth. The small flow that is left
and the warp make the correspondence that is triangulated, like the parallax that a plane leaves over (R. Kumar,
P. Anandan, K. Hanna, "Direct recovery of shape from multiple views: a parallax based approach", 1994).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.priors.depth.parallax_kernels import epipolar_matrix, warp_by_depth
from endogs.priors.depth.triangulation import InverseDepth, triangulated
from endogs.priors.motion.flow import dis_flow

FARTHEST = 6.0
"""Pixels of remaining flow beyond which the depth was too wrong, or the tissue is hidden."""


@dataclass(frozen=True)
class PosedFrame:
    """A picture and where it was taken."""

    grey: NDArray[np.uint8]
    """(H, W)."""
    tissue: NDArray[np.bool_]
    """(H, W) tissue away from instruments."""
    K: NDArray[np.float64]
    """(3, 3)."""
    world_to_camera: NDArray[np.float64]
    """(4, 4)."""


def quick_flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Flow (H, W, 2) from `a` to `b` as fine as parallax needs: the default takes twice the time for the same depth."""
    return dis_flow(a, b, iterations=5, patch_stride=4, descents=12)


def remaining_flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The small flow (H, W, 2) between pictures that are nearly the same."""
    return dis_flow(a, b, iterations=3, patch_stride=5, descents=8)


def sharpened(frame: PosedFrame, other: PosedFrame, inverse: NDArray[np.float32], step: int) -> InverseDepth:
    """What `other` says about every `step`-th pixel of a frame whose inverse depth (H, W) > 0 is known roughly."""
    move = other.world_to_camera @ invert_rigid(frame.world_to_camera)
    epipolar = epipolar_matrix(frame.K, other.K, move)
    # Where the other frame shows nothing, the frame itself stands in: no edge for the flow to follow.
    image, shown, places = warp_by_depth(inverse, other.grey, other.tissue, frame.grey, epipolar)
    flow, back = remaining_flow(frame.grey, image), remaining_flow(image, frame.grey)
    tissue = frame.tissue, shown
    return triangulated(flow, back, tissue, (frame.K, other.K), move, step, places, FARTHEST)
