"""Files of unknown origin, read within bounds: no more bytes than their kind needs, no deeper than Python goes.

Pipes, devices and other files without an end are refused before they are opened, so that nothing waits for ever.
"""

import codecs
import json
import re
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from endogs.errors import InputError
from endogs.memory_budget import require_memory
from endogs.text_encoding import decoded

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ALWAYS_FITS = 64 * 2**20
"""Bytes that are read without asking for memory."""
LONGEST_TEXT = 256 * 2**20
"""Bytes of a text file: a COLMAP points3D.txt of a million points has about 200 MB."""
LONGEST_JSON = 64 * 2**20
"""Bytes of a JSON file: transforms.json of 20 000 frames has about 12 MB."""
DEEPEST_JSON = 64
"""Nested lists and objects; what endogs reads and writes has fewer than ten."""
LONGEST_TABLE = 64 * 2**20
"""Bytes of a text file that becomes numbers, each of which takes ten times its letters: poses of 500 000 frames."""
LONGEST_TOML = 2**20
"""Bytes of a TOML file: a recipe has about 2 kB."""


class NamedTwice(ValueError):
    """An entry of an object stands there twice, and nothing says which of the two is meant."""


_heard: list[set[Path]] = []
"""The sets of those who listen."""
_looking = threading.local()
"""Whether a thread only looks at what it opens."""


def is_file(path: Path) -> bool:
    """Whether `path` is a regular file that can be reached; False for names that no file can have, such as too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def expanded(path: Path) -> Path:
    """The path with `~` replaced. Raises InputError when nobody knows where that is."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: nothing says where this home folder is: give the whole path.") from error


def exists(path: Path) -> bool:
    """Whether something is at `path`; False for what cannot be reached, and for names that nothing can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def listed(folder: Path) -> list[Path]:
    """What is in a folder, in no order. Raises InputError when it cannot be listed."""
    try:
        return list(folder.iterdir())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot be listed ({why(error)}): check its permissions.") from error


def why(error: Exception) -> str:
    """What an operating system's or a parser's error says, without the path, which the sentence around it names."""
    return str(getattr(error, "strerror", None) or error)


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """While entered, the paths of the files that are opened here, by any thread, go into the set that is yielded."""
    found: set[Path] = set()
    _heard.append(found)
    try:
        yield found
    finally:
        _heard[:] = [other for other in _heard if other is not found]


@contextmanager
def only_looked_at() -> Iterator[None]:
    """While entered, files that this thread opens are no files that were read: they are opened to choose among them."""
    before = getattr(_looking, "here", False)
    _looking.here = True
    try:
        yield
    finally:
        _looking.here = before


def say_read(path: Path) -> None:
    """Let `files_read` know of a file that is opened elsewhere."""
    for found in [] if getattr(_looking, "here", False) else _heard:
        found.add(path)


@contextmanager
def open_file(path: Path, longest: int) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file, opened to read bytes, and its size, for whose double there is memory.

    Raises InputError when it is none, cannot be read, or has more than `longest` bytes.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file: give a file.")
        if status.st_size > longest:
            raise InputError(
                f"{path}: {status.st_size} bytes, more than the {longest} that a file of its kind may have: "
                "check that it is what its name says."
            )
        if status.st_size > ALWAYS_FITS:
            require_memory(2.0 * status.st_size, f"{path}: reading it", "use a machine with more memory")
        file = path.open("rb")
        say_read(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened ({why(error)}): check that the file is there.") from error
    with file:
        try:
            yield file, status.st_size
        except OSError as error:
            raise InputError(f"{path}: cannot be read to its end ({why(error)}): copy it again.") from error


def read_bytes(path: Path, longest: int) -> bytes:
    """A regular file's bytes. Raises InputError when it is none, cannot be read, or has more than `longest` bytes."""
    with open_file(path, longest) as (file, size):
        found = file.read(size + 1)
        while len(found) > size and len(found) <= longest and (more := file.read(2**20)):
            found += more  # files of /proc and the like announce no size
    if len(found) > longest:
        raise InputError(f"{path}: more than {longest} bytes: check that it is what its name says.")
    return found


def read_text(path: Path, longest: int = LONGEST_TEXT) -> str:
    """A text file's text, by `endogs.text_encoding`. Raises as `read_bytes`."""
    return decoded(read_bytes(path, longest))


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text stands for.

    Raises ValueError, saying what is wrong, for what is not JSON (NaN and Infinity included, RFC 8259 section 6), is
    nested deeper than DEEPEST_JSON, holds an integer of more digits than Python converts, or a number beyond a double,
    and NamedTwice for an object with an entry twice.
    """
    if isinstance(text, bytes):
        text = decoded(text)
    try:
        found = json.loads(
            text, parse_constant=_no_number, parse_float=_finite, parse_int=_bounded, object_pairs_hook=_once
        )
    except RecursionError as error:
        raise ValueError(f"nested deeper than {DEEPEST_JSON} levels") from error
    _check_depth(found)
    return found


def read_json(path: Path, longest: int = LONGEST_JSON) -> Any:
    """The value in a JSON file. Raises InputError naming the file where `read_bytes` or `parse_json` would raise."""
    try:
        return parse_json(read_bytes(path, longest))
    except NamedTwice as error:
        raise InputError(f"{path}: {error}: leave only the one that is meant.") from error
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}): copy it again.") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises InputError naming the file for what is none, or is nested too deep."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(decoded(read_bytes(path, LONGEST_TOML)))
    except RecursionError as error:
        raise InputError(f"{path}: not readable as TOML (nested too deep): correct it.") from error
    except ValueError as error:
        raise InputError(f"{path}: not readable as TOML ({error}): correct it.") from error


def parse_xml(data: bytes) -> "Element":
    """The root of an XML text, in UTF-16 or UTF-32 with a byte order mark or in an encoding that extends ASCII.

    Raises ValueError, saying what is wrong, for what is no XML and for document types, since the entities that they
    declare can ask for gigabytes (https://docs.python.org/3/library/xml.html#xml-vulnerabilities) or for other files.
    """
    from xml.etree import ElementTree

    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        data = re.sub(r"^<\?xml[^>]*\?>", "", decoded(data)).encode()  # which would name the encoding that it was in
    check_xml(data)
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError) as error:  # LookupError: an encoding that Python has not
        raise ValueError(str(error)) from error


def check_xml(data: bytes) -> None:
    """Raises ValueError for the bytes of an XML text that declares a document type, or in which that may hide."""
    if b"\0" in data:  # UTF-16 and UTF-32, in which the words below would not be found
        raise ValueError("it has bytes that are zero, as UTF-16 and binary files have")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it declares a document type, which is not read")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these entries; NamedTwice where one stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise NamedTwice(f"the entry {twice[:60]!r} stands twice in one object")
    return found


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
