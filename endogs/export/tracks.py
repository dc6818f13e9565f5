"""Where points of the tissue are over time, as the Gaussians carry them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.config import TrackFormat
from endogs.export.file_format import file_format
from endogs.export.units import about, header_lines
from endogs.gaussians import OPACITY
from endogs.memory_budget import require_memory
from endogs.output import new_file
from endogs.pictures.find_visibility import find_visibility
from endogs.scene import Scene
from endogs.scene.chain import SceneChain, identity_of
from endogs.scene.following import follow_points

COUNT = 500
"""Points that are followed where nothing else is asked for."""
OPAQUE = 0.1
"""Least opacity at the first frame of a Gaussian that is chosen."""

TRACK_BYTES = 100
"""Of a point at a frame: its row of float64 in the table, its positions, and what numpy needs to join them."""


def export_tracks(
    scene: Scene,
    path: Path,
    format: TrackFormat | None = None,
    count: int | None = None,
    gaussian: tuple[int, ...] = (),
) -> int:
    """Writes positions and visibility of Gaussians at every frame of the clip; returns how many are followed.

    `gaussian` names them by index; without, `count` (COUNT) are spread evenly over those that the first frame shows.
    CSV has the columns gaussian, frame, time_s, x, y, z, visible after comment lines; npz has positions (F, P, 3),
    visible (F, P), times (F,), gaussian (P,), units, axes, and time_offset where the scene knows it: seconds from the
    input's first frame to the clip's, from which times count. Visible means that the frame shows the Gaussian, as
    `endogs.scene.visibility` defines it; for a scene that does not know where instruments are, that it is drawn.

    Raises InputError for a number out of range, for a scene that shows nothing, an ending that contradicts `format`,
    and a path that cannot be written.
    """
    chosen = track_format(path, format)
    if gaussian and count is not None:
        raise InputError("--count is not used with --gaussian, which names the points; leave one of them out.")
    points = len(gaussian) or min(COUNT if count is None else max(count, 0), len(scene))
    require_memory(
        TRACK_BYTES * points * len(scene.times),
        f"{points} tracks of {len(scene.times)} frames",
        "follow fewer points with --count or --gaussian",
    )
    if isinstance(scene, SceneChain):
        rows, positions, seen = _through(scene, gaussian, COUNT if count is None else count)
        with new_file(path) as partial:
            (_write_npz if chosen == "npz" else _write_csv)(partial, scene, rows, positions, seen)
        return len(rows)
    if scene.visibility is None:
        everywhere = np.ones((scene.height, scene.width), bool)
        scene = replace(scene, visibility=find_visibility(scene, lambda _: everywhere))
    assert scene.visibility is not None
    visible = scene.visibility.frames_seen(len(scene.times))
    rows = _given(scene, gaussian) if gaussian else _spread(scene, visible[:, 0], COUNT if count is None else count)
    followed = scene.select(torch.from_numpy(rows).to(scene.base.device))
    positions = np.stack([followed.packed_at(float(time))[:, :3].float().cpu().numpy() for time in scene.times])
    with new_file(path) as partial:
        if chosen == "npz":
            _write_npz(partial, scene, rows, positions, visible[rows].T)
        else:
            _write_csv(partial, scene, rows, positions, visible[rows].T)
    return len(rows)


def _through(
    chain: SceneChain, gaussian: tuple[int, ...], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Numbers (P,) of Gaussians, where they are (F, P, 3), and whether each frame shows them (F, P).

    In a chain a Gaussian is named by its `identity`. Where a segment does not hold it any more, or not yet, its place
    is that of the tissue, carried on by what is around it, and no frame shows it.
    """
    opening = chain.segment(0)
    if gaussian:
        for index in gaussian:
            if not 1 <= index <= len(chain):
                raise InputError(f"--gaussian {index} does not exist; the scene has {len(chain)}, counted from 1.")
        numbers = np.array(gaussian, np.int64)
    else:
        assert opening.visibility is not None
        shown = opening.visibility.frames_seen(len(opening.times))[:, 0]
        numbers = identity_of(opening).cpu().numpy()[_spread(opening, shown, count)]
    frames = len(chain.times)
    positions = np.full((frames, len(numbers), 3), np.nan)
    visible = np.zeros((frames, len(numbers)), bool)
    weights = np.zeros((frames, len(numbers), 1))
    for k, frames_of in enumerate(chain.segments):
        segment = chain.segment(k)
        rows = _rows_of(identity_of(segment).cpu().numpy(), numbers)
        held = np.flatnonzero(rows >= 0)
        part = segment.select(torch.from_numpy(rows[held]).to(segment.device))
        assert part.visibility is not None
        visible[frames_of.first : frames_of.last + 1, held] |= part.visibility.frames_seen(len(part.times)).T
        for frame in frames_of.frames:
            time = float(chain.times[frame])
            number, share = chain.at(time)
            weight = 1 - share if number == k else share if number + 1 == k else 0.0
            if weight <= 0 or not len(held):
                continue
            here = part.packed_at(time)[:, :3].double().cpu().numpy()
            positions[frame, held] = np.nan_to_num(positions[frame, held]) + weight * here
            weights[frame, held] += weight
    positions = np.where(weights > 0, positions / np.maximum(weights, 1e-12), np.nan)
    for column in np.flatnonzero(np.isnan(positions).any((0, 2)) & ~np.isnan(positions).all((0, 2))):
        _carry_on(chain, positions[:, column])
    return numbers, positions.astype(np.float32), visible


def _rows_of(identity: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of the `numbers` (P,) is in `identity` (N,); -1 where it is not."""
    order = np.argsort(identity)
    at = np.minimum(np.searchsorted(identity, numbers, sorter=order), len(identity) - 1)
    return np.where(identity[order[at]] == numbers, order[at], -1)


def _carry_on(chain: SceneChain, path: NDArray[np.float64]) -> None:
    """Fill the frames of a path (F, 3), in place, before its first and after its last known place."""
    known = np.flatnonzero(~np.isnan(path).any(1))
    for end, missing in ((known[0], np.arange(known[0])), (known[-1], np.arange(known[-1] + 1, len(path)))):
        if len(missing):
            named = np.array([float(chain.times[end])])
            path[missing] = follow_points(chain, path[end][None], named, chain.times[missing])[:, 0]


def track_format(path: Path | None, format: TrackFormat | None) -> TrackFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    return file_format(path, format, get_args(TrackFormat), "csv")


def _given(scene: Scene, gaussian: tuple[int, ...]) -> NDArray[np.int64]:
    for index in gaussian:  # before numpy, whose integers end
        if not 0 <= index < len(scene):
            raise InputError(f"--gaussian {index} does not exist; the scene has {len(scene)}, counted from 0.")
    return np.array(gaussian, np.int64)


def _spread(scene: Scene, visible: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """`count` indices, each the farthest from those before it (Gonzalez 1985), beginning in the middle; ascending."""
    if count < 1:
        raise InputError(f"--count {count} is out of range; give at least 1.")
    packed = scene.packed_at(float(scene.times[0])).float().cpu()
    candidates = np.flatnonzero(visible & (torch.sigmoid(packed[:, OPACITY]) >= OPAQUE).numpy())
    if not len(candidates):
        raise InputError("The first frame shows no Gaussian to follow; name some with --gaussian.")
    means = packed[candidates, :3].double().numpy()
    distance = np.full(len(means), np.inf)
    picked = [int(np.argmin(((means - np.median(means, axis=0)) ** 2).sum(1)))]
    for _ in range(min(count, len(means)) - 1):
        distance = np.minimum(distance, ((means - means[picked[-1]]) ** 2).sum(1))
        distance[picked[-1]] = -1
        picked.append(int(np.argmax(distance)))
    return np.sort(candidates[picked])


def _write_npz(path: Path, scene: Scene, rows: NDArray, positions: NDArray, visible: NDArray[np.bool_]) -> None:
    described: dict[str, Any] = {name: np.array(value) for name, value in about(scene).items()}
    if scene.origin.time_offset is not None:
        described["time_offset"] = np.float64(scene.origin.time_offset)
    with open(path, "wb") as file:
        np.savez_compressed(
            file, positions=positions, visible=visible, times=scene.times, gaussian=rows.astype(np.int32), **described
        )


def _write_csv(path: Path, scene: Scene, rows: NDArray, positions: NDArray, visible: NDArray[np.bool_]) -> None:
    comments = [line for line in header_lines(scene, None) if not line.startswith("time")]
    frames, points = positions.shape[:2]
    table = np.column_stack(
        [
            np.tile(rows, frames),
            np.repeat(np.arange(frames), points),
            np.repeat(scene.times, points),
            positions.reshape(-1, 3).astype(np.float64),
            visible.ravel(),
        ]
    )
    header = "\n".join([*(f"# {line}" for line in comments), "gaussian,frame,time_s,x,y,z,visible"])
    formats = ["%d", "%d", "%.6f", "%.6f", "%.6f", "%.6f", "%d"]
    np.savetxt(path, table, fmt=formats, delimiter=",", header=header, comments="", encoding="utf-8")
