"""Instruments found by colour: what must be found, what must not, and when the search switches itself off."""

import cv2
import numpy as np
import pytest
from samples.tool_clip import HEIGHT, WIDTH, overlap, shaft, tissue, tool_frame, write_images, write_tool_clip

from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.priors.instruments.by_color import find_by_color
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.instruments.components import edge_of_view, without_holes
from endogs.priors.instruments.findings import unbelievable
from endogs.priors.instruments.halo import tip_halo
from endogs.priors.instruments.masks import InstrumentMasks


def write(folder, images):
    return load_clip(write_images(folder, images))


def test_a_grey_shaft_is_found_and_highlights_are_not(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip"))
    found = find_by_color(clip)
    assert "6 of 6 frames" in found.note
    for i in range(6):
        assert overlap(found.masks.instrument(i), shaft(60 + 4 * i)) > 0.85
        assert not found.masks.instrument(i)[:, 110:].any(), "the highlights of wet tissue"
        # The halo reaches beyond the tip, is no instrument, and is not tissue.
        halo = found.masks.halo(i)
        assert not (halo & found.masks.instrument(i)).any()
        assert halo[50, 60 + 4 * i + 9 : 60 + 4 * i + 12].any()
        np.testing.assert_array_equal(found.masks.read(i), ~(halo | found.masks.instrument(i)))


def test_the_search_gives_the_same_masks_twice(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip"))
    first, second = (find_by_color(clip).masks for _ in range(2))
    for i in range(len(clip)):
        np.testing.assert_array_equal(first.read(i), second.read(i))


def test_a_clip_without_instruments_stays_unmasked(tmp_path):
    found = find_by_color(load_clip(write_tool_clip(tmp_path / "clip", instrument=False)))
    assert found.masks is None
    assert "no instruments were found" in found.note


def test_yellow_fat_beside_an_instrument_is_tissue(tmp_path):
    """Fat is odd in colour without being grey; joined to a shaft it must neither be masked nor hide the shaft."""
    images = []
    fat = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(fat, (30, 92), (26, 22), 0, 0, 360, 1, -1)
    for i in range(6):
        image = tool_frame(70 + 3 * i).astype(int)
        where = fat.astype(bool) & ~shaft(70 + 3 * i)
        image[where] = image[where] * np.array([0.95, 1.25, 0.95])
        images.append(image.clip(0, 255).astype(np.uint8))
    found = find_by_color(write(tmp_path / "clip", images))
    for i in range(6):
        mask = found.masks.instrument(i)
        assert (mask & shaft(70 + 3 * i)).sum() > 0.85 * shaft(70 + 3 * i).sum()
        assert mask[fat.astype(bool) & ~shaft(90)].mean() < 0.15


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda image: np.repeat(image.mean(2, keepdims=True), 3, 2).astype(np.uint8), "grey or lit by a narrow band"),
        (lambda image: np.zeros_like(image), "too dark or too bright"),
        (lambda image: np.full_like(image, 255), "too dark or too bright"),
    ],
    ids=["grey", "black", "white"],
)
def test_the_search_switches_itself_off_where_colour_cannot_tell(tmp_path, change, reason):
    found = find_by_color(write(tmp_path / "clip", [change(tool_frame(60 + 4 * i)) for i in range(4)]))
    assert found.masks is None
    assert reason in found.note


def test_a_mask_over_half_of_the_view_is_not_believed(tmp_path):
    images = []
    for i in range(4):
        image = tissue(i)
        half = slice(66) if i % 2 else slice(-66, None)  # one that stays would be taken for an interface
        image[half] = (120, 124, 130)
        images.append(image)
    found = find_by_color(write(tmp_path / "clip", images))
    assert found.masks is None
    assert "more than 45 % of the view in 4 of 4 frames" in found.note


def test_flicker_is_not_believed_but_an_instrument_may_come_and_go():
    assert unbelievable(np.array([0, 0, 0.1, 0.12, 0.1, 0.1, 0, 0])) == ""
    assert "jumps" in unbelievable(np.tile([0.1, 0.0], 8))
    assert unbelievable(np.tile([0.009, 0.0], 8)) == "", "too small to judge by"
    assert unbelievable(np.array([0.1] * 19 + [0.6])) == "", "one crowded frame of twenty"


def test_the_edge_of_the_view_is_that_of_a_round_view_and_not_a_caption():
    y, x = np.mgrid[:80, :100]
    view = (x - 50) ** 2 + (y - 40) ** 2 < 35**2
    view[38:42, 45:55] = False
    edge = edge_of_view(view)
    assert edge[40, 84]
    assert not edge[0].any(), "outside the view"
    assert not edge[36:44, 40:60].any(), "around the caption"
    assert edge_of_view(np.ones((20, 30), bool))[0].all()


def test_the_halo_of_a_detached_patch_has_no_direction():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    halo = tip_halo(mask, edge_of_view(np.ones_like(mask)))
    assert halo[50, 39]
    assert not halo[:, :35].any()
    assert not halo[:, 65:].any()


def test_holes_are_filled_but_bays_and_large_windows_are_not():
    mask = np.zeros((100, 100), bool)
    mask[20:80, :80] = True
    mask[30:34, 30:34] = False
    mask[50:70, 40:60] = False
    mask[40:44, :10] = False
    filled = without_holes(mask)
    assert filled[30:34, 30:34].all()
    assert not filled[50:70, 40:60].any()
    assert not filled[40:44, :10].any()


def test_masks_are_kept_small_and_read_large():
    small = np.zeros((10, 15), bool)
    small[:, :5] = True
    masks = InstrumentMasks([small, ~small], [np.zeros_like(small)] * 2, 60, 40)
    assert masks.any
    assert masks.instrument(0).shape == (40, 60)
    assert masks.instrument(0)[:, :19].all()
    assert not masks.instrument(0)[:, 21:].any()
    assert masks.instrument(1)[:, 21:].all()


def test_the_choice_of_masks(tmp_path):
    bare = load_clip(write_tool_clip(tmp_path / "bare"))
    found = with_instrument_masks(bare, "auto")
    assert found.has_masks
    assert not found.masks_are_given
    assert not found.tissue_mask(3).all()
    assert bare.tissue_mask(3).all(), "the clip itself is unchanged"
    assert found.notes[:-1] == bare.notes
    with pytest.raises(InputError, match="no instrument masks"):
        with_instrument_masks(bare, "given")
    with pytest.raises(InputError, match="no such masks"):
        with_instrument_masks(bare, "magic")

    write_tool_clip(tmp_path / "masked" / "images")
    (tmp_path / "masked" / "masks").mkdir()
    for i in range(6):
        cv2.imwrite(
            str(tmp_path / "masked" / "masks" / f"{i:03d}.png"), 255 * (np.arange(160) < 9)[None].repeat(120, 0)
        )
    masked = load_clip(tmp_path / "masked")
    assert with_instrument_masks(masked, "auto") is masked
    assert with_instrument_masks(masked, "none").tissue_mask(0).all()
    assert with_instrument_masks(masked, "color").tissue_mask(0)[100, :9].all(), "found, not given"


def test_masks_that_mark_nothing_are_said(tmp_path):
    write_tool_clip(tmp_path / "images", 3)
    (tmp_path / "masks").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "masks" / f"{i:03d}.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    assert any("calls nothing instrument" in note for note in load_clip(tmp_path).notes)
