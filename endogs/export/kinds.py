"""The kinds of `endogs export`. No torch here.

A new one is a file with its options and a function that runs them, and a line here.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from endogs.errors import InputError
from endogs.export.config import (
    CameraFormat,
    DepthFormat,
    ExportCameras,
    ExportDepth,
    ExportHtml,
    ExportMesh,
    ExportPoints,
    ExportSplats,
    ExportTracks,
    ExportVideo,
    MeshFormat,
    PointFormat,
    SplatFormat,
    TrackFormat,
)


@dataclass(frozen=True)
class Kind:
    """What `endogs export` writes, in one form or another."""

    options: type[Any]
    """A dataclass, which the command line is made of."""
    runs: str
    """Where the function is that takes them, "module:name"; imported only when it runs."""
    formats: tuple[str, ...]
    """Words that somebody may give where the kind belongs."""


KINDS: dict[str, Kind] = {
    "points": Kind(ExportPoints, "endogs.export.commands:run_points", get_args(PointFormat)),
    "splats": Kind(ExportSplats, "endogs.export.commands:run_splats", get_args(SplatFormat)),
    "mesh": Kind(ExportMesh, "endogs.export.commands:run_mesh", get_args(MeshFormat)),
    "video": Kind(ExportVideo, "endogs.export.commands:run_video", ("mp4",)),
    "depth": Kind(ExportDepth, "endogs.export.commands:run_depth", get_args(DepthFormat)),
    "cameras": Kind(ExportCameras, "endogs.export.commands:run_cameras", get_args(CameraFormat)),
    "tracks": Kind(ExportTracks, "endogs.export.commands:run_tracks", get_args(TrackFormat)),
    "html": Kind(ExportHtml, "endogs.export.commands:run_html", ("htm",)),
}
"""By name, in the order of the command's help."""


def check_kind(word: str) -> None:
    """Raises InputError for a word that is no kind, naming those that write such a format or are spelled like it."""
    if word in KINDS:
        return
    asked = word.lower().lstrip(".")
    likely = [name for name, kind in KINDS.items() if asked in kind.formats] or get_close_matches(asked, KINDS)
    use, example = (_listed(likely), likely[0]) if likely else ("one of them", "points")
    raise InputError(
        f"export {word}: no such kind among {', '.join(KINDS)}; use {use}, as in `endogs export {example} SCENE`"
    )


def _listed(kinds: list[str]) -> str:
    return " or ".join([part for part in (", ".join(kinds[:-1]), kinds[-1]) if part])
