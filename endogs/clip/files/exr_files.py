"""OpenEXR files as depth is stored in them: single-part scan lines, uncompressed, RLE or ZIP.

Written from the format's description (https://openexr.com/en/latest/OpenEXRFileLayout.html), because OpenCV's wheels
come without OpenEXR. Tiled, multi-part and lossy files are refused.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import decompress, read_bytes
from endogs.clip.files.image_headers import require_drawable
from endogs.errors import InputError

MAGIC = 20000630
NOT_PLAIN = 0x1A00
"""Version flags of tiles, deep data and several parts."""
LINES = {0: 1, 1: 1, 2: 1, 3: 16}
"""Scan lines per chunk by compression: none, RLE, ZIPS, ZIP."""
TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
DEPTH_NAMES = ("z", "depth", "y", "v", "r")
"""Names of a depth channel, the most certain first, without the layer's name before a dot."""
MOST_CHANNELS = 32
"""A chunk holds 16 rows of all channels and is unpacked whole."""
LONGEST = 2**30
"""Bytes of a file: 16384 x 16384 depths in single precision."""


def read_exr(path: Path) -> NDArray[Any]:
    """The depth channel (H, W) of an EXR file in its own type: float32, float16 or uint32.

    Raises InputError for a file that is damaged, of another form than described above, or without such a channel.
    """
    try:
        return _decode(path, read_bytes(path, LONGEST))
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable EXR depth map ({error}); write it as scan lines with ZIP or no compression, or as "
            ".npy or 16-bit PNG"
        ) from error


def _decode(path: Path, data: bytes) -> NDArray[Any]:
    magic, version = struct.unpack_from("<II", data, 0)
    if magic != MAGIC:
        raise ValueError("it does not begin as an EXR file")
    if version & NOT_PLAIN:
        raise ValueError("it has tiles, deep pixels or several parts")
    attributes, position = _attributes(data, 8)
    compression = attributes["compression"][0]
    if compression not in LINES:
        raise ValueError(f"compression number {compression}")
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    require_drawable(path, width, height)
    channels = _channels(attributes["channels"])
    chosen = _depth_channel([name for name, _ in channels])
    image = np.zeros((height, width), TYPES[dict(channels)[chosen]])
    row_bytes = sum(TYPES[kind].itemsize for _, kind in channels) * width
    chunks = -(-height // LINES[compression])
    missing = set(range(y0, y1 + 1))
    for offset in struct.unpack_from(f"<{chunks}Q", data, position):
        row, size = struct.unpack_from("<iI", data, offset)
        rows = min(LINES[compression], y1 + 1 - row)
        packed = data[offset + 8 : offset + 8 + size]
        # A chunk that did not shrink is stored as it is.
        stored = compression == 0 or size == rows * row_bytes
        raw = packed if stored else _unpack(packed, compression, rows * row_bytes)
        if len(raw) != rows * row_bytes or not y0 <= row <= y1:
            raise ValueError("a chunk of another length than its pixels")
        missing -= set(range(row, row + rows))
        at = 0
        for line in range(rows):
            for name, kind in channels:  # within a row, one channel after the other
                values = np.frombuffer(raw, TYPES[kind], width, at)
                at += values.nbytes
                if name == chosen:
                    image[row - y0 + line] = values
    if missing:
        raise ValueError(f"no chunk holds row {min(missing)}")
    return image


def _attributes(data: bytes, position: int) -> tuple[dict[str, bytes], int]:
    """Attributes by name, and where the table of chunks begins."""
    found = {}
    while data[position] != 0:
        name_end = data.index(0, position)
        type_end = data.index(0, name_end + 1)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        begin = type_end + 5
        found[data[position:name_end].decode("latin-1")] = data[begin : begin + size]
        position = begin + size
    missing = {"channels", "compression", "dataWindow"} - set(found)
    if missing:
        raise ValueError(f"no {', '.join(sorted(missing))}")
    return found, position + 1


def _channels(data: bytes) -> list[tuple[str, int]]:
    """(name, pixel type) in the order of the file; InputError's reason for subsampled channels and unknown types."""
    found, position = [], 0
    while data[position] != 0:
        end = data.index(0, position)
        kind, _, x_sampling, y_sampling = struct.unpack_from("<iIii", data, end + 1)
        if kind not in TYPES or (x_sampling, y_sampling) != (1, 1):
            raise ValueError("a channel of an unknown type or with fewer pixels")
        found.append((data[position:end].decode("latin-1"), kind))
        if len(found) > MOST_CHANNELS:
            raise ValueError(f"more than {MOST_CHANNELS} channels")
        position = end + 17
    return found


def _depth_channel(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    for wanted in DEPTH_NAMES:
        for name in names:
            if name.lower().rpartition(".")[2] == wanted:
                return name
    raise ValueError(f"none of its channels ({', '.join(names)}) is named like depth")


def _unpack(packed: bytes, compression: int, most: int) -> bytes:
    """RLE or ZIP undone, then the differences, then the two halves woven together; ValueError beyond `most` bytes."""
    raw = np.frombuffer(_run_lengths(packed, most) if compression == 1 else decompress(packed, most), np.uint8)
    # Every byte but the first is the difference to the one before, plus 128, modulo 256.
    steps = raw + np.uint8(128)
    steps[:1] = raw[:1]
    plain = np.cumsum(steps, dtype=np.uint8)
    woven = np.empty_like(plain)
    half = (len(plain) + 1) // 2
    woven[0::2], woven[1::2] = plain[:half], plain[half:]
    return woven.tobytes()


def _run_lengths(packed: bytes, most: int) -> bytes:
    """A negative count copies that many bytes; another repeats the next byte once more than it says."""
    out, at = bytearray(), 0
    while at < len(packed) and len(out) <= most:
        count = struct.unpack_from("b", packed, at)[0]
        if count < 0:
            out += packed[at + 1 : at + 1 - count]
            at += 1 - count
        else:
            out += packed[at + 1 : at + 2] * (count + 1)
            at += 2
    return bytes(out)
