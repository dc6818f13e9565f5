"""What files say about their own picture is applied or said: turn, colours, range, transparency, pixels, fields."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from drawn_frames import HEIGHT, WIDTH, mask, save, series, tissue
from hypothesis import given, settings
from hypothesis import strategies as st
from written_videos import number, numbered, write

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.files.interlacing import from_upper_field, is_combed
from endogs.clip.files.orientation import ORIENTATIONS, Turn, image_turn
from endogs.clip.files.transfer import _light, to_srgb
from endogs.clip.files.value_range import to_eight_bits, white_value
from endogs.clip.layouts.video import read
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(4)]


def says(clip, *words):
    return any(all(word in note for word in words) for note in clip.notes)


# Turned videos and images


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_video_is_turned_as_it_asks(tmp_path, degrees, turns):
    """A display matrix turns counterclockwise, as np.rot90 does; frames decoded again are turned too."""
    path = write(tmp_path / "phone.mp4", [numbered(i) for i in range(6)], rotation=degrees)
    clip = load_clip(path)
    expected = np.rot90(numbered(3), turns)
    assert (clip.height, clip.width) == expected.shape[:2]
    assert np.abs(clip.image(3).astype(int) - expected).mean() < 4
    np.testing.assert_allclose(clip.K[0][:2, 2], [clip.width / 2, clip.height / 2])
    assert says(clip, "asks to be turned", str(abs(degrees)))
    again = Clip(read(path, ClipOptions()), cache_bytes=0)
    np.testing.assert_array_equal(again.image(3), clip.image(3))


@given(st.sampled_from(sorted(ORIENTATIONS)))
@settings(max_examples=8, deadline=None)
def test_orientations_are_those_of_opencv(value):
    """OpenCV applies EXIF itself when it is not told to leave it alone."""
    image = tissue(0)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([value]) + b"\0\0\0\0\0\0"
    data = cv2.imencode(".jpg", image)[1].tobytes()
    tagged = np.frombuffer(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:], np.uint8)
    stored = cv2.imdecode(tagged, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(ORIENTATIONS[value].applied(stored), cv2.imdecode(tagged, cv2.IMREAD_COLOR))
    turn = ORIENTATIONS[value]
    assert turn.size(WIDTH, HEIGHT) == turn.applied(stored).shape[1::-1]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_the_tag_is_found_in_every_format(tmp_path, ending):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a.{ending}"
    Image.fromarray(tissue(0)).save(path, exif=exif)
    assert image_turn(path) == Turn(transposes=True, flips_columns=True)
    assert image_turn(save(tmp_path / f"plain.{ending}", tissue(0))).is_none


def tagged_folder(folder):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    folder.mkdir(parents=True)
    for index, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(folder / f"{index}.png", exif=exif)


def test_turned_images_are_read_as_stored_with_a_note(tmp_path):
    tagged_folder(tmp_path / "clip")
    clip = load_clip(tmp_path / "clip")
    np.testing.assert_array_equal(clip.image(1), FRAMES[1])
    assert says(clip, "4 of the 4 images ask to be turned by 90 degrees clockwise", "not turned")


def test_turned_images_beside_turned_masks_are_turned(tmp_path):
    tagged_folder(tmp_path / "images")
    series(tmp_path / "masks", "{}.png", [np.rot90(mask(i), -1) for i in range(4)])
    clip = load_clip(tmp_path)
    np.testing.assert_array_equal(clip.image(1), np.rot90(FRAMES[1], -1))
    np.testing.assert_array_equal(clip.tissue_mask(1) | clip.ignored, np.rot90(mask(1), -1) == 0)
    assert says(clip, "and are")


# Colours


def coded(path, rgb, matrix, bits, full, transfer=2, size=(64, 32)):
    """FFV1 of one flat colour (R, G, B in 0..1), 4:4:4, coded by hand with the luma weights of `matrix`."""
    code, red, blue = matrix
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    chroma = np.array([(rgb[2] - y) / (2 * (1 - blue)), (rgb[0] - y) / (2 * (1 - red))])
    scale = 2 ** (bits - 8)
    values = [y * (2**bits - 1), *(chroma * (2**bits - 1) + 2 ** (bits - 1))]
    if not full:
        values = [(16 + 219 * y) * scale, *((128 + 224 * chroma) * scale)]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p" if bits == 8 else "yuv444p10le"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_trc = code, 2 if full else 1, transfer
        context.color_primaries = 9 if code == 9 else 1
        for index in range(2):
            frame = av.VideoFrame(*size, stream.pix_fmt)
            for plane, value in zip(frame.planes, values, strict=True):
                kind = np.uint8 if bits == 8 else np.dtype("<u2")
                plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, round(value), kind).tobytes())
            frame.pts = index
            frame.colorspace, frame.color_range = code, 2 if full else 1
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


BT601, BT709, BT2020, UNSAID = (6, 0.299, 0.114), (1, 0.2126, 0.0722), (9, 0.2627, 0.0593), (2, 0.299, 0.114)
GREEN = np.array([40, 170, 60]) / 255


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020], ids=["601", "709", "2020"])
@pytest.mark.parametrize(("bits", "full"), [(8, False), (8, True), (10, False)])
def test_matrix_and_range_are_honoured(tmp_path, matrix, bits, full):
    clip = load_clip(coded(tmp_path / "a.mkv", GREEN, matrix, bits, full), ClipOptions(borders="keep"))
    assert np.abs(clip.image(1).reshape(-1, 3).mean(0) - 255 * GREEN).max() < 3


def test_an_unsaid_matrix_is_that_of_players(tmp_path):
    """BT.601 below HD, BT.709 from there on, with a note."""
    small = load_clip(coded(tmp_path / "sd.mkv", GREEN, UNSAID, 8, False), ClipOptions(borders="keep"))
    assert np.abs(small.image(1)[9, 9] - 255 * GREEN).max() < 3
    assert not says(small, "matrix")
    path = coded(tmp_path / "hd.mkv", GREEN, (2, *BT709[1:]), 8, False, size=(1280, 32))
    large = load_clip(path, ClipOptions(borders="keep"))
    assert np.abs(large.image(1)[9, 9] - 255 * GREEN).max() < 3
    assert says(large, "colour matrix", "BT.709")


def to_pq(light):
    """PQ of light over 203 cd/m2: the inverse of BT.2100's table 4, written anew."""
    y = light * 203 / 10000
    power = y ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def srgb_light(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


BT2020_OF_709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


@pytest.mark.parametrize("color", [(235, 235, 235), (40, 170, 60), (140, 60, 55)])
def test_pq_becomes_srgb(tmp_path, color):
    """From sRGB to BT.2020 (BT.2087, table 4) and PQ by formulas of the test's own, and back by the reader."""
    wide = to_pq(BT2020_OF_709 @ srgb_light(np.array(color) / 255))
    clip = load_clip(coded(tmp_path / "a.mkv", wide, BT2020, 10, False, transfer=16), ClipOptions(borders="keep"))
    assert np.abs(clip.image(0)[9, 9].astype(int) - color).max() <= 4
    assert says(clip, "HDR (PQ)", "203")


def test_hlg_reference_white_is_white_and_gray_stays_gray():
    """BT.2408, table 1: 75 % HLG is the reference white; 38 % is 26 cd/m2, an 18 % gray card."""
    signal = np.full((1, 1, 3), round(0.75 * 65535), np.uint16)
    assert to_srgb(signal, "HLG").min() >= 253
    card = to_srgb(np.full((1, 1, 3), round(0.38 * 65535), np.uint16), "HLG")[0, 0]
    light = float(srgb_light(card[0] / 255)) * 203
    assert light == pytest.approx(26, rel=0.06)
    assert np.ptp(card.astype(int)) <= 1
    assert _light("HLG")[-1] == pytest.approx(1, abs=1e-4)


# Range of values


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_images_that_are_not_stretched(tmp_path, bits):
    series(tmp_path, "{}.png", [(frame.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16) for frame in FRAMES])
    clip = load_clip(tmp_path)
    assert np.abs(clip.image(2).astype(int) - FRAMES[2]).max() <= 1
    assert says(clip, f"taken for {bits} bits")


def test_full_sixteen_bits_stay_as_they_are(tmp_path):
    series(tmp_path, "{}.png", [frame.astype(np.uint16) * 257 for frame in FRAMES])
    clip = load_clip(tmp_path)
    np.testing.assert_array_equal(clip.image(2), FRAMES[2])
    assert not says(clip, "bits")


def test_floating_point_pictures(tmp_path):
    series(tmp_path / "unit", "{}.tif", [frame.astype(np.float32) / 255 for frame in FRAMES])
    clip = load_clip(tmp_path / "unit")
    assert np.abs(clip.image(1).astype(int) - FRAMES[1]).max() <= 1
    assert says(clip, "floating-point", "1 is taken for white")
    series(tmp_path / "wild", "{}.tif", [frame.astype(np.float32) * 40 for frame in FRAMES])
    with pytest.raises(InputError, match="save them with 8 or 16 bits"):
        load_clip(tmp_path / "wild")


@given(st.integers(1, 65535))
@settings(max_examples=60, deadline=None)
def test_no_value_range_makes_a_picture_darker_than_its_bits(largest):
    image = np.array([[largest]], np.uint16)
    notes = []
    white = white_value([image], "folder", notes)
    shown = int(to_eight_bits(image, white)[0, 0])
    assert shown >= int(to_eight_bits(image, None)[0, 0])
    assert (white is None) == (largest >= 2**14)
    assert len(notes) == (white is not None)


# Transparency


@pytest.mark.parametrize("blackened", [False, True])
def test_what_is_cut_out_is_no_tissue(tmp_path, blackened):
    cut = []
    for index, frame in enumerate(FRAMES):
        hole = mask(index) > 0
        image = np.where(hole[..., None] & blackened, 0, frame).astype(np.uint8)
        cut.append(np.dstack([image, np.where(hole, 0, 255).astype(np.uint8)]))
    clip = load_clip(series(tmp_path, "{}.png", cut), ClipOptions(borders="keep"))
    assert clip.masks_are_given
    for index in range(4):
        np.testing.assert_array_equal(clip.tissue_mask(index), mask(index) == 0)
    assert says(clip, "transparent", "not tissue")


def test_transparency_joins_masks(tmp_path):
    cut = [np.dstack([frame, np.where(mask(i) > 0, 0, 255).astype(np.uint8)]) for i, frame in enumerate(FRAMES)]
    series(tmp_path / "images", "{}.png", cut)
    corner = np.zeros((HEIGHT, WIDTH), np.uint8)
    corner[30:, :9] = 255
    series(tmp_path / "masks", "{}.png", [corner] * 4)
    clip = load_clip(tmp_path, ClipOptions(borders="keep"))
    np.testing.assert_array_equal(clip.tissue_mask(2), (mask(2) == 0) & (corner == 0))


def test_the_same_transparency_everywhere_is_the_view(tmp_path):
    """A round view cut out is no instrument: instruments are still to be looked for."""
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :7] = 0
    clip = load_clip(series(tmp_path, "{}.png", [np.dstack([frame, alpha]) for frame in FRAMES]))
    assert not clip.has_masks
    assert clip.ignored[:, :7].all()
    assert says(clip, "outside the view")


def test_wholly_transparent_and_opaque_pictures_say_nothing_about_tissue(tmp_path):
    for name, value in (("none", 255), ("all", 0)):
        alpha = np.full((HEIGHT, WIDTH, 1), value, np.uint8)
        clip = load_clip(series(tmp_path / name, "{}.png", [np.dstack([frame, alpha]) for frame in FRAMES]))
        assert not clip.has_masks
        assert says(clip, "transparent as a whole") == (value == 0)


# Streams


def two_streams(path, first, second, **first_flags):
    """A file of two videos of different sizes; `first_flags` are dispositions of the first."""
    from av.stream import Disposition

    with av.open(str(path), "w") as output:
        streams = []
        for frames in (first, second):
            stream = output.add_stream("libx264", rate=25, options={"crf": "8", "bf": "0"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            streams.append(stream)
        streams[0].disposition = Disposition[first_flags["flag"]] if first_flags else Disposition(0)
        for stream, frames in zip(streams, (first, second), strict=True):
            for index, image in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
    return path


def test_the_film_is_read_and_not_its_preview(tmp_path):
    preview = [numbered(9, 32, 32) for _ in range(8)]
    film = [numbered(i) for i in range(8)]
    for name, order in (("a.mkv", (preview, film)), ("b.mkv", (film, preview))):
        path = two_streams(tmp_path / name, *order)
        clip = load_clip(path)
        assert [number(clip.image(i)) for i in range(len(clip))] == list(range(8))
        assert says(clip, "2 video streams", "32 x 32")
        assert number(Clip(read(path, ClipOptions()), cache_bytes=0).image(5)) == 5


def test_a_large_poster_is_no_film(tmp_path):
    path = two_streams(tmp_path / "a.mkv", [numbered(9, 192, 160)], [numbered(i) for i in range(8)])
    clip = load_clip(path)
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(8))


# Fields


def woven(count, width=96, height=64):
    """Frames whose odd rows were seen three pixels later than their even ones."""
    wide = cv2.resize(tissue(0), (width + 100, height))
    wide[:, ::12] = 250
    frames = []
    for index in range(count):
        frame = wide[:, 6 * index : 6 * index + width].copy()
        frame[1::2] = wide[1::2, 6 * index + 3 : 6 * index + 3 + width]
        frames.append(frame)
    return frames


def test_combs_in_a_video_that_calls_itself_progressive(tmp_path):
    frames = woven(8)
    path = write(tmp_path / "a.mp4", frames)
    clip = load_clip(path)
    assert says(clip, "interlaced", "flags say otherwise", "show combs")
    for index in (5, 0):
        assert not is_combed(cv2.cvtColor(clip.image(index), cv2.COLOR_RGB2GRAY))
        assert np.abs(clip.image(index)[::2].astype(int) - frames[index][::2]).mean() < 6
    again = Clip(read(path, ClipOptions()), cache_bytes=0)
    np.testing.assert_array_equal(again.image(5), clip.image(5))


def test_noise_texture_and_still_pictures_are_no_combs(tmp_path):
    generator = np.random.default_rng(0)
    assert not is_combed(generator.integers(0, 255, (80, 90), dtype=np.uint8))
    checks = np.tile(np.kron([[0, 255], [255, 0]], np.ones((1, 1))), (40, 45)).astype(np.uint8)
    assert not is_combed(checks), "a board of single pixels alternates along columns as much"
    assert not says(load_clip(write(tmp_path / "a.mp4", [tissue(i) for i in range(8)])), "interlaced")


@given(st.integers(2, 40), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_a_field_makes_whole_frames_of_any_size(height, width):
    image = np.random.default_rng(height).integers(0, 255, (height, width, 3), dtype=np.uint8)
    whole = from_upper_field(image)
    np.testing.assert_array_equal(whole[::2], image[::2])
    assert whole.shape == image.shape
    ramp = np.repeat(np.arange(height, dtype=np.uint8)[:, None, None] * 4, 3, 2).repeat(width, 1)
    inner = from_upper_field(ramp)[3:-4]
    np.testing.assert_allclose(inner, ramp[3 : 3 + len(inner)], atol=1)


# Shape of pixels


@given(st.fractions(Fraction(1, 3), 3, max_denominator=60))
@settings(max_examples=6, deadline=None)
def test_pixels_become_square_and_the_camera_with_them(tmp_path_factory, aspect):
    path = tmp_path_factory.mktemp("aspect") / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(2):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    clip = load_clip(path)
    assert clip.width == pytest.approx(64 * float(aspect), abs=0.6)
    assert clip.height == 48
    assert clip.K[0, 0, 0] == clip.K[0, 1, 1]
    assert clip.K[0, 0, 2] == clip.width / 2
    assert says(clip, "not square") == (clip.width != 64)


def test_transparent_videos_are_said(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgra"
        image = np.dstack([numbered(3), np.full((48, 64), 255, np.uint8)])
        image[:12, :, 3] = 0
        picture = av.VideoFrame.from_ndarray(image, format="rgba").reformat(format="bgra")
        picture.pts = 0
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    assert says(load_clip(path), "transparent pixels (25.0 %")


def test_headers_that_end_early_have_no_orientation(tmp_path):
    whole = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 274, 3, 1, 6)
    for length in range(len(whole)):
        (tmp_path / "a.tif").write_bytes(whole[:length])
        assert image_turn(tmp_path / "a.tif").is_none
    (tmp_path / "a.tif").write_bytes(whole)
    assert not image_turn(tmp_path / "a.tif").is_none
