"""Files of several pictures are read as all of their pictures, or refused with what works."""

import struct

import cv2
import numpy as np
import pytest
from drawn_frames import HEIGHT, WIDTH, save, series, tissue
from PIL import Image

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.files.stacks import page_count
from endogs.clip.layouts.image_stack import read
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(7)]


def written(path, frames=FRAMES, **settings):
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], **settings)
    return path


def assert_all_pages(clip, frames=FRAMES, most=1):
    assert len(clip) == len(frames)
    for index in (3, 0, len(frames) - 1):
        assert np.abs(clip.image(index).astype(int) - frames[index]).mean() <= most


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("stack.tif", {}),
        ("stack.tiff", {"compression": "tiff_lzw"}),
        ("clip.webp", {"duration": 40, "lossless": True}),
        ("clip.png", {"duration": 40}),
    ],
)
def test_all_pages_are_frames_given_the_file_or_its_folder(tmp_path, name, settings):
    path = written(tmp_path / name, **settings)
    assert page_count(path) == 7
    for given in (path, tmp_path):
        clip = load_clip(given)
        assert clip.kind == "image-stack"
        assert_all_pages(clip)
        assert clip.times[1] == pytest.approx(0.04 if "duration" in settings else 1 / 30)
    assert_all_pages(Clip(read(path, ClipOptions()), cache_bytes=0))
    assert len(load_clip(path, ClipOptions(stride=2, fps=10))) == 4


def test_a_gif_is_a_video(tmp_path):
    assert_all_pages(load_clip(written(tmp_path / "clip.gif", duration=40)), most=12)


def test_uneven_durations_are_kept(tmp_path):
    durations = [40, 100, 40, 500, 40, 40, 40]
    clip = load_clip(written(tmp_path / "clip.webp", duration=durations, lossless=True))
    np.testing.assert_allclose(np.diff(clip.times), np.array(durations[:-1]) / 1000)


def test_deep_pages_are_stretched(tmp_path):
    """Twelve bits in sixteen, as a camera's software saves them."""
    deep = [(frame[..., 1].astype(np.uint16) * 16) for frame in FRAMES]
    path = tmp_path / "deep.tif"
    assert cv2.imwritemulti(str(path), deep)
    clip = load_clip(path)
    assert_all_pages(clip, [np.repeat(frame[..., 1:2], 3, 2) for frame in FRAMES])
    assert any("taken for 12 bits" in note for note in clip.notes)


def test_the_frame_interval_that_imagej_noted(tmp_path):
    description = "ImageJ=1.53k\nimages=7\nframes=7\nfinterval=0.25\nunit=pixel\n"
    clip = load_clip(written(tmp_path / "a.tif", tiffinfo={270: description}))
    np.testing.assert_allclose(np.diff(clip.times), 0.25)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("ImageJ=1.53k\nimages=21\nchannels=3\nframes=7\n", "3 channels of each picture.*RGB"),
        ("ImageJ=1.53k\nimages=700\nframes=700\n", "700 pictures in a form that only ImageJ reads"),
        ('<?xml version="1.0"?><OME><Image><Pixels SizeC="2" SizeT="7"/></Image></OME>', "2 channels"),
    ],
)
def test_pages_that_are_no_pictures_are_refused(tmp_path, description, words):
    gray = [frame[..., 1] for frame in FRAMES]
    with pytest.raises(InputError, match=words):
        load_clip(written(tmp_path / "a.tif", gray, tiffinfo={270: description}))


def test_pages_of_other_sizes_are_named(tmp_path):
    odd = [*FRAMES[:4], np.ascontiguousarray(FRAMES[4][:20]), *FRAMES[5:]]
    with pytest.raises(InputError, match=rf"page 4 is {WIDTH} x 20 but page 0 is {WIDTH} x {HEIGHT}"):
        load_clip(written(tmp_path / "a.tif", odd))


def test_thumbnails_inside_a_tiff_are_no_pages(tmp_path):
    """NewSubfileType 1 marks a reduced copy of the page before it."""
    path = written(tmp_path / "a.tif", [FRAMES[0], np.ascontiguousarray(FRAMES[0][::4, ::4])])
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    (second,) = struct.unpack_from("<I", data, first + 2 + 12 * entries)
    struct.pack_into("<HHII", data, second + 2, 254, 4, 1, 1)  # in place of its first entry, ImageWidth
    path.write_bytes(data)
    assert page_count(path) == 1


def test_a_stack_among_frames_is_refused_and_the_advice_works(tmp_path):
    series(tmp_path / "mixed", "{:03d}.tif", FRAMES[:3])
    path = written(tmp_path / "mixed" / "003.tif")
    with pytest.raises(InputError, match=r"003\.tif: holds 7 pictures.*give the file itself"):
        load_clip(tmp_path / "mixed")
    assert_all_pages(load_clip(path))


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.png"])
def test_a_single_picture_is_no_stack(tmp_path, name):
    path = save(tmp_path / name, FRAMES[0])
    assert page_count(path) == 1
    with pytest.raises(InputError, match="single image"):
        load_clip(path)
    assert load_clip(tmp_path).kind == "image-folder"


@pytest.mark.parametrize("keep", [0, 3, 9, 30, 200])
def test_cut_and_circular_files_end(tmp_path, keep):
    for name in ("a.tif", "a.webp", "a.png"):
        path = written(tmp_path / name, **({} if name == "a.tif" else {"duration": 40}))
        path.write_bytes(path.read_bytes()[:keep])
        assert page_count(path) <= 7
    circle = struct.pack("<2sHIHI", b"II", 42, 8, 0, 8)  # a directory whose next one is itself
    (tmp_path / "circle.tif").write_bytes(circle)
    assert page_count(tmp_path / "circle.tif") == 1
