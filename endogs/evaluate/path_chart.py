"""Both camera paths as a picture: from two sides, and how far they are apart over time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.line_chart import Line, line_chart
from endogs.evaluate.metrics.pose_alignment import Poses, align
from endogs.evaluate.metrics.pose_errors import centre_distances, path_length
from endogs.evaluate.path_doubts import OTHER_LENGTH
from endogs.output import new_file

WIDTH, MAP_HEIGHT, ERROR_HEIGHT = 1120, 460, 280
"""Pixels: the two maps stand beside each other, the errors below both."""
MOST_POINTS = 4000
"""Points of a line; more than there are pixels show no more."""


def path_chart(times: NDArray[np.float64], estimated: Poses, true: Poses, unit: str = "") -> NDArray[np.uint8]:
    """An RGB picture of matched poses (n, 4, 4), T_world_camera, of which `times` (n,) are seconds.

    The estimate is drawn where SE(3) puts it, or Sim(3) where its lengths are others by OTHER_LENGTH; a dot
    begins a long path. The maps show the two planes in which the reference's path is widest.
    """
    scaled = align(estimated, true, "similarity")
    lengths = path_length(estimated), path_length(true)
    by_scale = not lengths[1] / OTHER_LENGTH < lengths[0] < lengths[1] * OTHER_LENGTH
    shown = scaled if by_scale else align(estimated, true, "rigid")
    name = f"estimate, Sim(3), x {scaled.scale:.4g}" if by_scale else "estimate, SE(3)"
    paths = {"reference": true[:, :3, 3], name: shown.poses[:, :3, 3]}
    wide = np.argsort(-np.ptp(true[:, :3, 3], axis=0), kind="stable")
    axes, told = "xyz", f", {unit}" if unit else ""
    maps = []
    for across, up in ((wide[0], wide[1]), (wide[0], wide[2])):
        lines = [Line(label, *_thinned(path[:, across], path[:, up])) for label, path in paths.items()]
        title = f"camera path: {axes[up]} (up) over {axes[across]}{told}"
        maps.append(line_chart(lines, title, f"{axes[across]}{told}", (WIDTH // 2, MAP_HEIGHT), equal=True))
    zero = float(np.sqrt(np.square(true[:, :3, 3] - true[:, :3, 3].mean(0)).sum(1).mean()))
    errors = {name: shown.poses, "first frame shared": align(estimated, true, "first").poses}
    if by_scale:  # an error that is all scale would hide the other
        del errors["first frame shared"]
    curves = [Line("still camera, RMSE", [], [zero], level=True)]  # first, so that the estimate keeps its colour
    curves += [Line(label, *_thinned(times, centre_distances(poses, true))) for label, poses in errors.items()]
    below = line_chart(curves, f"distance of the camera centres{told}", "seconds", (WIDTH, ERROR_HEIGHT))
    return np.concatenate([np.concatenate(maps, 1), below], 0)


def write_path_chart(path: Path, picture: NDArray[np.uint8]) -> None:
    """Writes the picture under a temporary name first. Raises InputError where that is not possible."""
    with new_file(path) as partial:
        done, encoded = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        if not done:
            raise ValueError(f"cannot encode a picture of shape {picture.shape}")
        partial.write_bytes(encoded.tobytes())


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Sequence[float], Sequence[float]]:
    every = -(-len(x) // MOST_POINTS)
    return x[::every].tolist(), y[::every].tolist()
