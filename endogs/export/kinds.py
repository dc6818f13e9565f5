"""The kinds of `endogs export` and the formats that each writes, for who gives a format where a kind belongs."""

from difflib import get_close_matches
from typing import get_args

from endogs.errors import InputError
from endogs.export.config import CameraFormat, DepthFormat, MeshFormat, PointFormat, SplatFormat, TrackFormat

FORMATS: dict[str, tuple[str, ...]] = {
    "points": get_args(PointFormat),
    "splats": get_args(SplatFormat),
    "mesh": get_args(MeshFormat),
    "video": ("mp4",),
    "depth": get_args(DepthFormat),
    "cameras": get_args(CameraFormat),
    "tracks": get_args(TrackFormat),
    "html": ("htm",),
}
"""Formats by kind, in the order of the command's help."""


def check_kind(word: str) -> None:
    """Raises InputError for a word that is no kind, naming those that write such a format or are spelled like it."""
    if word in FORMATS:
        return
    asked = word.lower().lstrip(".")
    likely = [kind for kind, formats in FORMATS.items() if asked in formats] or get_close_matches(asked, FORMATS)
    use, example = (_listed(likely), likely[0]) if likely else ("one of them", "points")
    raise InputError(
        f"export {word}: no such kind among {', '.join(FORMATS)}; use {use}, as in `endogs export {example} SCENE`"
    )


def _listed(kinds: list[str]) -> str:
    return " or ".join([part for part in (", ".join(kinds[:-1]), kinds[-1]) if part])
