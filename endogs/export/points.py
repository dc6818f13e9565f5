"""Coloured point clouds: the centres of the Gaussians at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from endogs.export.config import PointFormat
from endogs.export.file_format import file_format
from endogs.export.formats.pcd import write_pcd
from endogs.export.formats.ply import write_ply
from endogs.export.moments import Moment, moment, requested_times
from endogs.export.neighbours import surface_normals
from endogs.export.selection import Selection
from endogs.export.units import about
from endogs.output import write_one_or_many
from endogs.scene import Scene

SUFFIXES: dict[PointFormat, str] = {"ply": ".ply", "ply-ascii": ".ply", "pcd": ".pcd", "xyz": ".xyz", "npz": ".npz"}


def export_points(
    scene: Scene,
    times: Sequence[float] | str,
    path: Path,
    format: PointFormat | None = None,
    min_opacity: float = 0.1,
    selection: Selection | None = None,
    written: list[int] | None = None,
) -> list[Path]:
    """Writes the centres of the Gaussians, with colours and normals, in the scene's units.

    `times` are seconds since the clip's first frame, "first" or "all"; one time writes the file `path`, several the
    folder `path` with 000000.ply, 000001.ply... `format` is by default what the ending of `path` says, else PLY;
    docs/usage/EXPORT.md lists the columns. `selection` replaces `min_opacity` where more is asked. Normals are those of
    the surface through neighbouring centres, and face the clip's camera; where it moves, the nearest one that shows the
    point. `written` gets the number of Gaussians in every file. Confidence, visible frames and the label "seen" are
    written where the scene knows its visibility.

    Returns the files. Raises InputError for a time outside the clip, a filter that leaves nothing, an ending that
    contradicts `format`, and a path that cannot be written.
    """
    chosen = point_format(path, format)
    wanted = selection or Selection(min_opacity)
    wanted.check()

    def write(file: Path, time: float | None) -> None:
        at = moment(scene, time, wanted)
        if written is not None:
            written.append(len(at.rows))
        columns = point_columns(at, surface_normals(at.gaussians.means.numpy(), at.eyes))
        if chosen in ("ply", "ply-ascii"):
            write_ply(file, columns, at.comments, ascii=chosen == "ply-ascii")
        elif chosen == "pcd":
            write_pcd(file, columns, at.comments)
        elif chosen == "xyz":
            _write_xyz(file, columns)
        else:
            _write_npz(file, columns, at, scene)

    return write_one_or_many(path, SUFFIXES[chosen], requested_times(scene, times), write)


def point_format(path: Path | None, format: PointFormat | None) -> PointFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    return file_format(path, format, get_args(PointFormat), "ply", SUFFIXES)


def point_columns(at: Moment, normals: NDArray[np.float32]) -> dict[str, NDArray]:
    """Columns (N,) by their PLY names: centres, normals, 8-bit sRGB, and evidence where there is any."""
    columns: dict[str, NDArray] = dict(zip("xyz", at.gaussians.means.numpy().T, strict=True))
    columns |= dict(zip(("nx", "ny", "nz"), normals.T, strict=True))
    colors = np.round(at.gaussians.colors.clamp(0, 1).numpy() * 255).astype(np.uint8)
    columns |= dict(zip(("red", "green", "blue"), colors.T, strict=True))
    if at.evidence is not None:
        columns["confidence"] = at.evidence.confidence
        columns["visible_frames"] = at.evidence.frames
        columns["seen"] = at.evidence.seen.astype(np.uint8)
    return columns


def _write_xyz(path: Path, columns: dict[str, NDArray]) -> None:
    """Six columns and nothing else: MeshLab reads no other `.xyz` than of three or six numbers a line, no comments."""
    table = np.stack([columns[name].astype(np.float64) for name in ("x", "y", "z", "red", "green", "blue")], 1)
    np.savetxt(path, table, fmt=["%.6f"] * 3 + ["%d"] * 3, encoding="utf-8")


def _write_npz(path: Path, columns: dict[str, NDArray], at: Moment, scene: Scene) -> None:
    arrays: dict[str, Any] = {
        "positions": np.stack([columns[name] for name in "xyz"], 1),
        "normals": np.stack([columns[name] for name in ("nx", "ny", "nz")], 1),
        "colors": np.stack([columns[name] for name in ("red", "green", "blue")], 1),
        "opacity": 1 / (1 + np.exp(-at.gaussians.opacity_logits.numpy())),
        "gaussian": at.rows.astype(np.int32),
    }
    arrays |= {name: columns[name] for name in ("confidence", "visible_frames") if name in columns}
    if at.evidence is not None:
        arrays["seen"] = at.evidence.seen
    arrays |= {name: np.array(value) for name, value in about(scene, at.time).items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)
