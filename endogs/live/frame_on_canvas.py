"""A frame of a clip on a browser's canvas: whole or enlarged, with masks tinted and clicks marked."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.clicks import Click

GROUND = 24
"""Grey around the frame."""
TINT, SHARE = (40, 230, 110), 0.35
"""Colour of instruments, and how much of it is laid over them."""
ADDED, REMOVED = (70, 255, 140), (255, 80, 80)


@dataclass(frozen=True)
class Placement:
    """How a frame lies on a canvas."""

    scale: float
    """Pixels of the canvas per pixel of the frame."""
    left: float
    """Column of the canvas where the frame's left edge is."""
    top: float
    """Row of the canvas where the frame's top edge is."""

    @staticmethod
    def of(
        canvas: tuple[int, int], frame: tuple[int, int], zoom: float = 1.0, middle: tuple[float, float] = (0.5, 0.5)
    ) -> "Placement":
        """A frame (width, height) as large as the canvas (width, height) takes it, enlarged `zoom` times.

        `middle` (0 to 1 of width and height) comes to the middle of the canvas, as far as the frame's edges let it.
        """
        scale = zoom * min(canvas[0] / frame[0], canvas[1] / frame[1])
        corner = []
        for room, length, at in zip(canvas, frame, middle, strict=True):
            size = scale * length
            start = room / 2 - at * size
            corner.append((room - size) / 2 if size <= room else min(0.0, max(room - size, start)))
        return Placement(scale, *corner)

    def on_frame(self, x: float, y: float, frame: tuple[int, int]) -> tuple[float, float] | None:
        """Parts (0 to 1) of the frame's width and height of a pixel of the canvas, None beside the frame."""
        across = (x - self.left) / (self.scale * frame[0])
        down = (y - self.top) / (self.scale * frame[1])
        return (across, down) if 0 <= across < 1 and 0 <= down < 1 else None


def draw(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    clicks: Sequence[Click],
    canvas: tuple[int, int],
    placement: Placement,
    tinted: bool = True,
) -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3) for a canvas (w, h): the frame (H, W, 3), what `mask` (H, W) covers, and its `clicks`."""
    matrix = np.array([[placement.scale, 0, placement.left], [0, placement.scale, placement.top]], np.float64)
    # OpenCV counts from pixel centres.
    matrix[:, 2] += 0.5 * placement.scale - 0.5
    method = cv2.INTER_AREA if placement.scale < 1 else cv2.INTER_LINEAR
    if placement.scale < 1:  # warpAffine does not average
        small = (max(1, round(image.shape[1] * placement.scale)), max(1, round(image.shape[0] * placement.scale)))
        picture = cv2.resize(image, small, interpolation=method)
        over = cv2.resize(mask.view(np.uint8) * np.uint8(255), small, interpolation=method)
        matrix = np.array([[1, 0, placement.left], [0, 1, placement.top]], np.float64)
    else:
        picture, over = image, mask.view(np.uint8) * np.uint8(255)
    shown = cv2.warpAffine(picture, matrix, canvas, flags=cv2.INTER_LINEAR, borderValue=(GROUND,) * 3)
    if tinted:
        there = cv2.warpAffine(over, matrix, canvas, flags=cv2.INTER_LINEAR) > 127
        shown[there] = ((1 - SHARE) * shown[there] + SHARE * np.array(TINT)).astype(np.uint8)
        outlines, _ = cv2.findContours(there.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, TINT, 1, cv2.LINE_AA)
    for click in clicks:
        x = round(placement.left + click.x * image.shape[1] * placement.scale)
        y = round(placement.top + click.y * image.shape[0] * placement.scale)
        radius = round(click.brush * image.shape[1] * placement.scale) if click.brush else 5
        cv2.circle(shown, (x, y), radius + 1, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.circle(shown, (x, y), radius, ADDED if click.adds else REMOVED, 2, cv2.LINE_AA)
        cv2.circle(shown, (x, y), 1, ADDED if click.adds else REMOVED, -1, cv2.LINE_AA)
    return np.asarray(shown, np.uint8)
