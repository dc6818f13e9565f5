"""EXR depth maps: what other programs write is read exactly, and the rest is refused in a sentence."""

import struct
import zlib

import numpy as np
import pytest

from endogs.clip.depth_files import DepthFiles
from endogs.clip.exr_files import read_exr
from endogs.errors import InputError

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


def depth(dtype=np.float32):
    return (np.arange(37)[:, None] * 2.0 + np.arange(20)[None]).astype(dtype)


@pytest.mark.parametrize("compression", [0, 2, 3])
@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<u4"])
def test_depth_is_read_exactly(tmp_path, compression, dtype):
    file = write_exr(tmp_path / "a.exr", {"Z": depth(dtype)}, compression, window=(3, -2))
    found = read_exr(file)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, depth(dtype))
    np.testing.assert_array_equal(DepthFiles([file], (20, 37)).read(0), depth(dtype))


def test_the_depth_channel_is_found_among_others(tmp_path):
    color = depth("<f2") / 9
    file = write_exr(tmp_path / "a.exr", {"A": color, "B": color, "view.Z": depth("<f4")}, 3)
    np.testing.assert_array_equal(read_exr(file), depth())
    with pytest.raises(InputError, match="none of its channels"):
        read_exr(write_exr(tmp_path / "b.exr", {"A": color, "B": color}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"not an exr file at all", "does not begin as an EXR"),
        (lambda data: data[: len(data) // 2], "readable EXR"),
        (lambda data: data[:4] + struct.pack("<I", 0x202) + data[8:], "tiles"),
        (
            lambda data: data.replace(b"compression\0compression\0\1\0\0\0\0", b"compression\0compression\0\1\0\0\0\4"),
            "number 4",
        ),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, damage, reason):
    file = write_exr(tmp_path / "a.exr", {"Z": depth()})
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=reason) as caught:
        read_exr(file)
    assert str(file) in str(caught.value)
