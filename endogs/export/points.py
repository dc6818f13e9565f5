"""Coloured point clouds: the centres of the Gaussians at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from endogs.errors import InputError
from endogs.export.config import PointFormat
from endogs.export.moments import Moment, moment, requested_times
from endogs.export.ply import write_ply
from endogs.output import write_one_or_many
from endogs.scene import Scene

FORMATS: tuple[PointFormat, ...] = ("ply", "pcd", "xyz")


def export_points(
    scene: Scene,
    times: Sequence[float] | str,
    path: Path,
    format: PointFormat | None = None,
    min_opacity: float = 0.1,
) -> list[Path]:
    """Writes the centres of the Gaussians, with colours and (PLY, PCD) normals, in the scene's units.

    `times` are seconds since the clip's first frame, "first" or "all"; one time writes the file `path`, several the
    folder `path` with 000000.ply, 000001.ply... `format` is by default what the ending of `path` says, else PLY. PLY
    is binary with x y z nx ny nz (float) and red green blue (uchar); its comments state units and time. PCD is
    binary, written by open3d. XYZ is text, a line "x y z red green blue" per point, colours 0..255.

    Returns the files. Raises InputError for a time outside the clip, a filter that leaves nothing, an ending that
    contradicts `format`, and a path that cannot be written.
    """
    chosen = point_format(path, format)
    moments = requested_times(scene, times)

    def write(file: Path, time: float | None) -> None:
        WRITERS[chosen](file, moment(scene, time, min_opacity))

    return write_one_or_many(path, f".{chosen}", moments, write)


def point_format(path: Path | None, format: PointFormat | None) -> PointFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    ending = path.suffix.lower().removeprefix(".") if path is not None else ""
    by_ending = next((known for known in FORMATS if known == ending), None)
    if format and by_ending and format != by_ending:
        raise InputError(f"{path} ends in .{ending} but --format is {format}; make them agree.")
    return format or by_ending or "ply"


def eight_bit_colors(at: Moment) -> np.ndarray:
    """(N, 3) uint8 sRGB, clipped."""
    return np.round(at.gaussians.colors.clamp(0, 1).numpy() * 255).astype(np.uint8)


def _write_ply(path: Path, at: Moment) -> None:
    columns = dict(zip("xyz", at.gaussians.means.numpy().T, strict=True))
    columns |= dict(zip(("nx", "ny", "nz"), at.normals.numpy().T, strict=True))
    columns |= dict(zip(("red", "green", "blue"), eight_bit_colors(at).T, strict=True))
    write_ply(path, columns, at.comments)


def _write_pcd(path: Path, at: Moment) -> None:
    from endogs.open3d_library import import_open3d

    open3d = import_open3d()
    vectors = open3d.utility.Vector3dVector
    cloud = open3d.geometry.PointCloud(vectors(at.gaussians.means.double().numpy()))
    cloud.normals = vectors(at.normals.double().numpy())
    cloud.colors = vectors(eight_bit_colors(at) / 255.0)
    if not open3d.io.write_point_cloud(str(path), cloud):
        raise OSError(f"open3d could not write {path.name}")


def _write_xyz(path: Path, at: Moment) -> None:
    table = np.concatenate([at.gaussians.means.double().numpy(), eight_bit_colors(at)], 1)
    header = "\n".join([*at.comments, "x y z red green blue"])
    np.savetxt(path, table, fmt="%.6f %.6f %.6f %d %d %d", header=header, encoding="utf-8")


WRITERS = {"ply": _write_ply, "pcd": _write_pcd, "xyz": _write_xyz}
