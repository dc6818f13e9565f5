"""EXR files as other programs write them, without a library for it."""

import struct
import zlib

import numpy as np

NUMBERS = {np.dtype("<u4"): 0, np.dtype("<f2"): 1, np.dtype("<f4"): 2}


def attribute(name, kind, value):
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def zipped(raw):
    """OpenEXR's ZIP: even bytes, then odd bytes, as differences plus 128, deflated."""
    woven = np.frombuffer(raw, np.uint8)
    halves = np.concatenate([woven[0::2], woven[1::2]]).astype(int)
    steps = halves.copy()
    steps[1:] = (halves[1:] - halves[:-1] + 128) & 255
    return zlib.compress(steps.astype(np.uint8).tobytes())


def write_exr(path, channels, compression=0, version=2, window=(0, 0)):
    """A scan-line EXR file of channels {name: (H, W)}, stored in alphabetical order as the format asks."""
    names = sorted(channels)
    height, width = channels[names[0]].shape
    x0, y0 = window
    listed = b"".join(n.encode() + b"\0" + struct.pack("<iIii", NUMBERS[channels[n].dtype], 0, 1, 1) for n in names)
    box = struct.pack("<4i", x0, y0, x0 + width - 1, y0 + height - 1)
    header = struct.pack("<II", 20000630, version)
    header += attribute("channels", "chlist", listed + b"\0")
    header += attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", box) + b"\0"
    lines = {0: 1, 2: 1, 3: 16}.get(compression, 1)
    chunks = []
    for row in range(0, height, lines):
        raw = b"".join(channels[n][r].tobytes() for r in range(row, min(row + lines, height)) for n in names)
        packed = zipped(raw) if compression in (2, 3) else raw
        packed = packed if len(packed) < len(raw) else raw
        chunks.append(struct.pack("<iI", y0 + row, len(packed)) + packed)
    offsets, position = b"", len(header) + 8 * len(chunks)
    for chunk in chunks:
        offsets += struct.pack("<Q", position)
        position += len(chunk)
    path.write_bytes(header + offsets + b"".join(chunks))
    return path
