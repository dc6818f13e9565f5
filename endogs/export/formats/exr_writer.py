"""OpenEXR files of one depth channel: scan lines, float32, ZIP; `endogs.clip.files.exr_files` reads them back.

Written from the format's description (https://openexr.com/en/latest/OpenEXRFileLayout.html).
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION, ZIP, FLOAT = 20000630, 2, 3, 2
LINES = 16
"""Scan lines per ZIP chunk."""


def write_exr(path: Path, depth: NDArray[np.float32], units: str) -> None:
    """Writes depth (H, W) as the channel Z, with the attribute `units` (text)."""
    height, width = depth.shape
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel = b"Z\0" + struct.pack("<iIii", FLOAT, 0, 1, 1)
    header = struct.pack("<II", MAGIC, VERSION)
    for name, kind, value in (
        ("channels", "chlist", channel + b"\0"),
        ("compression", "compression", bytes([ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
        ("units", "string", units.encode()),
    ):
        header += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value
    header += b"\0"
    starts = range(0, height, LINES)
    chunks = [_packed(np.ascontiguousarray(depth[row : row + LINES], "<f4").tobytes()) for row in starts]
    at, offsets = len(header) + 8 * len(chunks), []
    for chunk in chunks:
        offsets.append(at)
        at += 8 + len(chunk)
    with open(path, "wb") as file:
        file.write(header + struct.pack(f"<{len(offsets)}Q", *offsets))
        for row, chunk in zip(starts, chunks, strict=True):
            file.write(struct.pack("<iI", row, len(chunk)) + chunk)


def _packed(raw: bytes) -> bytes:
    """Even bytes, then odd ones; each as the difference to the one before plus 128; deflated where that is smaller."""
    plain = np.frombuffer(raw, np.uint8)
    halves = np.concatenate([plain[0::2], plain[1::2]]).astype(np.int64)
    steps = np.diff(halves, prepend=halves[:1]) + 128
    steps[0] = halves[0]
    packed = zlib.compress((steps & 255).astype(np.uint8).tobytes())
    return packed if len(packed) < len(raw) else raw
