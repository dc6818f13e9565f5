"""The camera of a clip that says nothing about its camera."""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions

FOCAL_PER_SIDE = 1.2
"""Guessed focal length per pixel of the longer side: 45 degrees across it, typical of laparoscopes."""
CAMERA_UNKNOWN = "the camera is unknown"
POINT_UNKNOWN = "the principal point is unknown"


def guessed_intrinsics(
    width: int, height: int, options: ClipOptions, pixel_aspect: float = 1.0
) -> tuple[NDArray[np.float64], list[str]]:
    """Intrinsics (3, 3) from `options.focal` or a guess, principal point in the middle, and notes saying so.

    `pixel_aspect` is the width of a pixel over its height; the focal length counts in pixel heights.
    """
    focal = FOCAL_PER_SIDE * max(width * pixel_aspect, height) if options.focal is None else options.focal
    K = np.array([[focal / pixel_aspect, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)
    if options.focal is not None:
        return K, [f"{POINT_UNKNOWN} and taken in the middle of the image."]
    return K, [f"{CAMERA_UNKNOWN}: focal length guessed as {focal:.0f} pixels; --focal sets it."]


def camera_found(notes: list[str]) -> list[str]:
    """The notes without those that say that nothing is known about the camera."""
    return [note for note in notes if not note.startswith((CAMERA_UNKNOWN, POINT_UNKNOWN))]


def still_poses(count: int) -> NDArray[np.float64]:
    """`count` identity poses (count, 4, 4): the camera is taken to stand still."""
    return np.eye(4)[None].repeat(count, 0)
