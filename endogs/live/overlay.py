"""Trajectories and the measured distance, drawn over a picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.live.legend import write
from endogs.live.viewpoint import Viewpoint

TRAIL_COLORS = ((92, 200, 255), (255, 138, 101), (165, 214, 167), (240, 160, 255), (255, 224, 130), (128, 222, 234))
"""RGB of trajectories, in turn."""
PAIR_COLOR = (255, 255, 255)
SUBPIXEL = 4
"""Fractional bits of the coordinates that OpenCV draws with."""
Path = NDArray[np.float64]


@dataclass(frozen=True)
class Overlay:
    """What is drawn over a picture; paths are (F, 3) world positions at the clip's frames."""

    times: NDArray[np.float64]
    """(F,) seconds."""
    trails: tuple[Path, ...] = ()
    pair: tuple[Path, ...] = ()
    """At most two ends of a distance."""
    unit: str = "mm"
    """Written after the distance; empty for none."""


def draw_overlay(image: NDArray[np.uint8], view: Viewpoint, overlay: Overlay, time: float) -> None:
    """Draws trajectories (the whole one thin, the part until `time` bright) and the distance line, in place."""
    thickness = max(1, round(image.shape[0] / 500))
    for index, path in enumerate(overlay.trails):
        color = TRAIL_COLORS[index % len(TRAIL_COLORS)]
        polyline(image, view, path, tuple(level // 2 for level in color), 1)
        polyline(image, view, until(overlay.times, path, time), color, thickness)
        _dot(image, view, at_time(overlay.times, path, time), color, 3 * thickness)
    ends = [at_time(overlay.times, path, time) for path in overlay.pair]
    if len(ends) == 2:
        polyline(image, view, np.stack(ends), PAIR_COLOR, thickness)
        pixels, front = view.project(np.stack(ends))
        if front.all() and np.isfinite(pixels).all() and np.abs(pixels).max() < 1e5:
            text = f"{np.linalg.norm(ends[0] - ends[1]):.2f} {overlay.unit}".strip()
            _label(image, text, pixels)
    for end in ends:
        _dot(image, view, end, PAIR_COLOR, 3 * thickness)


def at_time(times: NDArray[np.float64], path: Path, time: float) -> NDArray[np.float64]:
    """Position (3,) on a path at `time`, linear between frames."""
    return np.array([np.interp(time, times, path[:, axis]) for axis in range(3)])


def until(times: NDArray[np.float64], path: Path, time: float) -> Path:
    """The part (G, 3) of a path from its beginning until `time`, its last point being there."""
    return np.concatenate([path[times < time], at_time(times, path, time)[None]])


def polyline(image: NDArray[np.uint8], view: Viewpoint, path: Path, color: tuple[int, ...], thickness: int) -> None:
    """Draws a path of world positions (N, 3) in place, where both ends of a piece are in front of the camera."""
    pixels, front = view.project(path)
    fixed = _fixed(pixels)
    for a, b, shown in zip(fixed[:-1], fixed[1:], front[:-1] & front[1:], strict=True):
        if shown and max(np.abs(a).max(), np.abs(b).max()) < 1 << 20:
            cv2.line(image, a.tolist(), b.tolist(), color, thickness, cv2.LINE_AA, SUBPIXEL)


def _label(image: NDArray[np.uint8], text: str, ends: NDArray[np.float64]) -> None:
    """Text beside the middle of a line (2, 2), on its upper side, clear of it."""
    scale = min(max(image.shape[0] / 900, 0.45), 1.0)
    along = ends[1] - ends[0]
    side = np.array([along[1], -along[0]]) / max(float(np.linalg.norm(along)), 1e-9)
    side = -side if side[1] > 0 else side
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    clear = 12 * scale + 0.5 * (width * abs(side[0]) + height * abs(side[1]))
    x, y = ends.mean(0) + side * clear
    write(image, text, (round(x), round(y + height / 2)), scale, centred=True)


def _dot(
    image: NDArray[np.uint8], view: Viewpoint, point: NDArray[np.float64], color: tuple[int, ...], radius: int
) -> None:
    pixels, front = view.project(point[None])
    place = _fixed(pixels)[0]
    if front[0] and np.abs(place).max() < 1 << 20:
        cv2.circle(image, place.tolist(), (radius + 1) << SUBPIXEL, (0, 0, 0), -1, cv2.LINE_AA, SUBPIXEL)
        cv2.circle(image, place.tolist(), radius << SUBPIXEL, color, -1, cv2.LINE_AA, SUBPIXEL)


def _fixed(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
    # OpenCV's pixel centres are whole numbers, ours are at +0.5.
    return np.round(np.clip(np.nan_to_num(pixels - 0.5, nan=1e7), -1e7, 1e7) * (1 << SUBPIXEL)).astype(np.int64)
