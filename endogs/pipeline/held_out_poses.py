"""The poses of frames that a fit never saw, found by aligning each with the finished scene.

Where the poses of training frames are refined, the others would be judged by what was given, which is off by as much as
the training frames' were. Nothing of these frames reaches the scene: it is finished, and each is aligned by itself.
"""

from collections.abc import Iterable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.geometry import Array, invert_rigid
from endogs.render import rasterize_packed
from endogs.scene import Scene
from endogs.tracking.align import AlignConfig, Aligned, Drawn, align

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Rec. 601."""
DRAWINGS = 3
"""Times that the scene is drawn for a frame, at most."""
NEAR = 0.05
"""Pixels of motion after which it is not drawn again."""
RIM = 7
"""Pixels: side of the square by which the tissue is eroded, beside whose edges something else moves."""


@torch.no_grad()
def align_frames(scene: Scene, clip: Clip, frames: Iterable[int], first: int = 0) -> list[int]:
    """Move the scene's cameras of some `frames` of a clip, of which its own first one is `first`, to where their
    pictures fit it best; returns those that were moved.

    A frame that shows too little, or whose picture fits no better afterwards, keeps its pose.
    """
    moved = []
    for frame in frames:
        own = frame - first
        pose = aligned_pose(
            scene, float(scene.times[own]), scene.camera(own), clip.image(frame), clip.tissue_mask(frame)
        )
        if pose is not None:
            scene.world_to_camera[own] = pose @ scene.world_to_camera[own]
            moved.append(frame)
    return moved


def aligned_pose(
    scene: Scene, time: float, camera: Camera, image: NDArray[np.uint8], tissue_mask: NDArray[np.bool_]
) -> Array | None:
    """The motion (4, 4) from the axes of `camera` to those of the one that took the image (H, W, 3) of `time`, seconds.

    None where none is found under which the image fits the scene better.
    """
    luma = (image @ LUMA) / np.float32(255)
    mask = cv2.erode(tissue_mask.view(np.uint8), np.ones((RIM, RIM), np.uint8)) > 0
    K, start = camera.K.double().cpu().numpy(), camera.world_to_camera
    motion, found, config = np.eye(4), list[Aligned](), AlignConfig((4, 2, 1), (8, 5, 3))
    for _ in range(DRAWINGS):
        pose = torch.from_numpy(motion).to(start) @ start
        here = Camera(camera.K, pose, camera.width, camera.height, camera.near)
        one = align(drawn_luma(scene, time, here), luma, mask, K, invert_rigid(motion), config)
        if one is None:
            return None
        found.append(one)
        motion = one.motion @ motion
        if one.moved < NEAR:
            break
    return motion if found[-1].error < found[0].error_before else None


def drawn_luma(scene: Scene, time: float, camera: Camera) -> Drawn:
    """What `camera` sees of the scene at `time`, seconds, as brightness."""
    drawn = rasterize_packed(scene.shown_at(time, camera), camera)
    color, depth, alpha = (part.float().cpu().numpy() for part in (drawn.color, drawn.depth, drawn.alpha))
    return Drawn(color @ LUMA, depth, alpha)
