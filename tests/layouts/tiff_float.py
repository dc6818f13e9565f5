"""Uncompressed float32 TIFF, written from the format's description (TIFF 6.0), so that no library orders channels."""

import struct
from pathlib import Path

import numpy as np


def write_tiff(path: Path, values: np.ndarray) -> None:
    """Write (H, W) or (H, W, C) floats, channels interleaved in their order."""
    pixels = np.ascontiguousarray(values, "<f4")
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    begin = 8
    data = pixels.tobytes()
    after = begin + len(data)
    bits, kinds = struct.pack("<4H", 32, 32, 32, 32)[: 2 * channels], struct.pack("<4H", 3, 3, 3, 3)[: 2 * channels]
    at_bits = 32 if channels == 1 else after
    at_kinds = 3 if channels == 1 else after + len(bits)
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, at_bits),
        (259, 3, 1, 1),  # not compressed
        (262, 3, 1, 1 if channels == 1 else 2),  # gray, or red green blue
        (273, 4, 1, begin),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),  # interleaved
        (339, 3, channels, at_kinds),  # floating point
    ]
    extra = b"" if channels == 1 else bits + kinds
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II*\0" + struct.pack("<I", after + len(extra))
    path.write_bytes(header + data + extra + directory + struct.pack("<I", 0))
