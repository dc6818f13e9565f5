"""Sharper parallax: what optical flow finds between a frame and another that is already warped into it by its depth.

With depth and poses known roughly, a far frame looks nearly the same after the warp: flow holds where it is lost
without; and the farther the frames are apart, the less a pixel of flow weighs in the depth. The small flow that is left
and the warp make the correspondence that is triangulated, like the parallax that a plane leaves over (R. Kumar,
P. Anandan, K. Hanna, "Direct recovery of shape from multiple views: a parallax based approach", 1994).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid, pixel_rays
from endogs.priors.depth.triangulation import InverseDepth, triangulated
from endogs.priors.motion.flow import consistency_mask, dis_flow

FARTHEST = 6.0
"""Pixels of remaining flow beyond which the depth was too wrong, or the tissue is hidden."""


@dataclass(frozen=True)
class PosedFrame:
    """A picture and where it was taken."""

    image: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    tissue: NDArray[np.bool_]
    """(H, W) tissue away from instruments."""
    K: NDArray[np.float64]
    """(3, 3)."""
    world_to_camera: NDArray[np.float64]
    """(4, 4)."""


def quick_flow(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Flow (H, W, 2) from `a` to `b` as fine as parallax needs: the default takes twice the time for the same depth."""
    return dis_flow(a, b, iterations=5, patch_stride=4, descents=12)


def sharpened(frame: PosedFrame, other: PosedFrame, inverse: NDArray[np.float32], step: int) -> InverseDepth:
    """What `other` says about every `step`-th pixel of a frame whose inverse depth (H, W) > 0 is known roughly."""
    height, width = inverse.shape
    move = other.world_to_camera @ invert_rigid(frame.world_to_camera)
    rays = pixel_rays(frame.K, width, height).astype(np.float32)
    seen = (rays / inverse[..., None] @ move[:3, :3].T.astype(np.float32) + move[:3, 3].astype(np.float32)) @ (
        other.K.T.astype(np.float32)
    )
    before = seen[..., 2] > 1e-3 / inverse
    there = (seen[..., :2] / np.where(before, seen[..., 2], 1)[..., None]).astype(np.float32)
    image = _looked_up(other.image, there)
    shown = before & (_looked_up(other.tissue.astype(np.float32), there, border=0) > 0.99)
    # Where the other frame shows nothing, the frame itself stands in: no edge for the flow to follow.
    image = np.where(shown[..., None], image, frame.image).astype(np.uint8)
    flow = quick_flow(frame.image, image)
    usable = consistency_mask(flow, quick_flow(image, frame.image))
    usable &= (np.abs(flow).max(-1) < FARTHEST) & frame.tissue
    centres = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) + 0.5 for n in (width, height))), -1)
    usable &= _looked_up(shown.astype(np.float32), centres + flow, border=0) > 0.99
    whole = _looked_up(there, centres + flow) - centres
    return triangulated(whole.astype(np.float32), usable, (frame.K, other.K), move, step)


def _looked_up(image: NDArray, pixels: NDArray[np.float32], border: float | None = None) -> NDArray:
    """Bilinear samples of an image (H, W[, C]) at pixels (H, W, 2), centres at +0.5; `border` or its edge outside."""
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    x, y = pixels[..., 0] - 0.5, pixels[..., 1] - 0.5
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=mode, borderValue=border or 0)
