"""The tracker's points over the endoscope's own view, and its keyframes on the camera's path."""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.live.viewpoint import Viewpoint
from endogs.plain_text import plain
from endogs.tracking.tracked_points import FILE_NAME, TrackedPoints, read_points

AGREE_COLOR, OTHER_COLOR, KEYFRAME_COLOR = (90, 230, 120), (255, 90, 80), (255, 255, 255)
"""RGB of points that agree with the frame's pose, of others, and of keyframes."""


def find_tracked_points(scene: Path, frames: int) -> TrackedPoints | None:
    """What lies beside a scene of so many frames; None where nothing does, or nothing that fits, which is said."""
    path = (scene if scene.is_dir() else scene.parent) / FILE_NAME
    if not path.is_file():
        return None
    try:
        return read_points(path, frames)
    except InputError as reason:
        print(f"note: without the tracker's points: {plain(reason)}", file=sys.stderr)
        return None


def draw_points(
    image: NDArray[np.uint8], view: Viewpoint, points: TrackedPoints, frame: int, size: tuple[int, int]
) -> None:
    """Draws a frame's points over the endoscope's view of it, in place; `size` (width, height) is of the clip."""
    pixels, agree = points.of_frame(frame)
    scale = np.array([view.camera.width / size[0], view.camera.height / size[1]])
    radius = max(2, round(view.camera.height / 220))
    for (x, y), right in zip(pixels * scale + np.array(view.corner) - 0.5, agree, strict=True):
        place = (int(np.rint(x)), int(np.rint(y)))
        cv2.circle(image, place, radius, AGREE_COLOR if right else OTHER_COLOR, 1, cv2.LINE_AA)


def draw_keyframes(image: NDArray[np.uint8], view: Viewpoint, centres: NDArray[np.float64]) -> None:
    """Draws places (n, 3) of keyframes over a free view, in place."""
    pixels, front = view.project(centres)
    radius = max(2, round(image.shape[0] / 260))
    for (x, y), shown in zip(pixels, front, strict=True):
        if shown and max(abs(x), abs(y)) < 1e5:
            cv2.circle(image, (int(np.rint(x - 0.5)), int(np.rint(y - 0.5))), radius, KEYFRAME_COLOR, -1, cv2.LINE_AA)


def points_state(points: TrackedPoints | None, frame: int) -> str:
    """For the state line: how many of the points that are shown agree, and whether this is a keyframe."""
    if points is None:
        return ""
    agree = points.of_frame(frame)[1]
    count = f", {int(agree.sum())} of {len(agree)} points agree" if len(agree) else ""
    return count + (", keyframe" if points.keyframe[frame] else "")
