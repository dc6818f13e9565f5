"""Whether outputs can be written, asked before minutes of work."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from endogs.errors import InputError


def check_outputs(paths: Mapping[str, Path | None], inputs: Iterable[Path | None] = ()) -> None:
    """Raises InputError for files, by their option, that are folders, equal, one of the `inputs`, or in a place that
    takes none."""
    named = {option: path for option, path in paths.items() if path is not None}
    places: dict[Path, str] = {}
    for option, path in named.items():
        if other := places.get(path.resolve()):
            raise InputError(f"{path}: {other} and {option} name the same file; give two names.")
        places[path.resolve()] = option
    read = {path.resolve() for path in inputs if path is not None}
    for path in named.values():
        if path.resolve() in read:
            raise InputError(f"{path} is what is read, and would be replaced; name another file to write.")
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file to write.")
        existing = next(folder for folder in path.absolute().parents if folder.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise InputError(f"{path} cannot be written: {existing} does not take files; choose another place.")
