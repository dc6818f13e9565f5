"""Files of unknown origin, read within bounds: no more bytes than their kind needs, no deeper than Python goes.

Pipes, devices and other files without an end are refused before they are opened, so that nothing waits for ever.
"""

import json
import stat
from pathlib import Path
from typing import Any

from endogs.errors import InputError

LONGEST_TEXT = 256 * 2**20
"""Bytes of a text file: a COLMAP points3D.txt of a million points has about 200 MB."""
LONGEST_JSON = 64 * 2**20
"""Bytes of a JSON file: transforms.json of 20 000 frames has about 12 MB."""
DEEPEST_JSON = 64
"""Nested lists and objects; what endogs reads and writes has fewer than ten."""


def read_bytes(path: Path, longest: int) -> bytes:
    """A regular file's bytes. Raises InputError when it is none, cannot be read, or has more than `longest` bytes."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file: give a file.")
        if status.st_size > longest:
            raise InputError(
                f"{path}: {status.st_size} bytes, more than the {longest} that a file of its kind may have: "
                "check that it is what its name says."
            )
        with path.open("rb") as file:
            found = file.read(longest + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason}): check that the file is there.") from error
    if len(found) > longest:  # files of /proc and the like announce no size
        raise InputError(f"{path}: more than {longest} bytes: check that it is what its name says.")
    return found


def read_text(path: Path, longest: int = LONGEST_TEXT) -> str:
    """A text file's UTF-8, without its byte order mark; bytes that are none become U+FFFD. Raises as `read_bytes`."""
    return read_bytes(path, longest).decode("utf-8-sig", errors="replace")


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text stands for.

    Raises ValueError, saying what is wrong, for what is not JSON (NaN and Infinity included, RFC 8259 section 6), is
    nested deeper than DEEPEST_JSON, holds an integer of more digits than Python converts, or a number beyond a double.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_bounded)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {DEEPEST_JSON} levels") from error
    _check_depth(found)
    return found


def read_json(path: Path, longest: int = LONGEST_JSON) -> Any:
    """The value in a JSON file. Raises InputError naming the file where `read_bytes` or `parse_json` would raise."""
    try:
        return parse_json(read_bytes(path, longest))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}): copy it again.") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:20]} is beyond what a double holds")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > 19:  # 64 bits; longer ones would overflow where they become array entries
        raise ValueError(f"the integer {digits[:20]}... has more than 64 bits")
    return int(digits)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST_JSON):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return
        level = [item for item in inner if isinstance(item, dict | list)]
    if level:
        raise ValueError(f"nested deeper than {DEEPEST_JSON} levels")
