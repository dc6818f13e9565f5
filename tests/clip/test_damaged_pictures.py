"""Pictures damaged in their middle that decode to their end are named, and no library speaks to the terminal."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from drawn_frames import mask, save, series, tissue

from endogs.clip import load_clip
from endogs.clip.files.decoder_words import decoder_words
from endogs.clip.files.image_files import read_color, read_raw
from endogs.clip.files.picture_damage import damage
from endogs.clip.files.whole_jpegs import BLOCK, break_row, check_whole
from endogs.errors import InputError

WIDTH, HEIGHT = 160, 128


def frame(index: int) -> np.ndarray:
    """uint8 (H, W, 3) BGR with noise, so that every block has bits to be damaged."""
    noise = np.random.default_rng(index).normal(0, 3, (HEIGHT, WIDTH, 3))
    return np.clip(tissue(index, WIDTH, HEIGHT)[..., ::-1] + noise, 0, 255).astype(np.uint8)


def jpeg(index: int, *options: int) -> bytes:
    return cv2.imencode(".jpg", frame(index), [cv2.IMWRITE_JPEG_QUALITY, 90, *options])[1].tobytes()


def folder_of(path, *files: bytes, suffix=".jpg"):
    for index, data in enumerate(files):
        (path / f"{index:04d}{suffix}").write_bytes(data)
    return path


def without_some_rows(data: bytes) -> bytes:
    """Without 400 bytes of the middle, as a bad sector or a broken transfer leaves a file."""
    middle = len(data) // 2
    return data[:middle] + data[middle + 400 :]


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
def test_a_jpeg_damaged_in_its_middle_is_refused(tmp_path, capfd, options):
    """The file is named, and libjpeg's own line does not reach the terminal."""
    whole = [jpeg(i, *options) for i in range(5)]
    folder_of(tmp_path, *whole)
    assert not any("damaged" in note for note in load_clip(tmp_path).notes)
    folder_of(tmp_path, *whole[:3], without_some_rows(whole[3]), whole[4])
    with pytest.raises(InputError, match=r"0003\.jpg: .*(damaged|not a readable image)"):
        load_clip(tmp_path)
    with pytest.raises(InputError, match=r"0003\.jpg"):
        read_color(tmp_path / "0003.jpg")
    assert capfd.readouterr() == ("", "")


def test_a_damaged_jpeg_among_the_masks_is_refused(tmp_path, capfd):
    series(tmp_path / "images", "{:04d}.png", [tissue(i) for i in range(3)])
    for i in range(3):
        save(tmp_path / "masks" / f"{i:04d}.jpg", mask(i))
    assert load_clip(tmp_path).has_masks
    path = tmp_path / "masks" / "0001.jpg"
    data = path.read_bytes()
    path.write_bytes(data[:-40] + data[-2:])
    with pytest.raises(InputError, match=r"0001\.jpg: the picture is damaged"):
        load_clip(tmp_path)
    assert capfd.readouterr().err == ""


def test_what_cameras_leave_in_jpegs_is_read(tmp_path, capfd):
    """Padding before the end and bytes after it are no damage; a few bytes of anything get a note."""
    whole = [jpeg(i) for i in range(4)]
    padded = [
        whole[0][:-2] + bytes(300) + whole[0][-2:],
        whole[1] + bytes(99),
        whole[2][:-2] + b"\x12\x34\x56\x78\xff\xd9",
    ]
    clip = load_clip(folder_of(tmp_path, *padded, whole[3]))
    np.testing.assert_array_equal(clip.image(0), cv2.imdecode(np.frombuffer(whole[0], np.uint8), 1)[..., ::-1])
    assert any("2 of the 4 JPEGs" in note and "0000.jpg" in note for note in clip.notes)
    assert capfd.readouterr().err == ""


def test_a_jpeg_whose_lower_part_is_only_brighter_is_noted(tmp_path):
    """Of such damage the decoder says nothing: brightness is coded as differences from block to block."""
    pictures = [frame(0) for _ in range(5)]
    pictures[2][56:] = np.clip(pictures[2][56:].astype(int) + 25, 0, 255)
    for i, picture in enumerate(pictures):
        save(tmp_path / f"{i:04d}.jpg", picture[..., ::-1])
    notes = [note for note in load_clip(tmp_path).notes if "breaks off" in note]
    assert len(notes) == 1
    assert all(word in notes[0] for word in ("0002.jpg", "row 56"))


def test_what_moves_or_flashes_does_not_break_off():
    """Nor does something that comes in from below, or black below a round view."""
    grid = np.random.default_rng(0).integers(40, 160, (40, 60, 3), np.uint8)
    moved = [np.roll(grid, shift, 1) for shift in (0, 1, 2)]
    assert break_row(*moved) is None
    assert break_row(grid, grid + 20, grid) is None
    entering = grid.copy()
    entering[20:, 20:40] = 200
    assert break_row(grid, entering, grid) is None
    broken = grid.copy()
    broken[20, 30:], broken[21:] = broken[20, 30:] + 30, broken[21:] + 30
    assert break_row(grid, broken, grid) in (20, 21)
    assert BLOCK == 8


@pytest.mark.parametrize("broken", [0, 3, 6])
def test_the_first_and_the_last_break_off_too(tmp_path, broken):
    pictures = [frame(0) for _ in range(7)]
    pictures[broken][64:] = np.clip(pictures[broken][64:].astype(int) - 30, 0, 255)
    for i, picture in enumerate(pictures):
        save(tmp_path / f"{i:04d}.jpg", picture[..., ::-1])
    notes: list[str] = []
    check_whole(sorted(tmp_path.iterdir()), notes, are_a_series=True)
    assert len(notes) == 1
    assert notes[0].startswith(f"{broken:04d}.jpg breaks off from the frames beside it at row 64:")


def png_with(change) -> bytes:
    data = bytearray(cv2.imencode(".png", frame(0))[1].tobytes())
    change(data)
    return bytes(data)


def test_a_png_with_a_wrong_checksum_is_refused_by_name(tmp_path, capfd):
    def harm(data):
        data[len(data) // 2] ^= 0x10

    path = tmp_path / "0000.png"
    path.write_bytes(png_with(harm))
    with pytest.raises(InputError, match=r"0000\.png: not a readable image \("):
        read_raw(path)
    text = b"tEXtComment\0made by hand"
    whole = png_with(lambda data: None)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text) ^ 1)
    path.write_bytes(whole[:33] + chunk + whole[33:])  # only the comment is damaged
    np.testing.assert_array_equal(read_raw(path), frame(0))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("compression", [5, 8])
def test_a_tiff_with_a_damaged_strip_is_refused(tmp_path, capfd, compression):
    """OpenCV decodes the other strips and only logs the error."""
    data = bytearray(cv2.imencode(".tif", frame(0), [cv2.IMWRITE_TIFF_COMPRESSION, compression])[1].tobytes())
    path = tmp_path / "0000.tif"
    path.write_bytes(data)
    np.testing.assert_array_equal(read_raw(path), frame(0))
    middle = len(data) // 2
    data[middle : middle + 256] = bytes(range(256))
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"0000\.tif: (the picture is damaged|not a readable image)"):
        read_raw(path)
    assert capfd.readouterr().err == ""


def test_other_words_pass_on_to_the_terminal(capfd):
    """Only decoders are heard; what somebody else says meanwhile comes out, and nothing is heard twice."""
    with decoder_words() as words:
        os.write(2, b"Corrupt JPEG data: bad Huffman code\nsomebody else\n")
    assert words.lines == ["Corrupt JPEG data: bad Huffman code"]
    with decoder_words() as words:
        pass
    assert words.lines == []
    assert capfd.readouterr().err == "somebody else\n"


@pytest.mark.parametrize(
    ("line", "is_damage"),
    [
        ("Corrupt JPEG data: premature end of data segment", True),
        ("Corrupt JPEG data: found marker 0xd3 instead of RST5", True),
        ("Corrupt JPEG data: 4 extraneous bytes before marker 0xd9", False),
        ("Corrupt JPEG data: 700 extraneous bytes before marker 0xdb", False),
        ("Corrupt JPEG data: 700 extraneous bytes before marker 0xd4", True),
        ("Warning: unknown JFIF revision number 9.01", False),
        ("libpng warning: iCCP: known incorrect sRGB profile", False),
        ("[ WARN:0@1.2] global grfmt_tiff.cpp:123 TIFF_Warning TIFFReadDirectory: Unknown field with tag 65000", False),
        ("[ERROR:0@1.2] global grfmt_tiff.cpp:117 TIFF_Error ZIPDecode: Decoding error at scanline 288", True),
    ],
)
def test_which_words_mean_damage(line, is_damage):
    assert bool(damage([line], b"\xff\xd8" + bytes(range(256)) * 4 + b"\xff\xd9")) == is_damage
