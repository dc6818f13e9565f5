"""Do a scene's points go where the tissue goes? Followed points against tracks whose truth is in a file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npz
from endogs.clip import Clip
from endogs.errors import InputError
from endogs.evaluate.evaluate import render_frame
from endogs.gaussians import OPACITY
from endogs.geometry import invert_rigid
from endogs.scene import Scene
from endogs.scene.following import OPAQUE, follow_points

SAME_TIME = 0.25
"""Share of a frame interval by which a track's time may miss a frame's."""


@dataclass(frozen=True)
class Tracks:
    """Where points of the tissue are at the clip's frames."""

    positions: NDArray[np.float64]
    """(F, P, 3) world positions in the clip's units, or (F, P, 2) pixels of the frames as they are read, centres of
    pixels at +0.5; NaN where a track says nothing."""
    visible: NDArray[np.bool_]
    """(F, P) where the frame shows the point."""

    @property
    def in_pixels(self) -> bool:
        """Whether the tracks are in the image and not in space."""
        return self.positions.shape[2] == 2


@dataclass(frozen=True)
class TrackErrors:
    """Distances of followed points from the truth, away from the frame where each is named."""

    unit: str
    """"mm", "world units" or "px"."""
    points: int
    median_visible: float
    """Over frames that show the point; NaN where there are none."""
    median_hidden: float
    """Over frames that do not; NaN where there are none, or the truth says nothing then."""
    mean: float
    percentile_95: float


def read_tracks(path: Path, clip: Clip) -> Tracks:
    """Tracks from an npz file: `positions` (F, P, 3) or `pixels` (F, P, 2), and if there are any `visible` (F, P) and
    `times` (F,).

    With times (seconds from the input's first frame, or from `time_offset` seconds after it), the frames that were read
    are looked up; without, F must be the clip's. Raises InputError for a file that holds no such thing.
    """
    arrays = read_npz(path, ("positions", "pixels", "visible", "times", "time_offset"))
    places = arrays.get("positions", arrays.get("pixels"))
    wanted = 3 if "positions" in arrays else 2
    if places is None or places.ndim != 3 or places.shape[2] != wanted or places.dtype.kind not in "fiu":
        raise InputError(f"{path}: tracks need positions (frames, points, 3) or pixels (frames, points, 2).")
    places = places.astype(np.float64)
    finite = np.isfinite(places).all(2)
    if not len(places):
        raise InputError(f"{path}: tracks need a frame, and this file has none; give positions (frames, points, 3).")
    visible = arrays.get("visible", finite).astype(bool)
    if visible.shape != finite.shape:
        raise InputError(f"{path}: visible has the shape {visible.shape}, not {finite.shape} as the points have.")
    chosen = _frames(path, _times(path, arrays), len(places), clip)
    return Tracks(places[chosen], (visible & finite)[chosen])


def _times(path: Path, arrays: dict[str, NDArray]) -> NDArray[np.float64] | None:
    """Seconds from the input's first frame, where the file says them."""
    if "times" not in arrays:
        return None
    times, offset = arrays["times"], arrays.get("time_offset", np.zeros(()))
    if any(a.dtype.kind not in "fiu" or not np.isfinite(a).all() for a in (times, offset)) or offset.size != 1:
        raise InputError(f"{path}: its times are not all numbers; give seconds from the input's first frame.")
    return times.astype(np.float64).reshape(-1) + float(offset.reshape(()))


def _frames(path: Path, times: NDArray[np.float64] | None, count: int, clip: Clip) -> NDArray[np.intp]:
    if times is None:
        if count != len(clip):
            raise InputError(f"{path}: {count} frames of tracks, but the clip has {len(clip)}; give their times too.")
        return np.arange(count)
    if len(times) != count:
        raise InputError(f"{path}: {len(times)} times for {count} frames of tracks; give one each.")
    wanted = clip.times + getattr(clip, "time_offset", 0.0)
    nearest = np.abs(times[None] - wanted[:, None]).argmin(1)
    interval = float(np.median(np.diff(clip.times))) if len(clip) > 1 else 1.0
    if (np.abs(times[nearest] - wanted) > SAME_TIME * interval).any():
        raise InputError(f"{path}: its times are not those of the clip's frames; give seconds from its first frame.")
    return nearest


def track_errors(scene: Scene, tracks: Tracks, backend: str = "auto") -> TrackErrors:
    """Follow every point from the first frame that shows it, named there by the truth, through the clip.

    Points in pixels are put onto the drawn surface and projected again. Points that no frame shows, and frames whose
    view a point has left, are left out. Raises ValueError for a scene without opaque Gaussians or with other frames.
    """
    if len(tracks.positions) != len(scene.times):
        raise ValueError(f"{len(tracks.positions)} frames of tracks, but the scene has {len(scene.times)}")
    if not any(_opaque(scene, float(time)) for time in scene.times):
        raise ValueError("a scene without opaque Gaussians has no tissue to follow")
    named = np.flatnonzero(tracks.visible.any(0))
    first = tracks.visible[:, named].argmax(0)
    truth = tracks.positions[:, named]
    start = truth[first, np.arange(len(named))]
    if tracks.in_pixels:
        start = _on_surface(scene, start, first, backend)
    moved = follow_points(scene, start, scene.times[first], scene.times)
    found = _projected(scene, moved) if tracks.in_pixels else moved
    error = np.linalg.norm(found - truth, axis=2)
    judged = np.isfinite(error) & (np.arange(len(error))[:, None] != first)
    judged &= _in_view(scene, truth if tracks.in_pixels else _projected(scene, truth))
    shown = tracks.visible[:, named]
    everywhere = error[judged]
    return TrackErrors(
        "px" if tracks.in_pixels else ("mm" if scene.units == "mm" else "world units"),
        len(named),
        _median(error[judged & shown]),
        _median(error[judged & ~shown]),
        float(everywhere.mean()) if everywhere.size else float("nan"),
        float(np.percentile(everywhere, 95)) if everywhere.size else float("nan"),
    )


def _opaque(scene: Scene, time: float) -> bool:
    return bool((torch.sigmoid(scene.packed_at(time)[:, OPACITY]) > OPAQUE).any())


def _on_surface(
    scene: Scene, pixels: NDArray[np.float64], frame: NDArray[np.intp], backend: str
) -> NDArray[np.float64]:
    """World positions (P, 3) of what the scene draws at pixels (P, 2) of frames (P,); NaN where it draws nothing."""
    found = np.full((len(pixels), 3), np.nan)
    for k in np.unique(frame):
        own = np.flatnonzero(frame == k)
        camera = scene.camera(int(k))
        _, depth = render_frame(scene, float(scene.times[k]), camera, backend)
        column, row = np.floor(pixels[own]).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < scene.width) & (row < scene.height)
        z = np.where(inside, depth[row.clip(0, scene.height - 1), column.clip(0, scene.width - 1)], 0)
        rays = np.concatenate(
            [(pixels[own] - scene.K[k, :2, 2]) / scene.K[k, [0, 1], [0, 1]], np.ones((len(own), 1))], 1
        )
        pose = invert_rigid(scene.world_to_camera[k])
        found[own] = np.where((z > 0)[:, None], (rays * z[:, None]) @ pose[:3, :3].T + pose[:3, 3], np.nan)
    return found


def _projected(scene: Scene, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels (F, P, 2) of positions (F, P, 3); NaN behind the camera."""
    pose = scene.world_to_camera
    seen = np.einsum("fij,fpj->fpi", pose[:, :3, :3], positions) + pose[:, None, :3, 3]
    z = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
    focal = scene.K[:, [0, 1], [0, 1]]
    return np.asarray(seen[..., :2] / z * focal[:, None] + scene.K[:, None, :2, 2])


def _in_view(scene: Scene, pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(((pixels >= 0) & (pixels < (scene.width, scene.height))).all(2))


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if values.size else float("nan")
