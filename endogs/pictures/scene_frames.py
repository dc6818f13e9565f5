"""Pictures of a scene at any time: its colour and its depth, as a viewer wants them."""

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.depth_colors import robust_range
from endogs.pictures.eight_bit import to_8bit
from endogs.scene import Scene
from endogs.scene.drawing import draw_scene

SURE = 0.5
"""Depth is shown where the Gaussians stop at least this share of the light."""
LONGEST_LOOK = 1024
"""Longest side in pixels of the pictures in which a depth range is looked for."""


def picture(
    scene: Scene, time: float, scale: float = 1.0, backend: str = "auto", camera: Camera | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Colour uint8 (h, w, 3) and z-depth (h, w), 0 = nothing there, at `time` in seconds.

    The camera is by default that of the clip's nearest frame; h, w are its size times `scale`.
    """
    camera = scene.camera(scene.nearest_frame(time)) if camera is None else camera
    if scale != 1:
        camera = camera.scaled(scale)
    rendering = draw_scene(scene, time, camera, backend)
    depth = torch.where(rendering.alpha >= SURE, rendering.depth, 0)
    return to_8bit(rendering.color.float().cpu().numpy()), depth.float().cpu().numpy()


def depth_picture(scene: Scene, time: float, scale: float = 1.0) -> NDArray[np.float32]:
    """The z-depth (h, w) of `picture` alone."""
    return picture(scene, time, scale)[1]


def scene_depth_range(scene: Scene, backend: str = "auto", looks: int = 8) -> tuple[float, float]:
    """The robust depth range of the scene over `looks` instants spread evenly over the clip.

    Looked for in pictures of half the size, or of `LONGEST_LOOK` pixels where that is less.
    """
    scale = min(0.5, LONGEST_LOOK / max(scene.width, scene.height))
    frames = np.unique(np.linspace(0, len(scene.times) - 1, looks).round().astype(int))
    return robust_range(picture(scene, float(scene.times[i]), scale, backend)[1] for i in frames)
