"""Pictures that are not what their folder expects: other sizes, depths and kinds, and headers that promise too much."""

import struct
import zlib
from pathlib import Path
from random import Random

import cv2
import numpy as np

from attacker import evil


def png(width: int, height: int, depth: int = 8, kind: int = 2, rows: bytes = b"") -> bytes:
    """A PNG file with this header and as much of the content as there is."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(width: int, height: int, bits: int = 32, form: int = 3, offset: int = 8, strip_bytes: int = 16) -> bytes:
    """A little-endian TIFF of one strip, whose numbers need not be true."""
    entries = [
        *((256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, offset)),
        *((277, 3, 1), (278, 4, height), (279, 4, strip_bytes), (339, 3, form)),
    ]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value & 0xFFFFFFFF) for tag, kind, value in entries)
    content = b"\0" * 16
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + struct.pack("<H", len(entries)) + body + b"\0" * 4


def harm_picture(random: Random, file: Path) -> str:
    """Make a picture worse; returns what was done."""
    ending = file.suffix.lower()
    act = random.choice(("bytes", "bytes", "bytes", "header", "size", "kind", "kind", "values", "other", "text", "one"))
    if act == "header" and ending == ".png":
        width, height = random.choice(
            ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (0, 5), (5, 0), (2**31, 1), (1, 2**30))
        )
        file.write_bytes(png(width, height, random.choice((8, 16, 1, 3)), random.choice((0, 2, 3, 6, 9))))
        return f"a PNG header of {width} x {height}"
    if act == "header" and ending in (".tif", ".tiff"):
        width, height = random.choice(
            ((2**31 - 1, 2**31 - 1), (60_000, 60_000), (0, 5), (2**32 - 1, 1), (1 << 20, 1 << 12))
        )
        file.write_bytes(tiff(width, height, random.choice((8, 16, 32, 64)), random.choice((1, 2, 3))))
        return f"a TIFF header of {width} x {height}"
    if act == "text":
        file.write_text(
            random.choice(("<svg xmlns='http://www.w3.org/2000/svg'/>", "hello", "GIF89a", "BM", "P6 9 9 255\n"))
        )
        return "a text"
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if act == "bytes" or image is None or ending == ".exr":
        changed, said = evil.harm_bytes(random, file.read_bytes())
        file.write_bytes(changed)
        return said
    height, width = image.shape[:2]
    if act == "size":
        width, height = random.choice(
            ((1, 1), (width, height + 1), (height, width), (2, 3), (400, 1), (width * 2, height * 2))
        )
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    elif act == "one":
        image = image[:1, :1]
    elif act == "values":
        image = np.full_like(image, random.choice((0, 255, 1)))
    elif act == "other":
        ending = random.choice((".jpg", ".bmp", ".webp", ".png", ".tiff", ".ppm"))
        flat = image if image.ndim == 2 or image.shape[2] == 3 else image[..., 0]
        coded, content = cv2.imencode(ending, np.ascontiguousarray(flat, np.uint8))
        file.write_bytes(content.tobytes() if coded else b"P6")
        return "coded as another kind"
    else:
        image = _another_kind(random, image, ending)
    try:
        file.write_bytes(cv2.imencode(ending, image)[1].tobytes())
    except cv2.error:  # a kind that cannot hold such pixels
        file.write_bytes(file.read_bytes()[:-9])
        return "cut off"
    return f"picture: {act} {image.shape} {image.dtype}"


def _another_kind(random: Random, image: np.ndarray, ending: str) -> np.ndarray:
    flat = image if image.ndim == 2 else image[..., 0]
    wide = flat.astype(np.uint16) * 257 if flat.dtype == np.uint8 else flat
    changed = [
        np.ascontiguousarray(flat),
        np.dstack([flat] * 3),
        np.dstack([flat] * 4),
        wide,
        (wide if ending == ".png" else np.dstack([wide] * 3)),
    ]
    if ending in (".tif", ".tiff"):
        holes = flat.astype(np.float32)
        holes[::2] = random.choice((np.nan, np.inf, -np.inf, 1e38, -5, 1e-40))
        changed += [holes, flat.astype(np.float64), flat.astype(np.int8), flat.astype(np.int32), np.dstack([holes] * 3)]
    return random.choice(changed)
