"""What the numbers in depth files mean: what is unknown in them, and depth told from its inverse."""

import cv2
import numpy as np
import pytest

from endogs.cli import main
from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.prediction import DepthInput, to_depth

SHAPE = (48, 64)
TILTED = 60 + 60 * np.linspace(1, 0, SHAPE[0])[:, None] + np.linspace(0, 1, SHAPE[1])
"""Millimetres: the top of the image is far."""


def lit_clip(folder, depth, count=3, right=False):
    """Frames lit by a lamp at the lens, brightness falling with the square of the distance, and `depth` files."""
    rng = np.random.default_rng(0)
    linear = np.clip(0.6 * (60 / TILTED) ** 2 * rng.uniform(0.9, 1.1, SHAPE), 0, 1)
    image = np.round(255 * np.stack([0.5 * linear, 0.5 * linear, linear], 2) ** (1 / 2.2)).astype(np.uint8)
    names = ["images", "depth", *(["images_right"] if right else [])]
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / name / f"{i}.png"), depth if name == "depth" else image)
    return folder


def stretched(values, dtype=np.uint16):
    low, high = values.min(), values.max()
    return np.round((values - low) / (high - low) * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_largest_value_of_a_type_is_unknown_and_counted(dtype, tmp_path):
    depth = (TILTED * (1 if dtype is np.uint8 else 100)).astype(dtype)
    depth[10:20, 10:30] = np.iinfo(dtype).max
    clip = load_clip(lit_clip(tmp_path, depth))
    unknown = clip.depth(0) == 0
    assert unknown[10:20, 10:30].all()
    assert unknown.sum() == 200
    share = 100 * 200 / TILTED.size
    assert any(f"{np.iinfo(dtype).max}, the largest" in note and f"{share:.1f} %" in note for note in clip.notes)


def test_floats_know_no_largest_value_but_infinity_and_nan(tmp_path):
    depth = TILTED.astype(np.float32)
    depth[0], depth[1], depth[2], depth[3] = np.inf, np.nan, -1, 0
    lit_clip(tmp_path, np.zeros(SHAPE, np.uint8))
    for file in list((tmp_path / "depth").iterdir()):
        file.unlink()
        np.save(file.with_suffix(".npy"), depth)
    assert (load_clip(tmp_path).depth(0) > 0).sum() == TILTED[4:].size


@pytest.mark.parametrize(
    ("value", "dtype"), [(1e10, np.float32), (65504, np.float16), (10000, np.uint16), (32767, np.int16)]
)
def test_a_value_far_beyond_all_others_that_many_pixels_share_is_unknown(tmp_path, value, dtype):
    """Renderers, half floats and sensors each write their own."""
    lit_clip(tmp_path, np.zeros(SHAPE, np.uint8))
    depth = (10 * TILTED).astype(dtype)
    hole = np.zeros(SHAPE, bool)
    hole[2:6, 3:30] = True
    for file in list((tmp_path / "depth").iterdir()):
        file.unlink()
        np.save(file.with_suffix(".npy"), np.where(hole, dtype(value), depth))
    clip = load_clip(tmp_path, look=False)
    np.testing.assert_array_equal(clip.depth(0) == 0, hole)
    assert any("unknown" in note and f"{100 * hole.mean():.1f} %" in note for note in clip.notes)


def test_a_few_far_pixels_and_a_far_wall_stay_depth(tmp_path):
    depth = (10 * TILTED).astype(np.uint16)
    depth[0, 0] = 10000
    clip = load_clip(lit_clip(tmp_path / "stray", depth), look=False)
    assert (clip.depth(0) > 0).all()
    depth[:] = 10 * TILTED
    depth[:8] = 2 * depth[8:].max()
    clip = load_clip(lit_clip(tmp_path / "wall", depth), look=False)
    assert (clip.depth(0) > 0).all()


def test_depth_behind_the_camera_and_flat_depth_are_told(tmp_path):
    lit_clip(tmp_path, np.full(SHAPE, 7, np.uint8))
    assert any("holds one value only" in note for note in load_clip(tmp_path, look=False).notes)
    for file in list((tmp_path / "depth").iterdir()):
        file.unlink()
        np.save(file.with_suffix(".npy"), -TILTED)
    with pytest.raises(InputError, match=r"nowhere above 0, and as low as -121: write it as distances"):
        load_clip(tmp_path)
    for file in (tmp_path / "depth").iterdir():
        np.save(file, -np.load(file))
    assert (load_clip(tmp_path, look=False).depth(0) > 0).all()


def test_maps_stretched_frame_by_frame_are_told(tmp_path):
    notes = load_clip(lit_clip(tmp_path / "stretched", stretched(1 / TILTED))).notes
    assert any("whole range from 0 to 65535" in note and "--depth-is inverse" in note for note in notes)
    depth = (100 * TILTED).astype(np.uint16)
    depth[:3, :3], depth[5:8, 5:8] = 0, 65535  # both unknown, as sensors write it
    notes = load_clip(lit_clip(tmp_path / "depth", depth)).notes
    assert not any("whole range" in note for note in notes)


def test_inverse_depth_is_told_from_the_light_and_read_when_it_is_said(tmp_path, capsys):
    lit_clip(tmp_path, stretched(1 / TILTED))
    clip = load_clip(tmp_path)
    notes = choose_depth_prior("auto", clip).prepare(clip, [0, 1, 2], clip.tissue_mask)
    assert any("--depth-is inverse" in note for note in notes)

    clip = load_clip(tmp_path, ClipOptions(depth_is="inverse"))
    assert not clip.has_depth
    assert clip.depth(0) is None
    prior = choose_depth_prior("auto", clip)
    assert (prior.kind, prior.about()["prior"]) == ("disparity", "given-inverse")
    assert prior.prepare(clip, [0, 1, 2], clip.tissue_mask) == []
    depth = to_depth(prior.predict(DepthInput.of(clip, 0)))
    rows = np.array([np.median(row[row > 0]) if row.any() else np.inf for row in depth])
    assert (np.diff(rows[1:]) < 0).all()  # the top is far; its first row holds a 0, which is unknown
    assert main(["inspect", str(tmp_path), "--depth-is", "inverse", "--out", str(tmp_path / "sheet.png")]) == 0
    assert "inverse depth, known up to scale" in capsys.readouterr().out


def test_depth_read_as_inverse_is_told(tmp_path):
    clip = load_clip(lit_clip(tmp_path, (100 * TILTED).astype(np.uint16)), ClipOptions(depth_is="inverse"))
    notes = choose_depth_prior("given", clip).prepare(clip, [0, 1, 2], clip.tissue_mask)
    assert any("--depth-is depth" in note for note in notes)


def test_the_option_says_where_it_does_nothing(tmp_path):
    lit_clip(tmp_path, (100 * TILTED).astype(np.uint16))
    notes = load_clip(tmp_path, ClipOptions(depth_is="inverse", depth_unit_mm=0.01)).notes
    assert any("inverse depth has no unit" in note for note in notes)
    for file in (tmp_path / "depth").iterdir():
        file.unlink()
    (tmp_path / "depth").rmdir()
    notes = load_clip(tmp_path, ClipOptions(depth_is="inverse")).notes
    assert any(note.startswith("--depth-is inverse changes nothing") for note in notes)
