"""The clips in a folder, in what a pattern names, and in a recipe's data set."""

import glob
import os
from pathlib import Path

from endogs.bounded_files import exists, listed
from endogs.clip.config import ClipOptions
from endogs.clip.files.image_files import natural_key
from endogs.clip.load import LAYOUTS, VIDEO_SUFFIXES
from endogs.errors import InputError
from endogs.pipeline.recipe import Recipe
from endogs.pipeline.result_files import RECORD

DEEPEST = 4
"""Folders in folders that are looked into: data sets keep a sequence one to three deep."""
MOST = 100_000
"""Clips that one search may find."""
LOOSE = ("image-folder", "image-stack", "video", "stereo-video")
"""Layouts that a folder of several clips may resemble, by what lies loose in it."""


def is_pattern(text: str) -> bool:
    """Whether a path is a pattern rather than a name."""
    return glob.has_magic(text) and not exists(Path(text))


def of_pattern(pattern: str) -> list[Path]:
    """What a pattern names, in natural order, hidden entries left out. Raises InputError where it names nothing."""
    found = sorted((Path(name) for name in glob.glob(pattern, recursive=True)), key=_order)
    if not found:
        raise InputError(f"{pattern}: no file or folder has such a name: check the pattern.")
    return found


def in_folder(folder: Path, out: Path) -> list[Path]:
    """The clips in a folder, in natural order: videos by their ending, and folders that a reader knows, also in folders
    of folders. Results of endogs, hidden entries and `out` are passed over.

    A folder that is itself a clip counts as one. Raises InputError where there is none.
    """
    kinds = {layout.KIND for layout in LAYOUTS if _fits(layout, folder)}
    if kinds - set(LOOSE) or (folder / "images").is_dir():
        return [folder]
    found: list[Path] = []
    _collect(folder, out.absolute(), None, DEEPEST, found)
    if not found and kinds:
        return [folder]
    if not found:
        raise InputError(f"{folder}: holds no clip: give a folder of videos, of image folders or of a data set.")
    return found


def of_recipe(recipe: Recipe, data: Path, out: Path) -> list[Path]:
    """The sequences of a recipe's data set under `data`, in natural order. Raises InputError where there is none."""
    if not exists(data):
        raise InputError(f"{data}: no such file or folder: --data must name the data of {recipe.title}.")
    if any(_fits(layout, data) for layout in LAYOUTS if layout.KIND in recipe.layouts):
        return [data]
    found: list[Path] = []
    if data.is_dir():
        _collect(data, out.absolute(), recipe.layouts, DEEPEST, found)
    if not found:
        raise InputError(f"{data}: holds no sequence of {recipe.title}; each is expected as {recipe.folder}.")
    return found


def _collect(folder: Path, out: Path, kinds: tuple[str, ...] | None, deep: int, found: list[Path]) -> None:
    """Adds the clips below a folder, of these layouts or of any; what is a clip is not looked into."""
    for path in sorted(listed(folder), key=_order):
        if path.name.startswith(".") or path.absolute() == out:
            continue
        if path.is_dir():
            if (path / RECORD).is_file():
                continue
            if any(_fits(layout, path) for layout in LAYOUTS if kinds is None or layout.KIND in kinds):
                found.append(path)
            elif deep > 1 and not path.is_symlink():
                _collect(path, out, kinds, deep - 1, found)
        elif kinds is None and path.suffix.lower() in VIDEO_SUFFIXES:
            found.append(path)
        if len(found) > MOST:
            raise InputError(f"{folder}: more than {MOST} clips: give a part of them.")


def _fits(layout: object, path: Path) -> bool:
    why_not = layout.why_not  # type: ignore[attr-defined]
    try:
        return why_not(path, ClipOptions()) is None
    except InputError:  # a clip, whose fault its own reader will tell
        return True


def _order(path: Path) -> list[list[tuple[int, int, str]]]:
    return [natural_key(Path(part)) for part in os.path.normpath(path).split(os.sep)]
