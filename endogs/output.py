"""Files and folders that appear under their name only when they are complete."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from endogs.errors import InputError
from endogs.folder_swap import sync_folder
from endogs.partial_names import partial_prefix, remove_dead


@contextmanager
def new_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, with its ending, that becomes `path` at the end of the block.

    An older file is replaced, also behind a link; after an exception it is as it was. A `durable` file survives a power
    cut from the end of the block on. What a process that was killed left half-written in the folder is removed. Raises
    InputError for a folder, a device or a pipe, and when the place is not writable.
    """
    try:
        path = Path(os.path.realpath(path)) if path.is_symlink() else path
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file to write.")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is a device or a pipe, which would be replaced; name a file to write.")
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_dead(path.parent)
        handle, name = tempfile.mkstemp(prefix=partial_prefix(path), suffix=f".partial{path.suffix}", dir=path.parent)
        os.close(handle)
    except OSError as failure:
        raise _unwritable(path, failure, "choose another --out") from failure
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        if durable:
            sync_file(partial)
        os.replace(partial, path)
        if durable:
            sync_folder(path.parent)
    except OSError as failure:
        raise _unwritable(path, failure, "choose another --out") from failure
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` at the end of the block.

    Raises InputError when `path` already holds something, or the place is not writable.
    """
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} already exists and is not empty; name a new folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_dead(path.parent)
        partial = Path(tempfile.mkdtemp(prefix=partial_prefix(path), suffix=".partial", dir=path.parent))
    except OSError as failure:
        raise _unwritable(path, failure, "name a place you may write to") from failure
    try:
        yield partial
        partial.chmod(0o755)
        if path.exists():
            path.rmdir()
        os.replace(partial, path)
    except OSError as failure:
        raise _unwritable(path, failure, "name a place you may write to") from failure
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def to_json(value: Any) -> Any:
    """Dataclasses, paths and tuples as JSON values; null for a float that is not finite, which JSON has no word for."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(asdict(value))
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def json_text(content: Any) -> str:
    """`content`, JSON's own types, as readable JSON. Raises ValueError for a number that is not finite."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Writes `json_text`, whole or not at all. Raises InputError when the place is not writable."""
    with new_file(path) as partial:
        partial.write_text(json_text(content))


def sync_file(path: Path) -> None:
    """What is in the file survives a power cut from here on. Raises OSError, as when the disk is full after all."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_one_or_many(
    path: Path, suffix: str, times: list[float | None], write: Callable[[Path, float | None], None]
) -> list[Path]:
    """Calls `write(file, time)` for the file `path`, or for 000000`suffix`, 000001... in the folder `path`.

    Returns the files. Several times make a folder. Raises InputError when that folder's name ends as a file's would,
    and as `new_file` and `new_folder` do.
    """
    if len(times) == 1:
        with new_file(path) as partial:
            write(partial, times[0])
        return [path]
    if path.suffix.lower() == suffix:
        raise InputError(f"{path}: {len(times)} times make a folder of {suffix} files; give a name without an ending.")
    names = [f"{index:06d}{suffix}" for index in range(len(times))]
    with new_folder(path) as folder:
        for name, time in zip(names, times, strict=True):
            write(folder / name, time)
    return [path / name for name in names]


def _unwritable(path: Path, failure: OSError, remedy: str) -> InputError:
    return InputError(f"{path} cannot be written ({failure.strerror or failure}); {remedy}.")
