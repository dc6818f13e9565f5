import json

import cv2
import numpy as np
import pytest
from samples.clip_samples import (
    HEIGHT,
    WIDTH,
    depth_map,
    frame,
    write_calibrated,
    write_depth,
    write_images,
    write_masks,
)

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.files.frame_cache import FrameCache
from endogs.errors import InputError


def test_images_come_in_natural_order_as_rgb(tmp_path):
    write_images(tmp_path, 12, "shot{}.png")
    clip = load_clip(tmp_path)
    assert (clip.kind, len(clip), clip.width, clip.height) == ("image-folder", 12, WIDTH, HEIGHT)
    for i in range(12):
        np.testing.assert_array_equal(clip.image(i), frame(i))
    assert clip.image(0).dtype == np.uint8
    assert clip.K_is_guess
    np.testing.assert_allclose(clip.K[3], [[1.2 * WIDTH, 0, WIDTH / 2], [0, 1.2 * WIDTH, HEIGHT / 2], [0, 0, 1]])
    assert clip.static_camera
    assert (clip.has_masks, clip.has_depth, clip.has_right) == (False, False, False)
    assert clip.depth(0) is None
    assert clip.right_image(0) is None
    assert clip.tissue_mask(0).all()
    assert clip.units == "relative"


def test_a_folder_without_a_rate_says_that_it_took_thirty(tmp_path):
    write_images(tmp_path, 4)
    clip = load_clip(tmp_path)
    np.testing.assert_allclose(clip.times, np.arange(4) / 30)
    assert any("30 per second" in note for note in clip.notes)
    stated = load_clip(tmp_path, ClipOptions(fps=8))
    np.testing.assert_allclose(stated.times, np.arange(4) / 8)
    assert not any("per second" in note for note in stated.notes)


def test_start_end_and_stride_choose_frames(tmp_path):
    write_images(tmp_path, 12)
    clip = load_clip(tmp_path, ClipOptions(fps=10, start=0.3, end=0.9, stride=2))
    assert [(clip.image(i)[0, 0, 2] - 10) // 12 for i in range(len(clip))] == [3, 5, 7, 9]
    np.testing.assert_allclose(clip.times, [0, 0.2, 0.4, 0.6])
    assert clip.time_offset == pytest.approx(0.3)


def test_one_frame_is_a_clip(tmp_path):
    write_images(tmp_path, 1)
    clip = load_clip(tmp_path, ClipOptions(focal=33))
    assert len(clip) == 1
    assert clip.times.tolist() == [0.0]
    assert clip.static_camera
    assert not clip.K_is_guess
    assert clip.K[0, 0, 0] == clip.K[0, 1, 1] == 33


def test_frames_given_out_are_the_callers_own(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip"))
    for read in (clip.image, clip.right_image, clip.depth, clip.tissue_mask):
        first = read(0).copy()
        assert first.any()
        read(0)[:] = 0
        np.testing.assert_array_equal(read(0), first)


def test_indices_outside_the_clip_are_errors(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip"))
    np.testing.assert_array_equal(clip.image(-1), frame(2))
    for read in (clip.image, clip.right_image, clip.depth, clip.tissue_mask, clip.camera, clip.right_camera):
        with pytest.raises(IndexError):
            read(3)


def test_the_cache_is_bounded_and_frames_come_back(tmp_path):
    write_images(tmp_path, 5)
    size = WIDTH * HEIGHT * 3
    clip = Clip(load_clip(tmp_path)._recording, cache_bytes=2 * size)
    for i in (0, 1, 2, 3, 4, 0, 3):
        np.testing.assert_array_equal(clip.image(i), frame(i))
        assert clip._cache.bytes <= 2 * size
    assert any(note.startswith("memory") for note in clip.notes)


def test_the_cache_keeps_what_was_used_last():
    made = []

    def make(name):
        return lambda: made.append(name) or np.zeros(4, np.uint8)

    cache = FrameCache(8)
    for name in "abacab":
        cache.get(name, make(name))
    assert "".join(made) == "abcb"


def test_missing_and_empty_paths(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        load_clip(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        load_clip(tmp_path / "empty")


def test_an_unknown_folder_hears_why_each_layout_was_rejected(tmp_path):
    (tmp_path / "notes.txt").write_text("no frames here")
    with pytest.raises(InputError) as error:
        load_clip(tmp_path)
    for reason in ("video: not a file", "no calibration.json", "no poses_bounds.npy", "image-folder: neither"):
        assert reason in str(error.value)


def test_a_folder_around_a_video_points_to_the_video(tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "Clip.MP4").touch()
    with pytest.raises(InputError, match=r"perhaps you mean the video .*Clip\.MP4"):
        load_clip(tmp_path)


def test_mixed_sizes_name_the_first_offender(tmp_path):
    write_images(tmp_path, 5)
    for i in (2, 4):
        cv2.imwrite(str(tmp_path / f"frame-{i:06d}.color.png"), np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))
    with pytest.raises(InputError, match=r"frame-000002\.color\.png.*23 x 16.*24 x 16"):
        load_clip(tmp_path)


@pytest.mark.parametrize("keep", [0, 40])
def test_a_broken_image_is_named(tmp_path, keep):
    write_images(tmp_path, 3)
    broken = tmp_path / "frame-000001.color.png"
    broken.write_bytes(broken.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"frame-000001\.color\.png"):
        load_clip(tmp_path).image(1)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif", "webp"])
def test_other_image_formats(tmp_path, suffix):
    write_images(tmp_path, 2, "{}." + suffix)
    clip = load_clip(tmp_path)
    assert (len(clip), clip.width, clip.height) == (2, WIDTH, HEIGHT)
    assert np.abs(clip.image(1).astype(int) - frame(1)).mean() < 15


def test_a_jpeg_rotation_tag_is_not_applied(tmp_path):
    """Masks and depth are in the sensor's pixels; turning only the JPEG would tear them apart."""
    write_images(tmp_path, 1, "{}.jpg")
    file = tmp_path / "0.jpg"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = file.read_bytes()
    file.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    assert load_clip(tmp_path).image(0).shape == (HEIGHT, WIDTH, 3)


def test_masks_hide_instruments_in_either_polarity(tmp_path):
    for value in (255, 0):
        root = tmp_path / str(value)
        write_images(root / "images", 2)
        write_masks(root / "masks", 2, value)
        clip = load_clip(root, ClipOptions(mask_instrument_value=value))
        for i in range(2):
            expected = np.ones((HEIGHT, WIDTH), bool)
            expected[: 4 + i, :6] = False
            np.testing.assert_array_equal(clip.tissue_mask(i), expected)


@pytest.mark.parametrize(("written", "option"), [(0, 255), (255, 0)])
def test_the_wrong_polarity_is_refused_with_the_right_option(tmp_path, written, option):
    write_images(tmp_path / "images", 2)
    write_masks(tmp_path / "masks", 2, written)
    with pytest.raises(InputError, match=rf"9\d %.*--mask-instrument-value {written}"):
        load_clip(tmp_path, ClipOptions(mask_instrument_value=option))


@pytest.mark.parametrize(("rows", "warned"), [(8, False), (12, True)])
def test_masks_that_hide_most_of_the_clip_are_worth_a_note(tmp_path, rows, warned):
    write_images(tmp_path / "images", 1)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:rows] = 255
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    notes = load_clip(tmp_path).notes
    assert any("--mask-instrument-value 0" in note for note in notes) == warned


@pytest.mark.parametrize("label", [1, 38])
def test_masks_of_labels_are_understood(tmp_path, label):
    write_images(tmp_path / "images", 1)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:9, 2:5] = label
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    clip = load_clip(tmp_path)
    np.testing.assert_array_equal(clip.tissue_mask(0), mask == 0)
    assert any(f"0 and {label} only" in note for note in clip.notes)


def test_missing_masks_are_named(tmp_path):
    write_images(tmp_path / "images", 6)
    write_masks(tmp_path / "masks", 6)
    for i in (1, 4):
        (tmp_path / "masks" / f"frame-{i:06d}.mask.png").unlink()
    with pytest.raises(InputError, match=r"4 files for 6 images.*frame-000001\.color\.png, frame-000004\.color\.png"):
        load_clip(tmp_path)


def test_masks_without_an_image_are_named(tmp_path):
    write_images(tmp_path / "images", 3)
    write_masks(tmp_path / "masks", 5)
    with pytest.raises(InputError, match=r"frame-000003\.mask\.png, frame-000004\.mask\.png belong to no image"):
        load_clip(tmp_path)


def test_equal_counts_with_a_hole_on_each_side_are_refused(tmp_path):
    """Pairing these in order would shift every mask between the holes by one frame."""
    write_images(tmp_path / "images", 6)
    write_masks(tmp_path / "masks", 6)
    (tmp_path / "images" / "frame-000005.color.png").unlink()
    (tmp_path / "masks" / "frame-000002.mask.png").unlink()
    with pytest.raises(InputError, match=r"nothing belongs to frame-000002\.color\.png"):
        load_clip(tmp_path)


def test_masks_numbered_from_one_are_paired_in_order(tmp_path):
    write_images(tmp_path / "images", 3)
    write_masks(tmp_path / "masks", 3)
    for i in (2, 1, 0):
        (tmp_path / "masks" / f"frame-{i:06d}.mask.png").rename(tmp_path / "masks" / f"frame-{i + 1:06d}.mask.png")
    clip = load_clip(tmp_path)
    assert [int((~clip.tissue_mask(i)).sum()) for i in range(3)] == [24, 30, 36]
    assert any("in order" in note for note in clip.notes)


def test_masks_of_another_size_are_named(tmp_path):
    write_images(tmp_path / "images", 2)
    write_masks(tmp_path / "masks", 2)
    cv2.imwrite(str(tmp_path / "masks" / "frame-000001.mask.png"), np.zeros((HEIGHT, WIDTH * 2), np.uint8))
    with pytest.raises(InputError, match=r"frame-000001\.mask\.png.*48 x 16"):
        load_clip(tmp_path)


def test_calibrated_folder(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip"))
    assert (clip.kind, clip.name, clip.units, clip.baseline) == ("calibrated-folder", "clip", "mm", 4.5)
    assert clip.has_masks
    assert clip.has_depth
    assert clip.has_right
    assert not clip.K_is_guess
    assert not clip.depth_is_quantized
    assert clip.notes == []
    np.testing.assert_allclose(clip.K[0], [[21, 0, 11.5], [0, 22, 8.25], [0, 0, 1]])
    np.testing.assert_allclose(clip.times, np.arange(3) / 25)
    np.testing.assert_allclose(clip.depth(2), depth_map(2) * 0.05, rtol=1e-6)
    assert clip.depth(2).dtype == np.float32
    assert clip.depth(2)[0, -1] == 0
    np.testing.assert_array_equal(clip.right_image(1), np.roll(frame(1), -2, 1))


def test_the_right_camera_sees_points_further_left(tmp_path):
    """Disparity is x_left - x_right = fx * baseline / depth > 0 for a camera moved to the right."""
    clip = load_clip(write_calibrated(tmp_path / "clip"))
    left, right = clip.camera(0), clip.right_camera(0)
    point = np.array([2.0, 3.0, 60.0, 1.0])
    columns = []
    for camera in (left, right):
        x, _, z = (camera.world_to_camera.double().numpy() @ point)[:3]
        columns.append(camera.K[0, 0].item() * x / z + camera.K[0, 2].item())
    assert columns[0] - columns[1] == pytest.approx(21 * 4.5 / 60, rel=1e-5)
    assert (left.width, left.height) == (WIDTH, HEIGHT)


def test_without_a_baseline_right_views_are_not_used(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip", baseline_mm=None))
    assert not clip.has_right
    assert clip.baseline is None
    assert any("baseline_mm" in note for note in clip.notes)
    with pytest.raises(ValueError, match="no right views"):
        clip.right_camera(0)


def test_options_go_before_the_calibration(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip"), ClipOptions(depth_unit_mm=0.1, fps=5, focal=42))
    np.testing.assert_allclose(clip.depth(0), depth_map(0) * 0.1, rtol=1e-6)
    np.testing.assert_allclose(clip.times, [0, 0.2, 0.4])
    np.testing.assert_allclose([clip.K[0, 0, 0], clip.K[0, 1, 1]], [42, 44])


def test_trajectory_poses_are_camera_to_world_with_w_last(tmp_path):
    root = write_calibrated(tmp_path / "clip", count=2, fps=None)
    half = np.sqrt(0.5)
    # The second camera stands at (1, 2, 3), turned by +90 degrees about y: its forward axis is the world's +x.
    (root / "poses.tum").write_text(f"# t x y z qx qy qz qw\n7.0 0 0 0 0 0 0 1\n7.4 1 2 3 0 {half} 0 {half}\n")
    clip = load_clip(root)
    assert not clip.static_camera
    np.testing.assert_allclose(clip.times, [0, 0.4])
    ahead = clip.world_to_camera[1] @ [1 + 5, 2, 3, 1]
    np.testing.assert_allclose(ahead[:3], [0, 0, 5], atol=1e-12)
    to_the_right = clip.world_to_camera[1] @ [1, 2, 3 - 4, 1]
    np.testing.assert_allclose(to_the_right[:3], [4, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8 0 0 0 0 0 0 1\n", "1 poses for 2 images"),
        ("0 0 0 0 0 0 0 1\n1 0 nan 0 0 0 0 1\n", "line 2"),
        ("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 0\n", "line 2"),
        ("0 0 0 0 0 0 0 1\n0 1 0 0 0 0 0 1\n", "times must increase, but 0 comes after 0: sort the rows"),
        ("0 0 0 0 0 1\n", "line 1"),
        ("0 0 0 0 0 0 1\n", r"1 poses for 2 images|line 1"),
        ("# nothing\n", "holds no poses"),
    ],
)
def test_bad_trajectories_are_named(tmp_path, text, message):
    root = write_calibrated(tmp_path / "clip", count=2)
    (root / "poses.tum").write_text(text)
    with pytest.raises(InputError, match=rf"poses\.tum.*{message}"):
        load_clip(root)


def test_rows_that_were_written_twice_count_once(tmp_path):
    root = write_calibrated(tmp_path / "clip", count=3)
    rows = [f"{0.1 * i} {i} 0 0 0 0 0 1\n" for i in range(3)]
    (root / "poses.tum").write_text("".join([*rows[:2], *rows[1:]]))
    clip = load_clip(root, look=False)
    assert any("1 of 4 rows repeat the one before" in note for note in clip.notes)
    np.testing.assert_allclose(clip.world_to_camera[:, 0, 3], [0, -1, -2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fx": None}, "fx is None"),
        ({"fy": -3}, "fy is -3"),
        ({"cx": "11"}, "cx is '11'"),
        ({"fps": 0}, "fps is 0"),
        ({"baseline_mm": True}, "baseline_mm is True"),
        ({"depth_unit_mm": None}, "depth_unit_mm"),
        ({"width": 640, "height": HEIGHT}, "width is 640"),
    ],
)
def test_bad_calibrations_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"calibration\.json.*{message}"):
        load_clip(write_calibrated(tmp_path / "clip", **changes))


@pytest.mark.parametrize("text", ["{", "[1, 2]"])
def test_a_calibration_that_is_no_json_object(tmp_path, text):
    root = write_calibrated(tmp_path / "clip")
    (root / "calibration.json").write_text(text)
    with pytest.raises(InputError, match=r"calibration\.json"):
        load_clip(root)


def test_depth_without_any_unit_is_relative(tmp_path):
    clip = load_clip(write_calibrated(tmp_path / "clip", depth_unit_mm=None, baseline_mm=None))
    assert clip.units == "relative"
    np.testing.assert_array_equal(clip.depth(0), depth_map(0))
    assert any("unit is unknown" in note for note in clip.notes)


def test_eight_bit_depth_is_noted_as_quantized(tmp_path):
    write_images(tmp_path / "images", 2)
    write_depth(tmp_path / "depth", 2, np.uint8)
    clip = load_clip(tmp_path)
    assert clip.depth_is_quantized
    assert any("quantized" in note for note in clip.notes)
    np.testing.assert_array_equal(clip.depth(1), depth_map(1) // 16)


def test_depth_of_zero_everywhere_is_refused(tmp_path):
    write_images(tmp_path / "images", 2)
    (tmp_path / "depth").mkdir()
    for i in range(2):
        cv2.imwrite(str(tmp_path / "depth" / f"{i}.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    with pytest.raises(InputError, match="0 everywhere"):
        load_clip(tmp_path)


def test_one_empty_depth_map_is_noted(tmp_path):
    root = write_calibrated(tmp_path / "clip")
    cv2.imwrite(str(root / "depth" / "000001.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    clip = load_clip(root)
    assert any("1 of the 3 maps" in note and "000001.png" in note for note in clip.notes)
    assert not clip.depth(1).any()


def test_float_depth_with_holes_becomes_zero_there(tmp_path):
    write_images(tmp_path / "images", 1, "{}.png")
    (tmp_path / "depth").mkdir()
    depth = depth_map(0).astype(np.float32) / 7
    depth[3, 4], depth[5, 6], depth[7, 8] = np.nan, np.inf, -2
    np.save(tmp_path / "depth" / "0.npy", depth)
    clip = load_clip(tmp_path, ClipOptions(depth_unit_mm=2))
    assert clip.units == "mm"
    expected = np.where(np.isfinite(depth) & (depth > 0), depth * 2, 0)
    np.testing.assert_allclose(clip.depth(0), expected, rtol=1e-6)


def test_a_colour_picture_of_depth_is_refused(tmp_path):
    write_images(tmp_path / "images", 1)
    write_images(tmp_path / "depth", 1)
    with pytest.raises(InputError, match="picture of depth in colours"):
        load_clip(tmp_path)


def test_depth_of_another_size_is_refused(tmp_path):
    write_images(tmp_path / "images", 1, "{}.png")
    (tmp_path / "depth").mkdir()
    cv2.imwrite(str(tmp_path / "depth" / "0.png"), np.ones((HEIGHT * 2, WIDTH), np.uint16))
    with pytest.raises(InputError, match=r"depth is 24 x 32 but its image is 24 x 16"):
        load_clip(tmp_path)


def test_a_pickle_in_place_of_depth_is_not_opened(tmp_path):
    write_images(tmp_path / "images", 1, "{}.png")
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth" / "0.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"0\.npy"):
        load_clip(tmp_path)


def test_the_calibration_goes_before_llff_poses(tmp_path):
    root = write_calibrated(tmp_path / "clip")
    np.save(root / "poses_bounds.npy", np.zeros((3, 17)))
    assert load_clip(root).kind == "calibrated-folder"
    assert json.loads((root / "calibration.json").read_text())["fx"] == 21.0
