"""The verbs of `endogs export`: options in, files out, their names on standard output.

Every function returns what it wrote, and raises InputError as `load_scene` and the kind's own function do.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from endogs import native
from endogs.errors import InputError
from endogs.export.config import (
    ExportCameras,
    ExportDepth,
    ExportHtml,
    ExportMesh,
    ExportPoints,
    ExportSplats,
    ExportTracks,
    ExportVideo,
)
from endogs.plain_text import plain

if TYPE_CHECKING:
    from endogs.export.selection import Selection
    from endogs.scene import Scene

LONGEST_TITLE = 200
"""Letters of a page's heading."""


def _albedo(scene: "Scene", config: ExportPoints | ExportSplats) -> "Scene":
    """The scene, coloured by its albedo where that is asked for."""
    if not config.albedo:
        return scene
    from endogs.scene.appearance import Light
    from endogs.scene.relight import relit

    return relit(scene, Light(ambient_only=True), config.scene)


@native.cores_for_kernels()
def run_points(config: ExportPoints) -> list[Path]:
    """`endogs export points`."""
    from endogs.export.evidence import with_visibility
    from endogs.export.extent import decided
    from endogs.export.points import SUFFIXES, export_points, point_format
    from endogs.export.selection import Selection
    from endogs.scene.scene_file import load_scene

    chosen = point_format(config.out, config.format)
    selection = Selection(
        config.min_opacity, config.min_frames, config.show, config.outlier_deviations, config.view_only
    )
    selection.check()
    scene = _albedo(load_scene(config.scene), config)
    several = _several(config.time, len(scene.times))
    if not several:
        _check_ending(config.out, tuple(SUFFIXES.values()))
    needed_for = "--min-frames" if config.min_frames else "--show" if selection.needs_evidence else None
    scene = with_visibility(scene, config.scene, needed_for)
    _tell_of_map(selection, scene, config.time)
    path = config.out or _beside(config.scene) / ("points" if several else f"points{SUFFIXES[chosen]}")
    written: list[int] = []
    files = export_points(scene, config.time, path, chosen, selection=selection, written=written)
    _tell_left_out(written, len(scene), decided(selection, scene).words())
    return _told(path, files)


def run_splats(config: ExportSplats) -> list[Path]:
    """`endogs export splats`."""
    from endogs.export.extent import decided
    from endogs.export.selection import Selection
    from endogs.export.splats import export_splats, splat_format
    from endogs.scene.scene_file import load_scene

    chosen = splat_format(config.out, config.format)
    selection = Selection(config.min_opacity, show=config.show, view_only=config.view_only)
    scene = _albedo(load_scene(config.scene), config)
    _tell_of_map(selection, scene, config.time)
    several = _several(config.time, len(scene.times))
    if not several:
        _check_ending(config.out, (".ply", ".splat", ".glb"))
    path = config.out or _beside(config.scene) / ("splats" if several else f"splats.{chosen}")
    written: list[int] = []
    files = export_splats(scene, config.time, path, format=chosen, written=written, selection=selection)
    _tell_left_out(written, len(scene), decided(selection, scene).words())
    return _told(path, files)


@native.cores_for_kernels()
def run_mesh(config: ExportMesh) -> list[Path]:
    """`endogs export mesh`."""
    from endogs.export.mesh import export_mesh, mesh_format, surface_selection
    from endogs.scene.scene_file import load_scene

    chosen = mesh_format(config.out, config.format)
    scene = load_scene(config.scene)
    _tell_of_map(surface_selection(config), scene, config.time)
    several = _several(config.time, len(scene.times))
    if not several:
        _check_ending(config.out, (".ply", ".obj", ".glb"))
    path = config.out or _beside(config.scene) / ("mesh" if several else f"mesh.{chosen}")
    return _told(path, export_mesh(scene, config, path, chosen))


@native.cores_for_kernels()
def run_video(config: ExportVideo) -> Path:
    """`endogs export video`."""
    from endogs.export.video import check_video, export_video
    from endogs.pictures.drawing_device import drawing_device
    from endogs.scene.scene_file import load_scene

    check_video(config)
    _check_ending(config.out, (".mp4",), needed=True)
    scene = load_scene(config.scene).to(drawing_device(config.device, "auto"))
    path = config.out or _beside(config.scene) / f"{config.what}.mp4"
    count = export_video(scene, config, path)
    print(f"{plain(path)}: {count} pictures")
    return path


@native.cores_for_kernels()
def run_depth(config: ExportDepth) -> list[Path]:
    """`endogs export depth`."""
    from endogs.export.depth_maps import export_depth
    from endogs.scene.scene_file import load_scene

    path = config.out or _beside(config.scene) / "depth"
    return _told(path, export_depth(load_scene(config.scene), config.time, path, config.format, config.scale))


def run_cameras(config: ExportCameras) -> Path:
    """`endogs export cameras`."""
    from endogs.export.cameras import DEFAULT_NAMES, export_cameras
    from endogs.scene.scene_file import load_scene

    path = config.out or _beside(config.scene) / DEFAULT_NAMES[config.format]
    scene = load_scene(config.scene)
    export_cameras(scene, path, config.format, config.max_points)
    if lost := int((~scene.placed).sum()):
        _tell(f"{lost} of {len(scene.times)} frames have no camera there: no pose was found for them")
    print(plain(path))
    return path


@native.cores_for_kernels()
def run_tracks(config: ExportTracks) -> Path:
    """`endogs export tracks`."""
    from endogs.export.tracks import export_tracks, track_format
    from endogs.scene.scene_file import load_scene

    chosen = track_format(config.out, config.format)
    _check_ending(config.out, (".csv", ".npz"), needed=True)
    path = config.out or _beside(config.scene) / f"tracks.{chosen}"
    count = export_tracks(load_scene(config.scene), path, chosen, config.count, config.gaussian)
    print(f"{plain(path)}: {count} points")
    return path


def run_html(config: ExportHtml) -> Path:
    """`endogs export html`; also says the page's size and what coding it cost."""
    from endogs.export.html import export_html
    from endogs.scene.scene_file import load_scene

    _check_ending(config.out, (".html", ".htm"))
    scene = load_scene(config.scene)
    title = plain(config.title or scene.origin.clip_name or config.scene.resolve().stem, LONGEST_TITLE)
    path = config.out or _beside(config.scene) / "player.html"
    page = export_html(scene, path, title, config.max_gaussians, config.start, config.end, config.megabytes)
    _tell(page.advice)
    fewer = page.gaussians < page.original_gaussians
    of = f" of {page.original_gaussians:,}, those that contribute most" if fewer else ""
    change = f"; its {_became(page.converted)}, at {page.conversion:.1f} dB" if page.converted else ""
    length = f"{page.size / 1e6:.1f} MB, {page.seconds:.2f} s"
    print(f"{plain(page.path)}: {length}, {page.gaussians:,} Gaussians{of}, coded at {page.fidelity:.1f} dB{change}")
    return page.path


def _became(converted: str) -> str:
    """What a page's scene changed into what, in words."""
    from endogs.export.html.showable import LIGHT

    if converted == LIGHT:
        return "colours that depend on the camera became plain ones"
    what = converted if " " in converted else f"'{converted}' deformation"
    return f"{what} became a spline"


def _several(time: Sequence[float] | str, frames: int) -> bool:
    return frames > 1 if time == "all" else not isinstance(time, str) and len(time) > 1


def _check_ending(path: Path | None, endings: tuple[str, ...], needed: bool = False) -> None:
    """Raises InputError when a file's name promises a format that it will not have, or `needed` and says none."""
    if path is not None and (path.suffix or needed) and path.suffix.lower() not in endings:
        what = f"{path.suffix} files are not written here" if path.suffix else "the name has no ending"
        raise InputError(f"{path}: {what}; end the name in {' or '.join(dict.fromkeys(endings))}.")


def _beside(scene: Path) -> Path:
    return scene if scene.is_dir() else scene.parent


def _tell_of_map(selection: "Selection", scene: "Scene", times: Sequence[float] | str) -> None:
    """Say what a whole map lacks, or has too much."""
    from endogs.export.extent import carried_note, extent_note
    from endogs.export.moments import requested_times

    for note in (extent_note(selection, scene), carried_note(selection, scene, requested_times(scene, times))):
        _tell(note)


def _tell(note: str | None) -> None:
    if note is not None:
        print(f"note: {note}", file=sys.stderr)


def _tell_left_out(written: list[int], total: int, filters: str) -> None:
    """Say how many of `total` Gaussians the `filters` kept out of the files that hold `written` of them."""
    fewest, most = total - max(written), total - min(written)
    if most:
        count = str(most) if fewest == most else f"{fewest} to {most}"
        print(f"note: {count} of {total} Gaussians are left out by {filters}", file=sys.stderr)


def _told(path: Path, files: list[Path]) -> list[Path]:
    print(plain(path) if len(files) == 1 and files[0] == path else f"{plain(path)}: {len(files)} files")
    return files
