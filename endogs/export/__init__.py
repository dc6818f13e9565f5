"""What leaves endogs: point clouds and splats that other programs open, and a page that plays the scene."""

from collections.abc import Sequence
from pathlib import Path

from endogs.errors import InputError
from endogs.export.config import ExportHtml, ExportPoints, ExportSplats

__all__ = ["ExportHtml", "ExportPoints", "ExportSplats", "run_html", "run_points", "run_splats"]


def run_points(config: ExportPoints) -> list[Path]:
    """`endogs export points`: writes the files and names them; returns them.

    Raises InputError as `load_scene` and `export_points` do.
    """
    from endogs.export.points import export_points, point_format
    from endogs.scene.scene_file import load_scene

    chosen = point_format(config.out, config.format)
    scene = load_scene(config.scene)
    several = _several(config.time, len(scene.times))
    if not several and config.format is None:
        _check_ending(config.out, (".ply", ".pcd", ".xyz"))
    path = config.out or _beside(config.scene) / ("points" if several else f"points.{chosen}")
    return _told(path, export_points(scene, config.time, path, chosen, config.min_opacity))


def run_splats(config: ExportSplats) -> list[Path]:
    """`endogs export splats`: writes the files and names them; returns them.

    Raises InputError as `load_scene` and `export_splats` do.
    """
    from endogs.export.splats import export_splats
    from endogs.scene.scene_file import load_scene

    scene = load_scene(config.scene)
    several = _several(config.time, len(scene.times))
    if not several:
        _check_ending(config.out, (".ply",))
    path = config.out or _beside(config.scene) / ("splats" if several else "splats.ply")
    return _told(path, export_splats(scene, config.time, path, config.min_opacity))


def run_html(config: ExportHtml) -> Path:
    """`endogs export html`: writes the page and says its size and what coding it cost; returns it.

    Raises InputError as `load_scene` and `export_html` do.
    """
    from endogs.export.html import export_html
    from endogs.scene.scene_file import load_scene

    _check_ending(config.out, (".html", ".htm"))
    if config.max_gaussians < 1:
        raise InputError(f"--max-gaussians {config.max_gaussians} is out of range; give at least 1.")
    scene = load_scene(config.scene)
    title = config.title or str(scene.metadata.get("clip") or config.scene.resolve().stem)
    page = export_html(scene, config.out or _beside(config.scene) / "player.html", title, config.max_gaussians)
    fewer = page.gaussians < page.original_gaussians
    of = f" of {page.original_gaussians:,}, those that contribute most" if fewer else ""
    spline = (
        f"; its '{page.converted}' deformation became a spline, at {page.conversion:.1f} dB" if page.converted else ""
    )
    coded = f"coded at {page.fidelity:.1f} dB{spline}"
    print(f"{page.path}: {page.size / 1e6:.1f} MB, {page.gaussians:,} Gaussians{of}, {coded}")
    return page.path


def _several(time: Sequence[float] | str, frames: int) -> bool:
    return frames > 1 if time == "all" else not isinstance(time, str) and len(time) > 1


def _check_ending(path: Path | None, endings: tuple[str, ...]) -> None:
    """Raises InputError when a file's name promises a format that it will not have."""
    if path is not None and path.suffix and path.suffix.lower() not in endings:
        raise InputError(f"{path}: {path.suffix} files are not written here; end the name in {' or '.join(endings)}.")


def _beside(scene: Path) -> Path:
    return scene if scene.is_dir() else scene.parent


def _told(path: Path, files: list[Path]) -> list[Path]:
    print(path if len(files) == 1 else f"{path}: {len(files)} files")
    return files
