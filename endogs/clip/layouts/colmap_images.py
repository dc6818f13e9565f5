"""Which pictures on disk are the images of a COLMAP model: in one folder, or in one of several cameras' subfolders.

COLMAP names an image by its path below the folder that it was given, with slashes: "0001.png", or "cam0/0001.png" where
the folder had subfolders (its documentation of `image_path`, and of rigs with a folder for each camera).
"""

from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

from endogs.bounded_files import listed
from endogs.clip.cameras.colmap_model import ColmapImage
from endogs.clip.files.frame_families import families, name_pattern
from endogs.clip.files.image_files import list_images
from endogs.errors import InputError
from endogs.plain_text import plain

IMAGES = ("images", "input", "img_train", "image", "frames", "rgb")
"""Folders that hold a model's images, beside the model's place or in the folder itself."""
DEEPEST = 3
"""Subfolders of such a folder that are looked into, one in the other."""
NAMED = 4
"""Folders or kinds of names that a sentence lists before it counts the rest."""


def image_root(path: Path, model: Path) -> Path | None:
    """The folder that the names in a model count from: beside the place of the model, or in `path`."""
    places = [parent for parent in model.parents if path in (parent, *parent.parents)]
    folders = [place / name for place in places for name in IMAGES]
    flat = next((folder for folder in folders if list_images(folder)), None)
    return flat or next((folder for folder in folders if _picture_folders(folder, DEEPEST)), None)


def images_of(
    model: Path, root: Path, registered: list[ColmapImage], wanted: str | None
) -> tuple[Path, list[Path], list[ColmapImage]]:
    """The folder of one camera's images, the frames in it, and which of the `registered` images these are.

    `wanted` is --images, compared with the names in the model. Raises InputError, naming the `model`, where the images
    of several cameras' folders or of several cameras' names are no one clip, and where nothing is like `wanted`.
    """
    chosen = registered
    if wanted is not None:
        pattern = name_pattern(wanted)
        chosen = [image for image in registered if any(pattern.fullmatch(text) for text in _spellings(image.name))]
        if not chosen:
            raise InputError(
                f'{model}: no image of the model is like --images "{plain(wanted)}", in which # stands for a number '
                f"and * for anything; there are {_counted(registered)}."
            )
    inside = {_inside(image.name) for image in chosen}
    there = {_relative(folder, root).lower(): folder for folder in _picture_folders(root, DEEPEST)}
    present = [there[str(name).lower()] for name in inside if name is not None and str(name).lower() in there]
    if len(inside) > 1 and (len(present) > 1 or "." not in there):
        example = sorted(str(folder) for folder in inside if folder is not None)[-1]
        raise InputError(
            f"{model}: its images are in {len(inside)} folders ({_counted(chosen)}), which are several cameras' or "
            f'several clips: choose one with --images, such as --images "{plain(example)}/*".'
        )
    folder = next(iter(present if len(inside) == 1 and present else there.values() if len(there) == 1 else [root]))
    paths = list_images(folder)
    if wanted is not None:
        at = {path.name for path in paths} & {PureWindowsPath(image.name).name for image in chosen}
        pattern = name_pattern(wanted)
        paths = [
            path
            for path in paths
            if path.name in at or any(pattern.fullmatch(text) for text in _spellings(_relative(path, root)))
        ]
    else:
        _check_one_camera(model, paths, chosen)
    return folder, paths, chosen


def _check_one_camera(model: Path, paths: list[Path], registered: list[ColmapImage]) -> None:
    """InputError for pictures of several cameras side by side, whose names repeat each other's numbers."""
    cameras: dict[str, set[int]] = {}
    for image in registered:
        cameras.setdefault(PureWindowsPath(image.name).name, set()).add(image.camera)
    kinds = [family for family in families(paths) if any(path.name in cameras for path in family.paths)]
    for i, one in enumerate(kinds):
        for other in kinds[:i]:
            own, others = (
                set().union(*(cameras.get(path.name, set()) for path in kind.paths)) for kind in (one, other)
            )
            if one.numbers & other.numbers and not own & others:
                names = ", ".join(kind.words for kind in kinds[:NAMED])
                raise InputError(
                    f"{model}: holds {len(kinds)} kinds of images of different cameras side by side ({names}), which "
                    f'are no one clip: choose one with --images, such as --images "{plain(kinds[0].pattern)}".'
                )


def _picture_folders(folder: Path, depth: int) -> list[Path]:
    """The folder and those in it, `depth` deep, that hold pictures themselves."""
    if not folder.is_dir():
        return []
    inner = [entry for entry in sorted(listed(folder)) if entry.is_dir()] if depth else []
    own = [folder] if list_images(folder) else []
    return own + [found for entry in inner for found in _picture_folders(entry, depth - 1)]


def _inside(name: str) -> PurePosixPath | None:
    """The folder that a name says, "." for none; None for what is not below the images' folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    is_below = not path.is_absolute() and ".." not in path.parts and ":" not in path.parts[0]
    return path.parent if is_below else None


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _spellings(name: str) -> tuple[str, str]:
    """A name with slashes, with its ending and without."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path), str(path.with_suffix(""))


def _counted(images: list[ColmapImage]) -> str:
    """How many images each folder holds: "cam0: 12, cam1: 12"."""
    counts = Counter(str(PurePosixPath(image.name.replace("\\", "/")).parent) for image in images)
    shown = ", ".join(f"{plain(name, 60)}: {count}" for name, count in sorted(counts.items())[:NAMED])
    return shown + (f" and {len(counts) - NAMED} more" if len(counts) > NAMED else "")
