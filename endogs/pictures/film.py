"""Pictures of a scene at many moments, which `endogs render` and `endogs export video` write alike."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from endogs.depth_colors import color_depth
from endogs.pictures.left_out_label import labelled
from endogs.pictures.scene_frames import picture, scene_depth_range
from endogs.scene import Scene
from endogs.scene.units import units_phrase

Frames = Iterator[NDArray[np.uint8]]


def film(
    scene: Scene, times: Iterable[float], what: str, scale: float = 1.0, backend: str = "auto"
) -> tuple[Frames, str]:
    """RGB uint8 frames at `times` (seconds), drawn as they are asked for, and what a video's comment says of them.

    `what` is `color`, `depth` in colours, or `side-by-side` with colour on the left. Frames without a pose or tissue
    say so.
    """
    if what == "color":
        drawn = (labelled(picture(scene, time, scale, backend)[0], scene, time) for time in times)
        return drawn, film_comment(scene, "render")
    span = scene_depth_range(scene, backend)

    def frames() -> Frames:
        for time in times:
            color, depth = picture(scene, time, scale, backend)
            shown = color_depth(depth, *span)
            seen = shown if what == "depth" else np.hstack([color, shown])
            yield labelled(seen, scene, time)

    return frames(), film_comment(scene, what, span)


def film_comment(scene: Scene, what: str, span: tuple[float, float] | None = None) -> str:
    """What is shown, its units, and the depths at the ends of the colour scale, where there is one."""
    comment = f"endogs {what}; units {units_phrase(scene)}"
    return comment if span is None else f"{comment}; depth colours turbo, blue {span[0]:.6g} to red {span[1]:.6g}"
