"""EXR depth maps: what other programs write is read exactly, and the rest is refused in a sentence."""

import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hardening.bomb_parts import exr_header
from layouts.exr import attribute, write_exr

from endogs.clip.files.depth_files import DepthFiles
from endogs.clip.files.exr_files import read_exr
from endogs.errors import InputError
from endogs.export.formats.exr_writer import write_exr as export_exr

OpenEXR = pytest.importorskip("OpenEXR")


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


@pytest.mark.parametrize("compression", ["PIZ", "PXR24", "DWAA", "B44", "RLE", "ZIP"])
@pytest.mark.parametrize("tiled", [False, True])
def test_every_compression_and_tiles_are_read(tmp_path, compression, tiled):
    header = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION"), "type": OpenEXR.scanlineimage}
    if tiled:
        header |= {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    OpenEXR.File(header, {"Z": depth(), "A": depth(np.float16)}).write(str(tmp_path / "a.exr"))
    np.testing.assert_allclose(read_exr(tmp_path / "a.exr"), depth(), rtol=1e-4)


def test_the_part_with_depth_is_found(tmp_path):
    color = {"A": depth(np.float16), "B": depth(np.float16)}
    parts = [OpenEXR.Part({}, color, "rgb"), OpenEXR.Part({}, {**color, "Z": depth()}, "depth")]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), depth())


def zeroed_offset(data: bytes) -> bytes:
    at = data.index(struct.pack("<4i", 0, 0, 19, 36)) + 17
    return data[:at] + bytes(8) + data[at + 8 :]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"not an exr file at all", "does not begin as an EXR"),
        (lambda data: data[:60], "header is cut short"),
        (lambda data: data[: len(data) // 2], "readable EXR"),
        (lambda data: data[:-300] + b"\xff" * 20 + data[-280:], "nable to decompress|ecode|damaged"),
        (lambda data: data[:-10], "readable EXR"),
        (lambda data: data[:4] + struct.pack("<I", 0x802) + data[8:], "deep"),
        (lambda data: data.replace(b"\1\0\0\0\3dataWindow", b"\1\0\0\0\4dataWindow"), "readable EXR"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, damage, reason, capfd):
    file = write_exr(tmp_path / "a.exr", {"Z": depth() ** 1.1}, 3)
    assert read_exr(file).shape == (37, 20)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=reason) as caught:
        read_exr(file)
    assert str(file) in str(caught.value)
    assert "".join(capfd.readouterr()) == "", "the sentence is all that is said"


def test_rows_that_no_chunk_holds_are_no_depth(tmp_path):
    """An offset that a program did not get to write: the library finds the chunk, or refuses."""
    file = write_exr(tmp_path / "a.exr", {"Z": depth()}, 3)
    file.write_bytes(zeroed_offset(file.read_bytes()))
    try:
        found = read_exr(file)
    except InputError:
        return
    np.testing.assert_array_equal(found, depth())


def test_headers_that_would_keep_the_library_busy_are_refused_before_it_sees_them(tmp_path, monkeypatch):
    """It takes 14 seconds for 100 000 channels, and four times that for twice as many."""
    monkeypatch.setattr("endogs.clip.files.exr_files._parts", lambda path, name: pytest.fail("the library was asked"))
    tiles = attribute("tiles", "tiledesc", struct.pack("<IIB", 2**20, 2**20, 0))
    cases = {
        "more than 32 channels": exr_header(16, 16, 1000),
        "unpacks to more than": exr_header(16384, 16384, 32),
        "more than 1000 attributes": struct.pack("<II", 20000630, 2)
        + b"".join(attribute(f"a{i}", "int", bytes(4)) for i in range(2000)),
        "longer than a megabyte": struct.pack("<II", 20000630, 2) + attribute("a", "string", bytes(2**21)),
        "tiles of 1048576 x 1048576": exr_header(16, 16, 1)[:-4096] + tiles + bytes(4096),
        "no channels": struct.pack("<II", 20000630, 2) + bytes(100),
    }
    for reason, data in cases.items():
        (tmp_path / "a.exr").write_bytes(data)
        with pytest.raises(InputError, match=reason):
            read_exr(tmp_path / "a.exr")


def test_without_the_library_it_is_named(tmp_path, monkeypatch):
    file = write_exr(tmp_path / "a.exr", {"Z": depth()})
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r"a.exr: an EXR file needs OpenEXR .*pip install 'endogs\[exr\]'"):
        read_exr(file)


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_a_name_that_is_no_text_is_a_name(tmp_path):
    file = write_exr(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.exr")), {"Z": depth()})
    np.testing.assert_array_equal(read_exr(file), depth())
    export_exr(file, depth() + 1, "millimetres")
    np.testing.assert_array_equal(read_exr(file), depth() + 1)
