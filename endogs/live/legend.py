"""A colour bar with numbers, drawn into a picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

TICKS = 5


def draw_legend(image: NDArray[np.uint8], low: float, high: float, title: str, colormap: int) -> None:
    """Draws a bar of an OpenCV `colormap` from `low` to `high` at the lower left of an RGB picture, in place.

    Nothing is drawn into pictures too small to read it (below 200 x 100 pixels).
    """
    height, width = image.shape[:2]
    if width < 200 or height < 100:
        return
    scale = min(max(height / 900, 0.34), 0.9)
    line = round(26 * scale) + 4
    bar, thick, left = min(round(0.34 * width), 420), max(8, round(14 * scale)), round(14 * scale) + 6
    top = height - line - thick - 10
    back = image[top - line - 4 : height - 4, left - 6 : left + bar + round(60 * scale)]
    back[:] = (back * 0.35).astype(np.uint8)  # darkened, so that the numbers are legible over any tissue
    ramp = np.linspace(0, 255, bar).astype(np.uint8)[None].repeat(thick, 0)
    image[top : top + thick, left : left + bar] = cv2.applyColorMap(ramp, colormap)[..., ::-1]
    write(image, title, (left, top - 6), scale)
    span = high - low
    digits = 0 if span >= 20 else 1 if span >= 2 else 2 if span >= 0.2 else 4
    for tick in range(TICKS):
        share = tick / (TICKS - 1)
        x = left + round(share * (bar - 1))
        cv2.line(image, (x, top + thick), (x, top + thick + 3), (235, 235, 235), 1)
        write(image, f"{low + share * span:.{digits}f}", (x, top + thick + line - 2), scale * 0.9, centred=tick > 0)


def write(image: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float, centred: bool = False) -> None:
    """Light text with a dark rim at a pixel (its lower left, or its lower middle), in place."""
    font, x = cv2.FONT_HERSHEY_SIMPLEX, place[0]
    if centred:
        x -= cv2.getTextSize(text, font, scale, 1)[0][0] // 2
    # A rim of shifted copies: a thicker text has wider letters, which would not lie under these.
    for dx, dy in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        cv2.putText(image, text, (x + dx, place[1] + dy), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, text, (x, place[1]), font, scale, (235, 235, 235), 1, cv2.LINE_AA)
