"""What refusals and notes about masks and depth files advise is done, and hides what is known to be an instrument."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from advised import names, option_in, options_in, read, said, sentence
from clip.drawn_frames import HEIGHT, WIDTH, mask, save, series, tissue
from samples.clip_samples import write_calibrated, write_depth, write_endonerf, write_images

COUNT = 4
BLOCK = [mask(i) > 0 for i in range(COUNT)]
PARTS = [np.where(block, np.where(np.arange(WIDTH) < 12, 85, 170), 0).astype(np.uint8) for block in BLOCK]
"""The instrument in two values."""
CLASSES = [np.where(block, 31, np.where(np.arange(WIDTH) < 30, 11, 12)).astype(np.uint8) for block in BLOCK]
"""Every pixel of a class, of which the instrument's is the rarest."""
COLORS = [np.where(block[..., None], (255, 0, 0), (0, 90, 200)).astype(np.uint8) for block in BLOCK]
HALF = np.where(np.arange(WIDTH) < 18, 255, 0)[None].repeat(HEIGHT, 0).astype(np.uint8)


def masked(folder: Path, masks: list[np.ndarray]) -> Path:
    """An EndoNeRF folder with these masks."""
    write_endonerf(folder, COUNT, masks=False)
    shutil.rmtree(folder / "images")
    series(folder / "images", "{}.png", [tissue(i) for i in range(COUNT)])
    rows = np.load(folder / "poses_bounds.npy")
    rows.reshape(COUNT, -1)[:, [4, 9]] = HEIGHT, WIDTH
    np.save(folder / "poses_bounds.npy", rows)
    series(folder / "masks", "{}.png", masks)
    return folder


def hides(clip, blocks: list[np.ndarray]) -> bool:
    return all((clip.tissue_mask(i) == ~block).all() for i, block in enumerate(blocks))


def words(told: str, option: str) -> list[str]:
    return option_in(told, option)


@pytest.mark.parametrize(
    ("masks", "about"),
    [
        ([np.where(block & (block.cumsum(1) < 9), 0, 255).astype(np.uint8) for block in BLOCK], "hide 9"),
        ([np.where(np.arange(WIDTH) < 36, 255, 0)[None].repeat(HEIGHT, 0).astype(np.uint8)] * COUNT, "hide 75 %"),
    ],
    ids=["refused", "noted"],
)
def test_masks_the_wrong_way_round_are_turned(masks, about, tmp_path):
    told = sentence(masked(tmp_path, masks), about)
    clip = read(tmp_path, *words(told, "--mask-instrument-value"))
    assert hides(clip, [image == 0 for image in masks])
    assert not [text for text in clip.notes if "hide" in text]


def test_masks_of_one_value_are_taken_for_tissue(tmp_path):
    told = sentence(masked(tmp_path, [np.full((HEIGHT, WIDTH), 255, np.uint8)] * COUNT), "take everything for tissue")
    assert read(tmp_path, *words(told, "--mask-instrument-value")).tissue_mask(0).all()


@pytest.mark.parametrize("masks", [PARTS, CLASSES, COLORS], ids=["parts", "classes", "colours"])
def test_the_values_that_are_given_as_an_example_can_be_typed(masks, tmp_path):
    """The example names all values where 0 is the background, and else the rarest: here the instrument, both times."""
    told = sentence(masked(tmp_path, masks), "only you know which are instruments")
    assert hides(read(tmp_path, *words(told, "--mask-values")), BLOCK)


def test_the_value_that_is_left_out_is_left_out(tmp_path):
    masks = [np.where(np.arange(HEIGHT)[:, None] < 3, 255, part).astype(np.uint8) for part in PARTS]
    told = sentence(masked(tmp_path, masks), "only you know which are instruments")
    assert "leaves 255 out" in told
    assert option_in(told, "--mask-values", 1) == ["--mask-values", "instrument=85,170", "unknown=255"]
    for which in (0, 1):
        clip = read(tmp_path, *option_in(told, "--mask-values", which))
        assert hides(clip, [image > 0 for image in masks])


def test_values_that_no_mask_has_are_told_the_ones_there_are(tmp_path):
    told = sentence(masked(tmp_path, PARTS), "names none of them", "--mask-values", "instrument=7")
    there = [value for value in re.findall(r"(\d+) \([\d.e+-]+ %\)", told) if value != "0"]
    assert hides(read(tmp_path, names(told, "--mask-values"), f"instrument={','.join(there)}"), BLOCK)


def test_named_values_that_hide_nearly_all_are_named_anew(tmp_path):
    told = sentence(masked(tmp_path, CLASSES), "name other values", "--mask-values", "instrument=11,12")
    rarest = re.findall(r"(\d+) \([\d.]+ %\)", told)[-1]
    assert hides(read(tmp_path, names(told, "--mask-values"), f"instrument={rarest}"), BLOCK)


def test_words_that_are_no_values_are_told_by_example(tmp_path):
    masked(tmp_path, [np.where(block, 1, 0).astype(np.uint8) for block in BLOCK])
    for wrong in ("shaft=1", "instrument=", "instrument=one"):
        told = sentence(tmp_path, "--mask-values", "--mask-values", wrong)
        example = re.findall(r"instrument=\d[\d,]*", told)
        assert example or "a number from 0 to 65535" in told
        assert hides(read(tmp_path, "--mask-values", *(example[:1] or ["instrument=1"])), BLOCK)


@pytest.mark.parametrize(("typed", "left"), [("--mask-instrument-value", "0"), ("--mask-values", "instrument=255")])
def test_of_two_options_that_say_the_same_one_is_given(typed, left, tmp_path):
    both = ("--mask-instrument-value", "0", "--mask-values", "instrument=255")
    masked(tmp_path, [HALF] * COUNT)
    told = sentence(tmp_path, "give one of them", *both)
    shares = {"0": 0.625, "instrument=255": 0.375}
    clip = read(tmp_path, names(told, typed), left)
    np.testing.assert_allclose(1 - np.mean([clip.tissue_mask(i) for i in range(COUNT)]), shares[left])


@pytest.mark.parametrize("value", ["255", "0"])
def test_a_value_that_is_not_255_or_0(value, tmp_path):
    told = sentence(masked(tmp_path, [HALF] * COUNT), "must be", "--mask-instrument-value", "7")
    assert value in told.split("must be")[1]
    assert read(tmp_path, "--mask-instrument-value", value).masks_are_given


def test_files_that_lack_a_partner(tmp_path):
    """Added, or the lonely image removed; too many are removed; names that tell nothing are numbered."""
    masked(tmp_path, [mask(i) for i in range(COUNT)])
    (tmp_path / "masks" / "2.png").unlink()
    told = sentence(tmp_path, "add what is missing or remove those images")
    lonely = re.search(r"nothing belongs to (\S+):", told)
    assert lonely
    save(tmp_path / "masks" / lonely[1], mask(2))
    assert hides(read(tmp_path), BLOCK)
    save(tmp_path / "masks" / "77.png", mask(0))
    told = sentence(tmp_path, "belong to no image")
    extra = re.search(r"images; (\S+) belong", told)
    assert extra
    (tmp_path / "masks" / extra[1]).unlink()
    assert hides(read(tmp_path), BLOCK)


def test_unnumbered_files_are_numbered_alike(tmp_path):
    masked(tmp_path, [mask(i) for i in range(COUNT)])
    for i, name in enumerate(("a", "b", "c")):
        (tmp_path / "masks" / f"{i}.png").rename(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "masks" / "3.png").unlink()
    assert "number both alike" in said(tmp_path)[0] or "add what is missing" in said(tmp_path)[0]
    shutil.rmtree(tmp_path / "masks")
    series(tmp_path / "masks", "{}.png", [mask(i) for i in range(COUNT)])
    assert hides(read(tmp_path), BLOCK)


def depth_folder(folder: Path, depths: list[np.ndarray]) -> Path:
    write_endonerf(folder, len(depths), masks=False)
    (folder / "depth").mkdir()
    for i, depth in enumerate(depths):
        cv2.imwrite(str(folder / "depth" / f"{i:06d}.png"), depth)
    return folder


def good(count: int = 3) -> list[np.ndarray]:
    return [np.full((16, 24), 4000 + 10 * i, np.uint16) + np.arange(24, dtype=np.uint16) for i in range(count)]


def test_depth_in_an_unknown_unit_gets_one(tmp_path):
    told = sentence(depth_folder(tmp_path, good()), "unit is unknown")
    clip = read(tmp_path, names(told, "--depth-unit-mm"), "0.02")
    assert clip.units == "mm"
    np.testing.assert_allclose(clip.depth(0)[0, 0], 80)
    assert not [text for text in clip.notes if "unit is unknown" in text]


def test_a_baseline_in_mm_asks_for_the_unit_of_depth(tmp_path):
    told = sentence(write_calibrated(tmp_path, depth_unit_mm=None), "which says what the files in depth/ count in")
    clip = read(tmp_path, names(told, "--depth-unit-mm"), "0.05")
    entry = re.search(r"but (\w+), which", told)
    assert entry
    shutil.rmtree(tmp_path)
    other = read(write_calibrated(tmp_path, **{entry[1]: 0.05}))
    np.testing.assert_allclose(clip.depth(1), other.depth(1))


def test_empty_depth_is_removed_and_other_sizes_are_resampled(tmp_path):
    told = sentence(depth_folder(tmp_path, [np.zeros((16, 24), np.uint16)] * 3), "remove the folder")
    shutil.rmtree(told.split(": ")[0])
    assert not read(tmp_path).has_depth
    depth_folder(tmp_path / "other", [cv2.resize(depth, (12, 8)) for depth in good()])
    told = sentence(tmp_path / "other", "resample it to the size of the image")
    size = re.search(r"its image is (\d+) x (\d+)", told)
    assert size
    for i, depth in enumerate(good()):
        cv2.imwrite(str(tmp_path / "other" / "depth" / f"{i:06d}.png"), cv2.resize(depth, (int(size[1]), int(size[2]))))
    assert read(tmp_path / "other").has_depth


def test_a_picture_of_depth_is_given_as_gray(tmp_path):
    colors = [cv2.applyColorMap((depth % 256).astype(np.uint8), cv2.COLORMAP_JET) for depth in good()]
    assert "give depth as 16-bit gray PNG" in said(depth_folder(tmp_path, colors))[0]
    shutil.rmtree(tmp_path / "depth")
    write_depth(tmp_path / "depth", 3, name="{:06d}.png")
    assert read(tmp_path).has_depth


def test_depth_that_spans_its_whole_range_is_read_as_inverse(tmp_path):
    ramp = np.linspace(0, 65535, 16 * 24).reshape(16, 24).astype(np.uint16)
    told = sentence(depth_folder(tmp_path, [ramp, ramp[::-1], ramp]), "spans the whole range")
    clip = read(tmp_path, *option_in(told, "--depth-is"))
    assert clip.has_inverse_depth
    assert not [text for text in clip.notes if "--depth-is" in text]
    assert ["--depth", "photometric"] in options_in(told)


def test_a_damaged_array_is_written_with_numpy(tmp_path):
    write_images(tmp_path / "images", 3)
    (tmp_path / "poses_bounds.npy").write_bytes(b"\x93NUMPY broken")
    assert "write it again with numpy.save" in said(tmp_path)[0]
    shutil.rmtree(tmp_path)
    assert len(read(write_endonerf(tmp_path, 3))) == 3


def test_an_exr_file_that_is_not_read_is_written_otherwise(tmp_path):
    depth_folder(tmp_path, good())
    for file in sorted((tmp_path / "depth").glob("*.png")):
        file.with_suffix(".exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(20))
        file.unlink()
    told = said(tmp_path)[0]
    assert ".npy or 16-bit PNG" in told, told
    for i, file in enumerate(sorted((tmp_path / "depth").glob("*.exr"))):
        np.save(file.with_suffix(".npy"), good()[i].astype(np.float32))
        file.unlink()
    np.testing.assert_allclose(read(tmp_path).original_depth(1), good()[1])
