"""A word in pictures of frames that a scene learned nothing from, which are guesses between the others."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.scene import Scene

TEXT_HEIGHT = 0.035
"""Height of the letters as a part of the picture's."""
LEAST_HEIGHT = 7
"""Pixels that letters are high at least, to be read."""
FONT, FONT_PIXELS = cv2.FONT_HERSHEY_SIMPLEX, 21
"""OpenCV's font, and the height of its capitals at scale 1."""


def labelled(image: NDArray[np.uint8], scene: Scene, time: float) -> NDArray[np.uint8]:
    """The picture, RGB uint8 (h, w, 3), saying what the clip's frame nearest to `time` (seconds) lacks, if anything."""
    lacks = scene.origin.lacks(scene.nearest_frame(time))
    if not lacks:
        return image
    height = max(LEAST_HEIGHT, TEXT_HEIGHT * image.shape[0])
    scale, thick = height / FONT_PIXELS, max(1, round(height / 12))
    (width, _), below = cv2.getTextSize(lacks, FONT, scale, thick)
    margin = round(0.6 * height)
    bottom = image.shape[0] - 1
    labelled = np.ascontiguousarray(image).copy()
    corner = (width + 2 * margin, bottom - round(height) - below - 2 * margin)
    cv2.rectangle(labelled, (0, bottom), corner, (0, 0, 0), cv2.FILLED)
    cv2.putText(labelled, lacks, (margin, bottom - margin - below), FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)
    return labelled
