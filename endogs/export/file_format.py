"""Which format a file is written in: the one that is asked for, or the one its name ends in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from endogs.errors import InputError

Format = TypeVar("Format", bound=str)


def file_format(
    path: Path | None,
    format: Format | None,
    formats: Sequence[Format],
    default: Format,
    suffixes: Mapping[Format, str] | None = None,
) -> Format:
    """`format`, or the one of `formats` that `path` ends in, or `default`.

    `suffixes` says how formats end that are not called like their ending. Raises InputError when the ending of `path`
    names another format than `format`.
    """
    ending = path.suffix.lower().removeprefix(".") if path is not None else ""
    by_ending = next((known for known in formats if known == ending), None)
    own = f".{format}" if format is None or suffixes is None else suffixes[format]
    if format and by_ending and own != f".{by_ending}":
        raise InputError(f"{path} ends in .{ending} but --format is {format}; make them agree.")
    return format or by_ending or default
