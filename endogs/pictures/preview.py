"""preview.mp4: the input, the render and the depth side by side, to see at a glance whether a fit is good."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.pictures.beside_clip import beside_clip
from endogs.pictures.scene_frames import scene_depth_range
from endogs.pictures.source_clip import check_frames
from endogs.pictures.video import frame_rate, pixel_aspect, write_video
from endogs.scene import Scene

PANEL = 800
"""Longest side of a panel in pixels; larger clips are shown smaller, as three 4K panels exceed what H.264 can hold."""


def write_preview(
    scene: Scene,
    clip: Clip,
    path: Path,
    *,
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the preview video of all frames of the clip: input | render | depth (blue near, red far).

    The depth range is that of the whole clip, so colours can be compared over time. `progress(done, total)` is called
    after each frame.
    """
    check_frames(scene, clip)
    scale = min(1.0, PANEL / max(scene.width, scene.height))
    depth_range = scene_depth_range(scene, backend)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for i, time in enumerate(clip.times):
            yield beside_clip(scene, clip, float(time), scale, depth_range, backend)
            if progress is not None:
                progress(i + 1, len(clip))

    aspect = pixel_aspect(clip.K[0])
    write_video(path, frames(), frame_rate(clip.times), times=clip.times, pixel_aspect=aspect)
