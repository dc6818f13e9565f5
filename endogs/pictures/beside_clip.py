"""The input, the rendering and its depth side by side, to see at a glance whether a fit is good."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.depth_colors import color_depth
from endogs.pictures.left_out_label import labelled
from endogs.pictures.scene_frames import picture
from endogs.scene import Scene


def beside_clip(
    scene: Scene, clip: Clip, time: float, scale: float, depth_range: tuple[float, float], backend: str = "auto"
) -> NDArray[np.uint8]:
    """RGB uint8 (h, 3 w, 3): the clip's nearest frame | the rendering at `time` | its depth, blue near and red far.

    h, w are the clip's size times `scale`; `depth_range` holds the depths of the first and last colour. What the frame
    lacks, such as a pose, is written into the rendering.
    """
    color, depth = picture(scene, time, scale, backend)
    seen = clip.image(scene.nearest_frame(time))
    if seen.shape != color.shape:
        seen = np.asarray(cv2.resize(seen, color.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return np.hstack([seen, labelled(color, scene, time), color_depth(depth, *depth_range)])
