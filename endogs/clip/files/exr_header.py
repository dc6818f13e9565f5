"""What the header of an OpenEXR file announces, bounded before OpenEXR, which takes hours for long headers, sees it.

Written from the format's description (https://openexr.com/en/latest/OpenEXRFileLayout.html).
"""

import struct
from pathlib import Path

from endogs.clip.files.image_headers import require_drawable
from endogs.memory_budget import require_memory

MAGIC = 20000630
DEEP, PARTS = 0x800, 0x1000
"""Version flags of deep pixels and of several parts."""
LONGEST_HEADER = 2**20
"""Bytes of the header, small preview pictures included."""
MOST_ATTRIBUTES, MOST_CHANNELS, MOST_PARTS = 1000, 32, 32
LARGEST_TILE = 2**24
"""Pixels of a tile, which is unpacked whole; usual ones have 64 x 64."""
BYTES_OF_A_PIXEL = 4
"""Of one channel, at most."""
MOST_UNPACKED = 2**31
"""Bytes of all channels of all parts."""


def check_exr_header(path: Path, begin: bytes) -> None:
    """Raises ValueError, saying what is wrong, for the first LONGEST_HEADER bytes of what is no usual picture, and
    InputError for one that is too large.
    """
    try:
        _check(path, begin)
    except (struct.error, IndexError) as error:
        raise ValueError("its header is cut short, or longer than a megabyte") from error


def _check(path: Path, begin: bytes) -> None:
    magic, version = struct.unpack_from("<II", begin, 0)
    if magic != MAGIC:
        raise ValueError("it does not begin as an EXR file")
    if version & DEEP:
        raise ValueError("it has deep pixels")
    position, unpacked = 8, 0
    for _ in range(MOST_PARTS):
        attributes, position = _attributes(begin, position)
        unpacked += _unpacked_bytes(path, attributes)
        if not version & PARTS or begin[position] == 0:
            break
    else:
        raise ValueError(f"it has more than {MOST_PARTS} parts")
    if unpacked > MOST_UNPACKED:
        raise ValueError(f"it unpacks to more than {MOST_UNPACKED} bytes")
    require_memory(2.0 * unpacked, f"{path}: unpacking it", "make the pictures smaller")


def _attributes(data: bytes, position: int) -> tuple[dict[str, bytes], int]:
    """Attributes of a part by name, and where its header ends."""
    found: dict[str, bytes] = {}
    while data[position] != 0:
        name_end = _end(data, position)
        type_end = _end(data, name_end + 1)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        begin = type_end + 5
        if begin + size > len(data):
            raise IndexError
        found[data[position:name_end].decode("latin-1")] = data[begin : begin + size]
        position = begin + size
        if len(found) > MOST_ATTRIBUTES:
            raise ValueError(f"more than {MOST_ATTRIBUTES} attributes")
    missing = {"channels", "compression", "dataWindow"} - set(found)
    if missing:
        raise ValueError(f"no {', '.join(sorted(missing))}")
    return found, position + 1


def _unpacked_bytes(path: Path, attributes: dict[str, bytes]) -> int:
    """Bytes of a part's channels, at most."""
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    require_drawable(path, width, height)
    if "tiles" in attributes:
        across, down = struct.unpack_from("<2I", attributes["tiles"])
        if across * down > LARGEST_TILE:
            raise ValueError(f"tiles of {across} x {down} pixels")
    return width * height * _channels(attributes["channels"]) * BYTES_OF_A_PIXEL


def _channels(data: bytes) -> int:
    """How many channels there are; ValueError for too many and for those with fewer pixels."""
    count, position = 0, 0
    while data[position] != 0:
        end = _end(data, position)
        if struct.unpack_from("<ii", data, end + 9) != (1, 1):
            raise ValueError("a channel with fewer pixels")
        count, position = count + 1, end + 17
        if count > MOST_CHANNELS:
            raise ValueError(f"more than {MOST_CHANNELS} channels")
    return count


def _end(data: bytes, position: int) -> int:
    """Where a text ends."""
    end = data.find(b"\0", position)
    if end < 0:
        raise IndexError
    return end
