"""What the values in mask files mean: two are read, more are named and asked about, and no answer is half heard."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.clip_samples import HEIGHT, WIDTH, write_images

from endogs.cli import main
from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.files.mask_classes import COLOR, MaskValues, classes, mask_labels, parse_mask_values
from endogs.errors import InputError

SIDE = 96
YX = np.mgrid[:SIDE, :SIDE]
TOOL = (YX[0] - 40) ** 2 + (YX[1] - 50) ** 2 < 18**2
WRIST, JAW = TOOL & (YX[1] < 44), TOOL & (YX[1] < 37)


def clip_of(folder, mask, suffix=".png", parameters=(), count=2, options=ClipOptions()):  # noqa: B008
    """A clip of frames with one mask for all."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{i}{suffix}"), mask, list(parameters))
    return load_clip(folder, options)


def transparent(color):
    """Opaque over the tool, as annotation tools write it."""
    image = np.zeros((SIDE, SIDE, 4), np.uint8)
    image[..., :3], image[..., 3] = color, 255 * TOOL
    return image


SMOOTH = cv2.GaussianBlur(255 * TOOL.astype(np.uint8), (0, 0), 2)
TWO_VALUES = {
    "binary": (255 * TOOL.astype(np.uint8), ".png", ()),
    "soft": (SMOOTH, ".png", ()),
    "jpeg": (255 * TOOL.astype(np.uint8), ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 50)),
    "soft jpeg": (SMOOTH, ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 70)),
    "colours": (cv2.merge([255 * TOOL.astype(np.uint8)] * 3), ".png", ()),
    "green": (np.where(TOOL[..., None], (0, 200, 0), 0).astype(np.uint8), ".png", ()),
    "16 bits": (65535 * TOOL.astype(np.uint16), ".png", ()),
    "16-bit id": (3 * TOOL.astype(np.uint16), ".png", ()),
    "a label": (7 * TOOL.astype(np.uint8), ".png", ()),
    "alpha on white": (transparent((255, 255, 255)), ".png", ()),
    "alpha on black": (transparent((0, 0, 0)), ".png", ()),
}


@pytest.mark.parametrize("name", TWO_VALUES)
def test_masks_of_two_values_are_read_whatever_they_are(name, tmp_path):
    clip = clip_of(tmp_path, *TWO_VALUES[name])
    hidden = ~clip.tissue_mask(1)
    assert (hidden & TOOL).sum() >= 0.97 * TOOL.sum()
    assert (hidden & ~TOOL).sum() <= 0.03 * TOOL.sum()


def color_parts():
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[TOOL], image[JAW] = (0, 0, 128), (0, 128, 128)  # the palette of DAVIS, blue first
    return image


SEVERAL = {
    "parts": (85 * (TOOL.astype(np.uint8) + WRIST + JAW), ["85", "170", "255"], "85,170,255"),
    "unsure": (np.where(JAW, 255, 6 * TOOL).astype(np.uint8), ["6", "255"], "6,255"),
    "a class everywhere": (np.where(TOOL, 31, np.where(YX[0] < 30, 11, 22)).astype(np.uint8), ["11", "22", "31"], "31"),
    "two classes, none 0": (np.where(TOOL, 2, 1).astype(np.uint8), ["1", "2"], "2"),
    "ids": (np.where(JAW, 300, 299 * TOOL).astype(np.uint16), ["299", "300"], "299,300"),
    "palette": (color_parts(), ["#800000", "#808000"], "#800000,#808000"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_classes_are_named_and_asked_about_and_the_answer_is_used(name, tmp_path, capsys):
    mask, named, instruments = SEVERAL[name]
    with pytest.raises(InputError, match="classes") as refused:
        clip_of(tmp_path, mask)
    assert all(re.search(rf"{re.escape(value)} \(", str(refused.value)) for value in named)
    clip = load_clip(tmp_path, ClipOptions(mask_values=(f"instrument={instruments}",)))
    np.testing.assert_array_equal(~clip.tissue_mask(0), TOOL)
    # The sentence's own example works as it stands.
    example = re.search(r"--mask-values (instrument=\S+?);", str(refused.value))
    assert example is not None
    assert main(["inspect", str(tmp_path), "--mask-values", example[1], "--out", str(tmp_path / "sheet.png")]) == 0


RNG = np.random.default_rng(4)
SPECKLED = np.where(TOOL, RNG.integers(1, 31, TOOL.shape), 0).astype(np.uint8)
SQUARES = np.kron(np.arange(1, 101).reshape(10, 10), np.ones((9, 9))).astype(np.uint8) * TOOL[3:93, 3:93]
LABELS = {
    "30 labels, scattered": (SPECKLED, ".png", ()),
    "30 labels, scattered, bright": (8 * SPECKLED, ".png", ()),
    "30 labels, scattered, with 255": (np.where(JAW, 255, SPECKLED).astype(np.uint8), ".png", ()),
    "100 ids": (np.pad(SQUARES, 3), ".png", ()),
    "ids as jpeg": (np.pad(2 * SQUARES, 3), ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 90)),
    "dark ids as jpeg": (SPECKLED, ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 95)),
}


@pytest.mark.parametrize("name", LABELS)
def test_many_labels_are_counted_and_asked_about_and_the_example_works(name, tmp_path):
    mask, suffix, parameters = LABELS[name]
    with pytest.raises(InputError, match="only you know which are instruments") as refused:
        clip_of(tmp_path, mask, suffix, parameters)
    if suffix == ".png" and "scattered" in name:
        assert f"hold {len(np.unique(mask))} different values" in str(refused.value)
    example = re.search(r"--mask-values (instrument=[^\s;]+);", str(refused.value))
    assert example is not None
    hidden = ~load_clip(tmp_path, ClipOptions(mask_values=(example[1],))).tissue_mask(0)
    assert (hidden & TOOL).sum() >= 0.9 * TOOL.sum()
    assert (hidden & ~TOOL).sum() <= 0.1 * TOOL.sum()


def test_soft_masks_say_how_much_lies_between_and_what_counts(tmp_path):
    clip = clip_of(tmp_path / "soft", cv2.GaussianBlur(255 * TOOL.astype(np.uint8), (0, 0), 3))
    told = next(note for note in clip.notes if "is soft" in note)
    values = [int(number) for number in re.findall(r"(\d+) values between", told)]
    assert values[0] > 50
    assert "above 127 is instrument" in told
    assert not any("soft" in note for note in clip_of(tmp_path / "hard", 255 * TOOL.astype(np.uint8)).notes)
    grey = cv2.GaussianBlur(20 * TOOL.astype(np.uint8), (0, 0), 3)
    told = next(note for note in clip_of(tmp_path / "grey", grey).notes if "holds 0 and 20" in note)
    assert "only" not in told
    assert "above 10 is instrument" in told


def test_values_that_jpeg_changed_count_for_the_nearest(tmp_path):
    mask = np.where(JAW, 120, 255 * TOOL).astype(np.uint8)
    options = ClipOptions(mask_values=("instrument=120,255",))
    clip = clip_of(tmp_path, mask, ".jpg", (cv2.IMWRITE_JPEG_QUALITY, 60), options=options)
    assert (~clip.tissue_mask(0) & TOOL).sum() >= 0.97 * TOOL.sum()


def test_ranges_of_values_are_values():
    assert parse_mask_values(("instrument=1-3,9", "unknown=255")) == MaskValues((1, 2, 3, 9), (255,))
    for wrong in ("instrument=3-1", "instrument=1-", "instrument=-3", "instrument=1-#ff0000", "instrument=1-70000"):
        with pytest.raises(InputError, match=r"^--mask-values"):
            parse_mask_values((wrong,))


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_an_alpha_channel_of_one_value_tells_nothing(alpha, tmp_path):
    image = np.dstack([np.where(TOOL, 255, 0)] * 3 + [np.full(TOOL.shape, alpha)]).astype(np.uint8)
    np.testing.assert_array_equal(~clip_of(tmp_path, image).tissue_mask(0), TOOL)


def test_where_nothing_is_drawn_the_alpha_channel_is_the_mask():
    empty = np.zeros((8, 8, 4), np.uint8)
    empty[..., :3] = 255
    assert not mask_labels(empty).any()


@pytest.mark.parametrize(
    ("mask", "options", "words"),
    [
        (255 * TOOL, (), "255 = instrument"),
        (20 * TOOL, (), "20 = instrument"),
        (np.where(TOOL, 0, 255), ("--mask-instrument-value", "0"), "0 = instrument"),
        (0 * TOOL, (), "0 everywhere = tissue"),
        (np.where(JAW, 2, 7 * TOOL), ("--mask-values", "instrument=2,7"), "instrument=2,7"),
    ],
    ids=["255", "20", "0", "nothing", "named"],
)
def test_inspect_says_what_the_files_hold(mask, options, words, tmp_path, capsys):
    try:
        clip_of(tmp_path, mask.astype(np.uint8))
    except InputError:
        assert options
    assert main(["inspect", str(tmp_path), *options, "--out", str(tmp_path / "sheet.png")]) == 0
    rows = capsys.readouterr().out.split("masks", 1)[1]
    assert " ".join(rows.split()).startswith(words)


def test_unknown_is_left_out_and_tissue_alone_may_be_named(tmp_path):
    mask = np.where(JAW, 255, 6 * TOOL).astype(np.uint8)
    mask[:10] = 4
    with pytest.raises(InputError):
        clip_of(tmp_path, mask)
    seen = load_clip(tmp_path, ClipOptions(mask_values=("instrument=6", "unknown=255")))
    np.testing.assert_array_equal(seen.tissue_mask(0), ~TOOL)
    assert any("0, 4 too" in note and "tissue" in note for note in seen.notes)
    seen = load_clip(tmp_path, ClipOptions(mask_values=("tissue=0",)))
    np.testing.assert_array_equal(seen.tissue_mask(0), ~TOOL & (YX[0] >= 10))


@pytest.mark.parametrize(
    "words",
    [
        *[
            ("6",),
            ("instrument=",),
            ("instrument=x",),
            ("unknown=3",),
            ("tool=3",),
            ("instrument=-1",),
            ("instrument=²",),
        ],
        *[
            ("instrument=1", "instrument=2"),
            ("instrument=1,2", "tissue=2"),
            ("instrument=70000",),
            ("instrument=#ff00",),
        ],
    ],
)
def test_words_that_name_no_classes_are_refused(words):
    with pytest.raises(InputError, match=r"^--mask-values"):
        parse_mask_values(words)


def test_words_become_values():
    assert parse_mask_values(("instrument=1,#ff0001", "unknown=255")) == MaskValues((1, COLOR + 0xFF0001), (255,))


def test_values_that_no_mask_holds_are_refused(tmp_path):
    mask = np.where(JAW, 170, 85 * TOOL).astype(np.uint8)
    with pytest.raises(InputError, match=r"hold 0 \(.*85 \(.*170 \(.*names none"):
        clip_of(tmp_path, mask, options=ClipOptions(mask_values=("instrument=7",)))
    with pytest.raises(InputError, match="twice"):
        load_clip(tmp_path, ClipOptions(mask_values=("instrument=85",), mask_instrument_value=0))


def test_masks_that_tell_nothing_are_refused_with_advice_that_works(tmp_path):
    with pytest.raises(InputError, match=r"nothing but 255.*--mask-instrument-value 0"):
        clip_of(tmp_path, np.full((SIDE, SIDE), 255, np.uint8))
    clip = load_clip(tmp_path, ClipOptions(mask_instrument_value=0))
    assert clip.tissue_mask(0).all()
    assert any("nothing instrument" in note for note in clip.notes)


def test_a_clip_without_masks_says_that_the_option_does_nothing(tmp_path):
    write_images(tmp_path, 2)
    notes = load_clip(tmp_path, ClipOptions(mask_values=("instrument=1",))).notes
    assert any(note.startswith("--mask-values changes nothing") for note in notes)


def test_small_areas_count_where_there_are_few_values_and_edges_never_do():
    thread = np.zeros((HEIGHT * 4, WIDTH * 4), np.int32)
    thread[5:7] = 3  # a suture two pixels wide has no inside
    thread[20:40, 20:40] = 200
    thread[19] = thread[40] = np.where(thread[30] == 200, 100, 0)  # an edge drawn with half coverage
    assert set(classes([(Path("m.png"), thread)])) == {0, 3, 200}


def test_labels_keep_grey_and_colour_apart():
    grey = np.array([[0, 5, 255]], np.uint8)
    np.testing.assert_array_equal(mask_labels(grey), grey)
    color = np.array([[[0, 0, 0], [3, 2, 1], [255, 255, 255]]], np.uint8)
    np.testing.assert_array_equal(mask_labels(color), [[0, COLOR + 0x010203, COLOR + 0xFFFFFF]])


def test_a_number_per_object_is_no_noise():
    """Eighty solid labels are asked about, and not called the noise of a codec."""
    labels = np.repeat(np.repeat(np.arange(80, dtype=np.int32).reshape(8, 10), 6, 0), 6, 1)
    assert len(classes([(Path("000.png"), labels)])) == 80


@pytest.mark.parametrize(("width", "is_told"), [(1, True), (2, True), (12, False), (-1, False)])
def test_outlines_of_instruments_are_told(tmp_path, width, is_told):
    mask = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (45, 45), 25, 255, width)
    notes = clip_of(tmp_path, mask).notes
    assert any("seems to hold outlines" in note for note in notes) == is_told


def test_what_surrounds_the_view_is_no_outline(tmp_path):
    mask = cv2.circle(np.full((SIDE, SIDE), 255, np.uint8), (48, 48), 47, 0, -1)
    assert not any("outlines" in note for note in clip_of(tmp_path, mask).notes)
