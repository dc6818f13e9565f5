"""Pictures, times, depth and masks that are written in a way of their own: read right, or told with what helps."""

import json

import cv2
import numpy as np
import pytest
from drawn_frames import HEIGHT, WIDTH, mask, save, series, tissue
from written_videos import write

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(8)]


def calibrated(root, **entries):
    series(root / "images", "{}.png", FRAMES)
    camera = {"fx": 60, "fy": 60, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    (root / "calibration.json").write_text(json.dumps({**camera, **entries}))
    return root


def has(notes, *words):
    return any(all(word in note for word in words) for note in notes)


@pytest.mark.parametrize(
    ("channels", "is_told"), [([0, 1, 2], False), ([2, 1, 0], True), ([1, 0, 2], False), ([1, 1, 1], False)]
)
def test_red_and_blue_exchanged_are_told(tmp_path, channels, is_told):
    """Narrow-band light is green and dark, and grey pictures have no colours: nothing is said of these."""
    series(tmp_path, "{}.png", [np.ascontiguousarray(frame[..., channels]) for frame in FRAMES])
    assert has(load_clip(tmp_path).notes, "as much blue as red") == is_told


@pytest.mark.parametrize(("unit", "name"), [(1e9, "nanoseconds"), (1e6, "microseconds"), (1, None)])
def test_times_of_poses_in_other_units_are_seconds(tmp_path, unit, name):
    calibrated(tmp_path)
    rows = [f"{round(unit * (1_700_000_000 + 0.04 * i), 3)} {i} 0 0 0 0 0 1\n" for i in range(len(FRAMES))]
    (tmp_path / "poses.tum").write_text("".join(rows))
    clip = load_clip(tmp_path, look=False)
    np.testing.assert_allclose(clip.times, 0.04 * np.arange(len(FRAMES)), atol=1e-5)
    assert has(clip.notes, "taken for") == (name is not None)
    assert name is None or has(clip.notes, f"taken for {name}")


def test_times_of_poses_that_may_be_milliseconds_are_asked_about(tmp_path):
    calibrated(tmp_path)
    (tmp_path / "poses.tum").write_text("".join(f"{40 * i} {i} 0 0 0 0 0 1\n" for i in range(len(FRAMES))))
    assert has(load_clip(tmp_path, look=False).notes, "if they are milliseconds, --fps 25 makes it so")
    clip = load_clip(tmp_path, ClipOptions(fps=25), look=False)
    np.testing.assert_allclose(clip.times, 0.04 * np.arange(len(FRAMES)))


@pytest.mark.parametrize(("unit", "named"), [(1, None), (1000, "--depth-unit-mm 1000 (metres)")])
def test_depth_where_no_endoscope_sees_names_the_unit_that_fits(tmp_path, unit, named):
    calibrated(tmp_path, depth_unit_mm=1)
    (tmp_path / "depth").mkdir()
    for i in range(len(FRAMES)):
        np.save(tmp_path / "depth" / f"{i}.npy", np.linspace(40, 70, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) / unit)
    assert has(load_clip(tmp_path).notes, "which no endoscope sees") == (named is not None)
    if named is not None:
        assert has(load_clip(tmp_path).notes, named)
        clip = load_clip(tmp_path, ClipOptions(depth_unit_mm=1000))
        assert not has(clip.notes, "which no endoscope sees")
        assert np.median(clip.depth(0)) == pytest.approx(55, abs=1)


@pytest.mark.parametrize("shape", [(1, HEIGHT, WIDTH), (HEIGHT, WIDTH, 1)])
def test_one_plane_in_three_axes_is_depth(tmp_path, shape):
    calibrated(tmp_path, depth_unit_mm=1)
    (tmp_path / "depth").mkdir()
    depth = np.linspace(40, 70, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    for i in range(len(FRAMES)):
        np.save(tmp_path / "depth" / f"{i}.npy", depth.reshape(shape))
    np.testing.assert_allclose(load_clip(tmp_path, look=False).depth(0), depth, atol=1e-3)


def test_what_does_not_pair_says_what_is_there_and_what_to_do(tmp_path):
    calibrated(tmp_path / "depth", depth_unit_mm=1)
    (tmp_path / "depth" / "depth").mkdir()
    for i in range(len(FRAMES)):
        np.save(tmp_path / "depth" / "depth" / f"{i}.npy", np.full((HEIGHT, WIDTH), 50.0))
        save(tmp_path / "depth" / "depth" / f"{i}_vis.png", FRAMES[i])
    with pytest.raises(InputError, match=r"16 files of 2 kinds for 8 images: 8 like #.npy, 8 like #_vis.png; leave"):
        load_clip(tmp_path / "depth")
    for file in (tmp_path / "depth" / "depth").glob("*_vis.png"):
        file.unlink()
    assert load_clip(tmp_path / "depth", look=False).has_depth

    series(tmp_path / "parts" / "images", "{:03d}.png", FRAMES)
    for part in (1, 2):
        series(tmp_path / "parts" / "masks", f"{{:03d}}_{part}.png", [mask(i) for i in range(8)])
    with pytest.raises(InputError, match=r"several for one, such as 000_1.png, 000_2.png: join those of one image"):
        load_clip(tmp_path / "parts")

    series(tmp_path / "small" / "images", "{}.png", FRAMES)
    series(tmp_path / "small" / "masks", "{}.png", [mask(i)[::2, ::2] for i in range(8)])
    with pytest.raises(InputError, match="resize the masks to their images, with the nearest neighbour"):
        load_clip(tmp_path / "small")
    for file in (tmp_path / "small" / "masks").iterdir():
        small = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(file), cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST))
    assert load_clip(tmp_path / "small", look=False).has_masks


def test_a_film_of_masks_beside_the_film_is_named(tmp_path):
    film = write(tmp_path / "case.mp4", FRAMES)
    write(tmp_path / "other.mp4", FRAMES[:2])
    assert not has(load_clip(film, look=False).notes, "not used")
    write(tmp_path / "case_mask.mp4", [np.repeat(mask(i)[..., None], 3, 2) for i in range(8)])
    assert has(load_clip(film, look=False).notes, "not used: case_mask.mp4")
    assert not has(load_clip(tmp_path / "other.mp4", look=False).notes, "not used")


@pytest.mark.parametrize("name", ["instruments", "tools", "Surgical_Tools"])
def test_folders_of_instruments_are_masks_by_their_name(tmp_path, name):
    series(tmp_path / "images", "{}.png", FRAMES)
    series(tmp_path / name, "{}.png", [mask(i) for i in range(8)])
    (tmp_path / "instances_default.json").write_text('{"images": [], "annotations": [], "categories": []}')
    notes = load_clip(tmp_path, look=False).notes
    assert has(notes, f"not used: {name}/, by the name masks")
    assert has(notes, "not used: instances_default.json, by what is in it masks")
