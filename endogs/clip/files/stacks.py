"""Files of several pictures: multi-page TIFF, animated PNG (APNG) and WebP."""

import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_bytes
from endogs.clip.files.decoder_words import decoder_words
from endogs.clip.files.image_files import LONGEST_IMAGE, image_size
from endogs.clip.files.image_headers import require_drawable
from endogs.clip.files.picture_damage import damage
from endogs.clip.files.value_range import as_rgb, to_eight_bits
from endogs.errors import InputError
from endogs.memory_budget import require_memory
from endogs.plain_text import plain

MOST_PAGES = 1_000_000
"""Pages after which a TIFF's chain of directories is taken for a circle."""
DESCRIPTION = 64 * 1024
"""Bytes of a TIFF's ImageDescription that are read."""
NEW_SUBFILE_TYPE, WIDTH, HEIGHT, IMAGE_DESCRIPTION, SAMPLES_PER_PIXEL = 254, 256, 257, 270, 277
"""Tags of TIFF 6.0."""


def page_count(path: Path) -> int:
    """How many pictures an image file holds, from its structure; 1 for what is no stack. Reads no pixels."""
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if suffix in (".tif", ".tiff"):
                return len(tiff_pages(file)[0]) or 1
            if suffix == ".png":
                return _apng_frames(file)
            if suffix == ".webp":
                return _webp_frames(file)
    except (OSError, struct.error):
        return 1
    return 1


def check_single_pages(paths: list[Path]) -> None:
    """InputError for a file of several pictures among the frames of a folder."""
    for path in paths:
        pages = page_count(path)
        if pages > 1:
            raise InputError(
                f"{path}: holds {pages} pictures, but lies among other frames: give the file itself, or a folder that "
                "holds nothing else."
            )


def tiff_pages(file: BinaryIO) -> tuple[list[tuple[int, int, int]], str, int]:
    """(index, width, height) of the full pictures of a TIFF, the first ImageDescription, and samples per pixel.

    Thumbnails, pyramid levels and transparency masks (NewSubfileType bits 0 and 2) are no pictures. TIFF 6.0, section
    2; BigTIFF has 8-byte offsets (bigtiff.org).
    """
    header = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    if order is None or len(header) < 8:
        return [], "", 1
    big = struct.unpack(f"{order}H", header[2:4])[0] == 43
    offset = struct.unpack(f"{order}Q", header[8:16])[0] if big else struct.unpack(f"{order}I", header[4:8])[0]
    count_format, entry_size, next_format = ("Q", 20, "Q") if big else ("H", 12, "I")
    pages: list[tuple[int, int, int]] = []
    description, samples, seen = "", 1, set()
    for index in range(MOST_PAGES):
        if offset == 0 or offset in seen:
            break
        seen.add(offset)
        file.seek(offset)
        head = file.read(struct.calcsize(f"{order}{count_format}"))
        if len(head) < struct.calcsize(f"{order}{count_format}"):
            break
        (entries,) = struct.unpack(f"{order}{count_format}", head)
        body = file.read(min(entries, 65535) * entry_size + struct.calcsize(f"{order}{next_format}"))
        kind, sides = 0, {WIDTH: 0, HEIGHT: 0}
        for at in range(0, min(entries, 65535) * entry_size, entry_size):
            entry = body[at : at + entry_size]
            if len(entry) < entry_size:
                break
            tag, type_, length = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", entry)
            value = struct.unpack_from(f"{order}{next_format}", entry, entry_size - (8 if big else 4))[0]
            if type_ == 3:  # SHORT: left-justified in the value's bytes
                value = struct.unpack_from(f"{order}H", entry, entry_size - (8 if big else 4))[0]
            if tag == NEW_SUBFILE_TYPE:
                kind = value
            elif tag in sides:
                sides[tag] = value
            elif tag == SAMPLES_PER_PIXEL and index == 0:
                samples = value
            elif tag == IMAGE_DESCRIPTION and index == 0 and length > (8 if big else 4):
                file.seek(value)
                description = file.read(min(length, DESCRIPTION)).decode("latin-1").rstrip("\0")
        if not kind & 5:
            pages.append((index, sides[WIDTH], sides[HEIGHT]))
        tail = body[-struct.calcsize(f"{order}{next_format}") :]
        if len(tail) < struct.calcsize(f"{order}{next_format}"):
            break
        (offset,) = struct.unpack(f"{order}{next_format}", tail)
    return pages, description, samples


def _apng_frames(file: BinaryIO) -> int:
    """Frames that the acTL chunk announces (Animated PNG, W3C PNG third edition, 11.3.6); it stands before IDAT."""
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return 1
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"acTL":
            frames = file.read(4)
            return max(1, struct.unpack(">I", frames)[0]) if len(frames) == 4 else 1
        if kind in (b"IDAT", b"IEND"):
            break
        file.seek(length + 4, 1)
    return 1


def _webp_frames(file: BinaryIO) -> int:
    """ANMF chunks of an extended WebP whose animation flag is set (RFC 9649, 2.7)."""
    header = file.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"WEBP":
        return 1
    frames = 0
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"VP8X":
            flags = file.read(1)
            if not flags or not flags[0] & 2:
                return 1
            file.seek(length - 1 + length % 2, 1)
            continue
        if frames == 0 and kind in (b"VP8 ", b"VP8L"):
            return 1
        frames += kind == b"ANMF"
        file.seek(length + length % 2, 1)
    return max(1, frames)


class TiffPages:
    """The full pictures of a multi-page TIFF, decoded when read."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for pages of several sizes, pages that are channels, and pictures that are hidden."""
        self.path = path
        self.white: float | None = None
        with path.open("rb") as file:
            self.pages, description, samples = tiff_pages(file)
        _, width, height = self.pages[0]
        for number, (_, *sides) in enumerate(self.pages):
            if sides != [width, height]:
                raise InputError(
                    f"{path}: page {number} is {sides[0]} x {sides[1]} but page 0 is {width} x {height}: all frames of "
                    "a clip must have one size."
                )
        require_drawable(path, width, height, max(1, samples))
        named = dict(re.findall(r"(?m)^(\w+)=([^\n]*)$", description))
        channels = _whole(named.get("channels")) if description.startswith("ImageJ") else _ome_channels(description)
        if channels > 1 and samples == 1:
            raise InputError(
                f"{path}: its pages are {channels} channels of each picture: save it as RGB (in Fiji: Image > Type > "
                "RGB Color)."
            )
        if description.startswith("ImageJ") and _whole(named.get("images")) > len(self.pages):
            raise InputError(
                f"{path}: holds {named['images']} pictures in a form that only ImageJ reads: save it as an image "
                "sequence or as AVI."
            )
        seconds = _number(named.get("finterval")) or (1 / fps if (fps := _number(named.get("fps"))) else 0.0)
        self.step = seconds if 0 < seconds < 1e6 and description.startswith("ImageJ") else None
        """Seconds from page to page, where ImageJ noted them."""

    def __len__(self) -> int:
        return len(self.pages)

    def raw(self, index: int) -> NDArray[Any]:
        """Page `index` (H, W) or (H, W, C), BGR, in the file's own type."""
        import cv2

        try:
            with decoder_words() as words:
                found, pages = cv2.imreadmulti(str(self.path), self.pages[index][0], 1, flags=cv2.IMREAD_UNCHANGED)
        except (cv2.error, UnicodeEncodeError):  # the latter for names that are no text, which OpenCV cannot open
            found, pages = False, ()
        if not found or not pages:
            raise InputError(f"{self.path}: page {index} is not readable: write the file again.")
        harm = damage(words.lines, b"")
        if harm:
            raise InputError(f"{self.path}: page {index} is damaged ({plain(harm, 120)}): copy the file again.")
        return np.asarray(pages[0])

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return as_rgb(to_eight_bits(self.raw(index), self.white))


class AnimationFrames:
    """The pictures of an animated PNG or WebP, all decoded at once, as each is drawn over the one before."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when this OpenCV reads no animations, or not this one."""
        import cv2

        self.path = path
        if not hasattr(cv2, "imdecodeanimation"):
            raise InputError(
                f"{path}: animations are read by OpenCV 4.11 or newer: update it (pip install -U "
                "opencv-python-headless), or save the animation as GIF."
            )
        width, height = image_size(path)
        require_memory(
            4.0 * width * height * page_count(path) * 2,
            f"{path}: {page_count(path)} pictures of {width} x {height}",
            "save them as a video",
        )
        try:
            with decoder_words():
                found, animation = cv2.imdecodeanimation(np.frombuffer(read_bytes(path, LONGEST_IMAGE), np.uint8))
        except cv2.error as error:
            raise InputError(f"{path}: OpenCV cannot decode this animation ({error.err}): write it again.") from error
        if not found or not animation.frames:
            raise InputError(f"{path}: not a readable animation: write it again.")
        self._frames = [as_rgb(np.asarray(frame)) for frame in animation.frames]
        self.durations = [float(duration) / 1000 for duration in animation.durations]
        """Seconds that each picture stays."""

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return self._frames[index].copy()


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.strip().isdigit() and len(text) < 10 else 0


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _ome_channels(description: str) -> int:
    """SizeC of an OME-TIFF, 1 for others."""
    found = re.search(r'<Pixels\b[^>]*\bSizeC="(\d{1,4})"', description)
    return int(found.group(1)) if found else 1
