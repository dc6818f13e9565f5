"""How a file wants its picture turned: the display matrix of videos, the orientation tag of images (EXIF)."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_HEADER = 256 * 1024
"""Bytes of an image in which an orientation is looked for; EXIF has at most 64 KB and stands before the pixels."""


@dataclass(frozen=True)
class Turn:
    """A turn by a multiple of 90 degrees with or without a mirror: transposed first, then flipped."""

    transposes: bool = False
    """Rows become columns."""
    flips_columns: bool = False
    """Left becomes right, after the transposition."""
    flips_rows: bool = False
    """Top becomes bottom, after the transposition."""

    @property
    def is_none(self) -> bool:
        """True when pictures stay as they are."""
        return not (self.transposes or self.flips_columns or self.flips_rows)

    def applied(self, image: NDArray[Any]) -> NDArray[Any]:
        """The image (H, W, ...) as it is meant to be seen, contiguous."""
        if self.is_none:
            return image
        turned = image.swapaxes(0, 1) if self.transposes else image
        turned = turned[:, ::-1] if self.flips_columns else turned
        return np.ascontiguousarray(turned[::-1] if self.flips_rows else turned)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the turned picture."""
        return (height, width) if self.transposes else (width, height)

    @property
    def words(self) -> str:
        """What the turn is, such as "by 90 degrees clockwise"."""
        turns = {
            (False, False, False): "not at all",
            (False, True, True): "by 180 degrees",
            (True, True, False): "by 90 degrees clockwise",
            (True, False, True): "by 90 degrees counterclockwise",
            (False, True, False): "left to right, as a mirror does",
            (False, False, True): "upside down, as a mirror does",
        }
        return turns.get((self.transposes, self.flips_columns, self.flips_rows), "by 90 degrees and as a mirror does")


ORIENTATIONS = {
    1: Turn(),
    2: Turn(flips_columns=True),
    3: Turn(flips_columns=True, flips_rows=True),
    4: Turn(flips_rows=True),
    5: Turn(transposes=True),
    6: Turn(transposes=True, flips_columns=True),
    7: Turn(transposes=True, flips_columns=True, flips_rows=True),
    8: Turn(transposes=True, flips_rows=True),
}
"""What the values of EXIF's and TIFF's Orientation, tag 274, ask for (TIFF 6.0, section 8)."""


def display_turn(frame: Any) -> Turn | None:
    """The turn that the display matrix of an `av.VideoFrame` asks for; None when it is no multiple of 90 degrees.

    FFmpeg's libavutil/display.h: nine 32-bit integers (a b u, c d v, x y w), a point goes from (p, q) to
    (a p + c q, b p + d q), in 16.16 fixed point.
    """
    for data in frame.side_data:
        if data.type.name != "DISPLAYMATRIX":
            continue
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
        longest = max(abs(a), abs(b), abs(c), abs(d))
        if longest and abs(b) + abs(c) < 0.02 * longest and a and d:
            return Turn(False, a < 0, d < 0)
        if longest and abs(a) + abs(d) < 0.02 * longest and b and c:
            return Turn(True, c < 0, b < 0)
        return None
    return Turn()


def image_turn(path: Path) -> Turn:
    """The turn that an image file's orientation tag asks for: JPEG, TIFF, PNG (eXIf) and WebP; none without a tag."""
    with path.open("rb") as file:
        header = file.read(LONGEST_HEADER)
    return ORIENTATIONS.get(_orientation(_tiff_header(header)), Turn())


def _tiff_header(data: bytes) -> bytes:
    """The TIFF structure that holds the tags, empty when there is none."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        return data
    if data[:2] == b"\xff\xd8":
        return _jpeg_exif(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _chunk(data, 8, b"eXIf", ">I4s", padded=False, trailer=4)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _chunk(data, 12, b"EXIF", "<4sI", padded=True, trailer=0)
        return found[6:] if found[:6] == b"Exif\0\0" else found
    return b""


def _jpeg_exif(data: bytes) -> bytes:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            return data[place + 10 : place + 2 + length]
        if kind == 0xDA:  # pixels follow
            break
        place += 2 + length
    return b""


def _chunk(data: bytes, place: int, name: bytes, head: str, padded: bool, trailer: int) -> bytes:
    while place + 8 <= len(data):
        one, two = struct.unpack_from(head, data, place)
        kind, length = (one, two) if isinstance(one, bytes) else (two, one)
        if kind == name:
            return data[place + 8 : place + 8 + length]
        place += 8 + length + (length % 2 if padded else 0) + trailer
    return b""


def _orientation(tiff: bytes) -> int:
    """Tag 274 of the first directory, 1 when it is not there."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (place,) = struct.unpack_from(f"{order}I", tiff, 4)
    if place + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, place)
    for entry in range(entries):
        at = place + 2 + 12 * entry
        if at + 12 > len(tiff):
            break
        tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
        if tag == 274 and kind == 3:
            return int(struct.unpack_from(f"{order}H", tiff, at + 8)[0])
    return 1
