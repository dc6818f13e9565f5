"""Arrays of unknown origin: .npy and .npz files and members of zip archives, read within bounds and without pickle."""

import io
import math
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, BinaryIO

from endogs.bounded_files import ALWAYS_FITS, open_file, read_bytes
from endogs.errors import InputError
from endogs.memory_budget import require_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_ARRAY = 2**30
"""Bytes of an array: 16384 x 16384 depths in single precision, or 1000 frames of 40 000 tracked points."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What spreadsheets and numpy compress with; Python unpacks only these step by step."""


def read_npy(path: Path, longest: int = LONGEST_ARRAY) -> "NDArray[Any]":
    """The array of numbers or truth values in an .npy file.

    Raises InputError for a file that is none, holds anything else, or less than its header says.
    """
    import numpy as np

    try:
        with open_file(path, longest) as (file, size):
            shape, by_columns, kind = _npy_header(file, size)
            found = np.fromfile(file, kind, math.prod(shape))
        return found.reshape(shape, order="F" if by_columns else "C")
    except ValueError as error:
        raise InputError(f"{path}: not a readable .npy array ({error}): write it again with numpy.save.") from error


def parse_npy(data: bytes) -> "NDArray[Any]":
    """The array of numbers or truth values in the bytes of an .npy file. Raises ValueError, saying what is wrong."""
    import numpy as np

    file = io.BytesIO(data)
    shape, by_columns, kind = _npy_header(file, len(data))
    found = np.frombuffer(data, kind, offset=file.tell()) if math.prod(shape) else np.zeros(0, kind)
    return found.reshape(shape, order="F" if by_columns else "C").copy()


def _npy_header(file: BinaryIO, size: int) -> "tuple[tuple[int, ...], bool, np.dtype[Any]]":
    """Shape, whether columns come first, and type of the array in a file of so many bytes, whose data are next.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Raises ValueError, saying what is
    wrong, for anything but as many numbers as the header says.
    """
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):  # the third has names of fields that are not Latin
            raise ValueError(f"version {version[0]}.{version[1]}")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_columns, kind = read_header(file)
    except ValueError as error:  # numpy's may show the whole header
        words = str(error).partition("\n")[0][:100]
        raise ValueError("its header is damaged" if " object at 0x" in words else words) from error
    except (SyntaxError, TokenError, TypeError, RecursionError, MemoryError, EOFError) as error:  # of Python's parser
        raise ValueError("its header is damaged") from error
    if kind.kind not in "biuf":
        raise ValueError(f"it holds {kind}, not numbers")
    held = size - file.tell()
    if min(shape, default=0) < 0 or len(shape) > 8 or math.prod(shape) * kind.itemsize != held:
        raise ValueError(f"{held} bytes follow a header of shape {str(shape)[:60]} and type {kind}")
    return shape, by_columns, kind


def read_npz(path: Path, names: tuple[str, ...], longest: int = LONGEST_ARRAY) -> "dict[str, NDArray[Any]]":
    """Those arrays of an .npz file that are called one of `names`; `longest` bytes at most together.

    Raises InputError for a file that is none, and for arrays that are damaged or hold no numbers.
    """
    archive = open_zip(path, longest, ".npz file")
    found = {}
    for name in names:
        if f"{name}.npy" in archive.namelist():
            data = read_member(path, archive, f"{name}.npy", longest)
            longest -= len(data)
            try:
                found[name] = parse_npy(data)
            except ValueError as error:
                raise InputError(
                    f"{path}: its array {name} is damaged or holds no numbers ({error}): write it with numpy.savez."
                ) from error
    return found


def open_zip(path: Path, longest: int, kind: str = "zip archive") -> zipfile.ZipFile:
    """A zip archive in memory. Raises InputError for what is none, cannot be opened, or is longer than `longest`."""
    data = read_bytes(path, longest)
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable {kind} ({error}): copy it again.") from error


def read_member(path: Path, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The member `name` of the archive at `path`.

    Raises InputError for one that is missing, damaged, encrypted, or unpacks to more than `most` bytes.
    """
    try:
        entry = archive.getinfo(name)
        if entry.compress_type not in METHODS:
            raise InputError(f"{path}: {name} is compressed by an unusual method: write a usual zip archive.")
        if entry.file_size > most:
            raise InputError(f"{path}: {name} unpacks to more than {most} bytes: check that it is what its name says.")
        if entry.file_size > ALWAYS_FITS:
            require_memory(3.0 * entry.file_size, f"{path}: unpacking {name}", "use a machine with more memory")
        with archive.open(name) as member:
            return member.read(entry.file_size)  # what would unpack to more is cut there, and fails its checksum
    except (KeyError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: {name} cannot be unpacked ({error}): copy the file again.") from error
