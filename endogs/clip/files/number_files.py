"""Numbers in text files: tables, matrices and JSON objects, with one sentence for what is wrong in them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs import bounded_files
from endogs.bounded_files import LONGEST_TABLE
from endogs.errors import InputError

Array = NDArray[np.float64]

LARGEST = 2.0**63
"""The largest number that is read: nanoseconds in 64 bits. Squares of larger ones leave single precision."""


def read_text(path: Path) -> str:
    """The text of a file; InputError when it cannot be opened, or is too long for a file of numbers."""
    return bounded_files.read_text(path, LONGEST_TABLE)


def read_table(path: Path, columns: int) -> Array:
    """Rows (N, columns) of finite numbers between blanks or commas; `#` begins a comment.

    Raises InputError naming the first line of another length or with something else, and for a file without rows.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.split("#")[0].strip(" ,\t")
        words = re.split(r"[,\s]+", text)
        if words == [""]:
            continue
        row = finite_numbers(text, words)
        if len(row) != columns:
            raise InputError(f"{path}: line {number} does not hold {columns} finite numbers: correct it.")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no numbers: copy it again.")
    return np.array(rows, np.float64)


def read_matrix(path: Path, shapes: tuple[tuple[int, int], ...]) -> Array:
    """A matrix of one of the `shapes` between blanks, commas and brackets; InputError for anything else."""
    text = read_text(path).strip(" ,;\t\r\n[]")
    numbers = finite_numbers(text, re.split(r"[,;\s\[\]]+", text))
    for shape in shapes:
        if len(numbers) == shape[0] * shape[1]:
            return np.array(numbers, np.float64).reshape(shape)
    wanted = " or ".join(f"{rows} x {columns}" for rows, columns in shapes)
    raise InputError(f"{path}: does not hold {wanted} finite numbers: correct it.")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; InputError when it is not readable as one."""
    found = bounded_files.read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold one JSON object: copy it again.")
    return found


def entry(source: dict[str, Any], name: str, shape: tuple[int, ...] | None, path: Path) -> Array:
    """The finite numbers under `name`, of `shape`, or flattened when it is None; InputError naming `path`."""
    found = json_numbers(source.get(name))
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


def finite_numbers(text: str, words: list[str]) -> list[float]:
    """The numbers in the `words` of a `text`, none beyond LARGEST; nothing when one of them is none."""
    if not text.isascii() or "_" in text:  # Python takes 1_0 and digits of other scripts for numbers
        return []
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return []
    return numbers if bool((np.abs(numbers) <= LARGEST).all()) else []


def json_numbers(value: Any) -> Array:
    """Numbers that a JSON file holds, as an array of their shape; NaN for anything else, and for those beyond LARGEST.

    Texts and truth values are no numbers, though numpy would make some of them.
    """
    nothing = np.array(np.nan)
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, bool) or not isinstance(item, int | float):
            return nothing
    try:
        found = np.asarray(value, np.float64)
    except (ValueError, OverflowError):  # lists of unequal length
        return nothing
    return found if bool((np.abs(found) <= LARGEST).all()) else nothing
