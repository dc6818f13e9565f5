"""Which mask, depth map or right view belongs to which image."""

import re
from pathlib import Path

from endogs.clip.files.frame_families import families
from endogs.errors import InputError

NAMED = 3
"""How many missing files an error names before it counts the rest."""


def pair_with_images(images: list[Path], others: list[Path], notes: list[str]) -> list[Path]:
    """The one of `others` that belongs to each of `images`, both in natural order.

    Files belong together when their names hold the same numbers, `frame-000007.color.png` and `7.mask.png`. Names whose
    numbers have nothing in common are paired in order when there are as many of them, with a note. Raises InputError
    naming the images that have no partner, or the files that have no image.
    """
    image_keys, other_keys = [_numbers(path) for path in images], [_numbers(path) for path in others]
    folder = others[0].parent.name
    unique = len(set(image_keys)) == len(images) and len(set(other_keys)) == len(others)
    partners = dict(zip(other_keys, others, strict=True))
    if unique and set(image_keys) == set(other_keys):
        return [partners[key] for key in image_keys]
    if len(images) == len(others) and (not unique or not set(image_keys) & set(other_keys) or _shifted(images, others)):
        notes.append(f"{folder}/ is paired with the images in order: {others[0].name} belongs to {images[0].name}.")
        return others
    kinds = families(list(others))
    if 1 < len(kinds) <= NAMED and len(others) > len(images):
        names = ", ".join(kind.words for kind in kinds[:NAMED])
        raise InputError(
            f"{others[0].parent}: {len(others)} files of {len(kinds)} kinds for {len(images)} images: {names}; leave "
            "only one kind there."
        )
    parts = {key[:-1] for key in other_keys if isinstance(key, tuple)}
    if len(others) > len(images) and set(image_keys) <= parts:
        raise InputError(
            f"{others[0].parent}: {len(others)} files for {len(images)} images, several for one, such as "
            f"{_named([path.name for path in others[:2]])}: join those of one image into one file under its name."
        )
    if not unique:
        raise InputError(
            f"{others[0].parent}: {len(others)} files for {len(images)} images, and their names do not tell which "
            "belongs to which: number both alike."
        )
    lonely = [path.name for path, key in zip(images, image_keys, strict=True) if key not in partners]
    if lonely:
        raise InputError(
            f"{others[0].parent}: {len(others)} files for {len(images)} images; nothing belongs to {_named(lonely)}: "
            "add what is missing or remove those images."
        )
    extra = [path.name for path, key in zip(others, other_keys, strict=True) if key not in set(image_keys)]
    raise InputError(
        f"{others[0].parent}: {len(others)} files for {len(images)} images; {_named(extra)} belong to no image: "
        "remove them or add the missing images."
    )


def _numbers(path: Path) -> tuple[int, ...] | str:
    """The numbers in a file's name, or the name itself when it has none."""
    return tuple(int(number) for number in re.findall(r"\d+", path.name.split(".")[0])) or path.stem


def _shifted(images: list[Path], others: list[Path]) -> bool:
    """Whether the last numbers of both count up together, one set starting later than the other."""
    differences = set()
    for image, other in zip(images, others, strict=True):
        a, b = _numbers(image), _numbers(other)
        if isinstance(a, str) or isinstance(b, str):
            return False
        differences.add(b[-1] - a[-1])
    return len(differences) == 1


def _named(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
