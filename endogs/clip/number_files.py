"""Numbers in text files: tables, matrices and JSON objects, with one sentence for what is wrong in them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

Array = NDArray[np.float64]


def read_text(path: Path) -> str:
    """The text of a file; InputError when it cannot be opened."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}): check that the file is there.") from error


def read_table(path: Path, columns: int) -> Array:
    """Rows (N, columns) of finite numbers between blanks or commas; `#` begins a comment.

    Raises InputError naming the first line of another length or with something else, and for a file without rows.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = re.split(r"[,\s]+", line.split("#")[0].strip(" ,\t"))
        if words == [""]:
            continue
        row = _floats(words)
        if len(row) != columns:
            raise InputError(f"{path}: line {number} does not hold {columns} finite numbers: correct it.")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no numbers: copy it again.")
    return np.array(rows, np.float64)


def read_matrix(path: Path, shapes: tuple[tuple[int, int], ...]) -> Array:
    """A matrix of one of the `shapes` between blanks, commas and brackets; InputError for anything else."""
    words = re.split(r"[,;\s\[\]]+", read_text(path).strip(" ,;\t\r\n[]"))
    numbers = _floats(words)
    for shape in shapes:
        if len(numbers) == shape[0] * shape[1]:
            return np.array(numbers, np.float64).reshape(shape)
    wanted = " or ".join(f"{rows} x {columns}" for rows, columns in shapes)
    raise InputError(f"{path}: does not hold {wanted} finite numbers: correct it.")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; InputError when it is not readable as one."""
    try:
        found = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}): copy it again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold one JSON object: copy it again.")
    return found


def entry(source: dict[str, Any], name: str, shape: tuple[int, ...] | None, path: Path) -> Array:
    """The finite numbers under `name`, of `shape`, or flattened when it is None; InputError naming `path`."""
    try:
        found = np.asarray(source[name], np.float64)
    except (KeyError, TypeError, ValueError):
        found = np.array(np.nan)
    if shape is None:
        found = found.ravel()
    elif found.size == np.prod(shape, dtype=int):
        found = found.reshape(shape)
    if not found.size or not np.isfinite(found).all() or (shape is not None and found.shape != shape):
        wanted = "numbers" if shape is None else " x ".join(map(str, shape)) + " finite numbers"
        raise InputError(f"{path}: {name} must hold {wanted}: copy the file again or correct it.")
    return found


def check_rigid(transforms: Array, path: Path, what: str = "row") -> None:
    """InputError naming the first of the (N, 4, 4) `transforms` that does not rotate and shift (orthonormal to 1 %)."""
    rotations = transforms[:, :3, :3]
    error = np.abs(rotations @ rotations.swapaxes(1, 2) - np.eye(3)).max((1, 2))
    last_row = np.abs(transforms[:, 3] - np.array([0, 0, 0, 1])).max(1)
    bad = np.flatnonzero((error > 1e-2) | (np.linalg.det(rotations) < 0) | (last_row > 1e-6))
    if bad.size:
        raise InputError(
            f"{path}: {what} {bad[0]} is no rigid motion (its rotation must be orthonormal, right-handed): correct it."
        )


def _floats(words: list[str]) -> list[float]:
    """The finite numbers in `words`, or nothing when one of them is none."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []
