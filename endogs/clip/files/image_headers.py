"""The size of a picture from the header of its file, before anything of that size is allocated."""

import struct
from pathlib import Path
from typing import BinaryIO

from endogs.errors import InputError
from endogs.memory_budget import require_memory

LARGEST_SIDE = 16384
"""Pixels; twice the width of 8K video, four times that of the largest endoscopic camera."""
ALWAYS_FITS = 1 << 24
"""Pixels that are decoded without asking for memory: 4096 x 4096 takes 0.3 GB."""
BYTES_PER_PIXEL = 24
"""While a picture is read: the file's own 8 bytes at most (16-bit RGBA), and its copies in another order and type."""
MOST_TAGS = 4096
"""Entries of a TIFF directory; usual files have about 20."""

Size = tuple[int, int]


def require_drawable(path: Path, width: int, height: int, frames: int = 1) -> None:
    """InputError naming `path` when `frames` pictures of (width, height) are no size to decode, or do not fit."""
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise InputError(
            f"{path}: is {width} x {height} pixels, but sides of 1 to {LARGEST_SIDE} are read: check the file, or make "
            "it smaller."
        )
    if width * height * frames > ALWAYS_FITS:
        require_memory(
            float(width * height * frames * BYTES_PER_PIXEL),
            f"{path}: decoding {width} x {height} pixels",
            "make the pictures smaller",
        )


def size_in_header(file: BinaryIO) -> Size | None:
    """(width, height) of a PNG, JPEG, BMP, TIFF or WebP; None for other files and for damaged headers."""
    begin = file.read(32)
    if begin[:8] == b"\x89PNG\r\n\x1a\n" and begin[12:16] == b"IHDR" and len(begin) >= 24:
        return struct.unpack(">II", begin[16:24])
    if begin[:2] == b"\xff\xd8":
        return _jpeg(file)
    if begin[:2] == b"BM" and len(begin) >= 26:
        return _bmp(begin)
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP" and len(begin) >= 30:
        return _webp(begin)
    if begin[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        try:
            return _tiff(file, begin)
        except (struct.error, OverflowError, OSError):  # an entry or a directory beyond the file
            return None
    return None


def _jpeg(file: BinaryIO) -> Size | None:
    """In the frame header (ITU-T T.81, B.2.2). What stands between segments is passed over, as libjpeg does."""
    file.seek(2)
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            return None
        marker = byte[0]
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # without a length
            continue
        length = file.read(2)
        if len(length) < 2 or marker in (0xD9, 0xDA):  # the end, or pixels that no frame header announced
            return None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # SOF, not DHT, JPG or DAC
            sides = file.read(5)
            return None if len(sides) < 5 else (int.from_bytes(sides[3:5], "big"), int.from_bytes(sides[1:3], "big"))
        file.seek(max(0, int.from_bytes(length, "big") - 2), 1)


def _bmp(begin: bytes) -> Size:
    """In BITMAPCOREHEADER or BITMAPINFOHEADER, whose height is negative when the first row is on top."""
    if begin[14:18] == b"\x0c\0\0\0":
        return struct.unpack("<HH", begin[18:22])
    width, height = struct.unpack("<ii", begin[18:26])
    return width, abs(height)


def _webp(begin: bytes) -> Size | None:
    """In the first chunk (RFC 9649): lossy, lossless or extended."""
    if begin[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", begin[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if begin[12:16] == b"VP8L":
        bits = int.from_bytes(begin[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if begin[12:16] == b"VP8X":
        return int.from_bytes(begin[24:27], "little") + 1, int.from_bytes(begin[27:30], "little") + 1
    return None


def _tiff(file: BinaryIO, begin: bytes) -> Size | None:
    """ImageWidth and ImageLength of the first directory (TIFF 6.0; BigTIFF); None for tiles of absurd size.

    Raises struct.error where the file ends before that.
    """
    order = "<" if begin[:1] == b"I" else ">"
    big = begin[2:4] in (b"+\0", b"\0+")
    file.seek(struct.unpack_from(order + ("Q" if big else "I"), begin, 8 if big else 4)[0])
    count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
    entry = order + ("HHQQ" if big else "HHII")
    entries = file.read(min(count, MOST_TAGS) * struct.calcsize(entry))
    sides = {256: 0, 257: 0, 322: 0, 323: 0}
    for tag, kind, _, value in struct.iter_unpack(entry, entries):
        if tag in sides:
            if kind == 3 and order == ">":  # a SHORT stands first in its field
                value >>= 48 if big else 16
            sides[tag] = max(sides[tag], value & 0xFFFF if kind == 3 else value)
    width, height, across, down = sides.values()
    tile_is_absurd = across * down > max(width * height, ALWAYS_FITS)  # a tile is decoded whole
    return None if tile_is_absurd else (width, height)
