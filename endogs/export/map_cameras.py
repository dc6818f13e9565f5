"""The cameras of a whole map: from which one each place is looked at, and which of them see all of it together."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.gaussians import COLORS
from endogs.geometry import invert_rigid
from endogs.scene import Scene

CANDIDATES = 200
"""Frames, spread evenly over the clip, whose cameras are looked at."""
LIGHTS = 48
"""Frames from whose cameras colours are evaluated that depend on the camera."""
SAMPLE = 20_000
"""Gaussians by which it is judged what a set of cameras sees."""
OFTEN = 4
"""Cameras that should see each Gaussian: one view's edges, slants and noise are then made good by others."""
AGAIN = 0.5
"""What a further look at a Gaussian counts beside the one before."""
LEAST_GAIN = 1e-3
"""Of all that is to be seen, what another camera must add."""
CHUNK = 8192
"""Gaussians whose distances to all candidates are held in memory at once."""


def spread_frames(scene: Scene, most: int) -> NDArray[np.int64]:
    """At most so many frames of the clip, spread evenly, the first and the last among them."""
    return np.unique(np.linspace(0, len(scene.times) - 1, min(most, len(scene.times))).round().astype(np.int64))


def nearest_cameras(
    scene: Scene, means: NDArray[np.floating], rows: NDArray[np.int64] | None = None, most: int = CANDIDATES
) -> NDArray[np.int64]:
    """(N,) frames: of at most `most` that show a Gaussian, the one whose camera is nearest to its centre (N, 3).

    `rows` (N,) are the indices of the Gaussians in the scene; None for all. A Gaussian that none of these frames shows,
    and all of a scene that does not know its visibility, take the nearest of all.
    """
    frames = spread_frames(scene, most)
    eyes = invert_rigid(scene.world_to_camera[frames])[:, :3, 3]
    chosen = np.zeros(len(means), np.int64)
    for start in range(0, len(means), CHUNK):
        part = slice(start, start + CHUNK)
        offsets = np.asarray(means[part], np.float64)[:, None] - eyes
        distances = np.sqrt((offsets * offsets).sum(-1))
        if scene.visibility is not None:
            these = np.arange(len(scene))[part] if rows is None else rows[part]
            shows = scene.visibility.select(torch.from_numpy(these)).frames_seen(len(scene.times))[:, frames]
            distances[~shows & shows.any(1, keepdims=True)] = np.inf
        chosen[part] = frames[distances.argmin(1)]
    return chosen


@torch.no_grad()
def colored_from_nearby(scene: Scene, packed: Tensor, time: float) -> Tensor:
    """Packed Gaussians (N, 14) at `time` (seconds) in the colours that the camera nearest to each showed.

    One camera alone would light a whole map by one lamp, and leave what is far from it dark.
    """
    if scene.appearance.plain:
        return packed
    frames = nearest_cameras(scene, packed[:, :3].cpu().numpy(), most=LIGHTS)
    shown = packed.clone()
    for frame in np.unique(frames):
        rows = torch.from_numpy(np.flatnonzero(frames == frame)).to(packed.device)
        # All rows are lit at once, as normals come from neighbours.
        shown[rows, COLORS] = scene.appearance.shown(packed, scene.camera(int(frame)), time)[rows, COLORS]
    return shown


def covering_frames(scene: Scene, own: int, most: int | None = None) -> Sequence[int]:
    """Frames whose cameras together see what the clip's cameras saw, ascending; `own` is always one of them.

    The one that adds most is taken until nearly every Gaussian is seen from `OFTEN` of them, or `most` are chosen. A
    scene that does not know its visibility takes all candidates, or `most` of them, spread evenly.
    """
    if most == 1:
        return [own]
    if scene.visibility is None:
        return sorted({own, *spread_frames(scene, CANDIDATES if most is None else most - 1).tolist()})
    frames = np.union1d(spread_frames(scene, CANDIDATES), [own])
    rows = np.unique(np.linspace(0, len(scene) - 1, min(SAMPLE, len(scene))).astype(np.int64))
    shows = scene.visibility.select(torch.from_numpy(rows)).frames_drawn(len(scene.times))[:, frames]
    chosen = [int(np.flatnonzero(frames == own)[0])]
    least = LEAST_GAIN * shows.any(1).sum()
    while most is None or len(chosen) < most:
        often = shows[:, chosen].sum(1)
        # A place that nobody sees yet counts more than a second look at another.
        gains = np.where(often < OFTEN, AGAIN**often, 0.0) @ shows
        gains[chosen] = 0
        best = int(gains.argmax())
        if gains[best] <= least:
            break
        chosen.append(best)
    return sorted(frames[chosen].tolist())
