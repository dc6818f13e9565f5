"""EXR depth maps: what other programs write is read exactly, and the rest is refused in a sentence."""

import struct

import numpy as np
import pytest
from layouts.exr import write_exr

from endogs.clip.files.depth_files import DepthFiles
from endogs.clip.files.exr_files import read_exr
from endogs.errors import InputError


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
