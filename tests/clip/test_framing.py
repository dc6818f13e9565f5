import cv2
import numpy as np
import pytest
from samples.clip_samples import HEIGHT, WIDTH, depth_map, frame, write_calibrated, write_images

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def centroid(gray):
    """(x, y) of the light in an image, pixel centres at +0.5."""
    weight = gray.astype(float)
    y, x = np.mgrid[: gray.shape[0], : gray.shape[1]]
    return np.array([(weight * (x + 0.5)).sum(), (weight * (y + 0.5)).sum()]) / weight.sum()


def test_a_point_projects_onto_its_spot_after_crop_and_resize(tmp_path):
    image = np.zeros((90, 120, 3), np.uint8)
    image[33:37, 64:70] = 255
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "0.png"), image)
    (tmp_path / "calibration.json").write_text('{"fx": 110, "fy": 100, "cx": 57, "cy": 49}')
    whole = load_clip(tmp_path)
    spot = centroid(image[..., 0])
    ray = np.linalg.inv(whole.K[0]) @ [*spot, 1]
    for options in (
        ClipOptions(crop=(17, 9, 113, 81)),
        ClipOptions(max_size=60),
        ClipOptions(crop=(17, 9, 113, 81), max_size=48),
        ClipOptions(crop=(17, 9, 114, 80), max_size=37),
    ):
        clip = load_clip(tmp_path, options)
        projected = clip.K[0] @ ray
        np.testing.assert_allclose(projected[:2] / projected[2], centroid(clip.image(0)[..., 0]), atol=0.05)
        assert clip.image(0).shape == (clip.height, clip.width, 3)
        assert max(clip.width, clip.height) <= (options.max_size or 120)


def test_other_intrinsics_and_poses_leave_the_clip_that_they_replace_alone(tmp_path):
    write_images(tmp_path, 3)
    clip = load_clip(tmp_path, ClipOptions(crop=(3, 1, 21, 13), max_size=6))
    K, original, notes = clip.K.copy(), clip.original_K.copy(), list(clip.notes)
    longer = clip.with_intrinsics(clip.K * np.array([[2, 1, 1], [1, 2, 1], [1, 1, 1]]))
    np.testing.assert_allclose(longer.original_K, original * np.array([[2, 1, 1], [1, 2, 1], [1, 1, 1]]))
    assert (clip.K_is_guess, longer.K_is_guess) == (True, False)
    placed = longer.with_cameras(np.eye(4)[None].repeat(3, 0) + np.arange(3)[:, None, None] * np.eye(4, k=3))
    placed.notes += ["about this one alone"]
    assert (placed.static_camera, placed.poses_replaced, clip.static_camera) == (False, True, True)
    assert clip.notes == longer.notes == notes
    np.testing.assert_array_equal(clip.K, K)
    np.testing.assert_array_equal(clip.original_K, original)
    with pytest.raises(ValueError, match="finite poses"):
        clip.with_cameras(np.full((3, 4, 4), np.nan))


def test_max_size_never_enlarges(tmp_path):
    write_images(tmp_path, 1)
    clip = load_clip(tmp_path, ClipOptions(max_size=1000))
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(clip.image(0), frame(0))


def test_depth_and_masks_are_picked_not_mixed(tmp_path):
    root = write_calibrated(tmp_path / "clip")
    clip = load_clip(root, ClipOptions(crop=(3, 1, 21, 13), max_size=6))
    assert (clip.width, clip.height) == (6, 4)
    # A third of the size: the target pixel's centre lies in the middle one of each three source pixels.
    expected = depth_map(1)[1:13, 3:21][1::3, 1::3] * 0.05
    np.testing.assert_allclose(clip.depth(1), expected, rtol=1e-6)
    instrument = np.zeros((HEIGHT, WIDTH), bool)
    instrument[:5, :6] = True
    np.testing.assert_array_equal(clip.tissue_mask(1), ~instrument[1:13, 3:21][1::3, 1::3])


def test_ignored_rows_count_in_the_original(tmp_path):
    write_images(tmp_path, 1)
    clip = load_clip(tmp_path, ClipOptions(ignore_rows=("10:13", "15:"), crop=(0, 8, WIDTH, HEIGHT)))
    expected = np.ones((8, WIDTH), bool)
    expected[[2, 3, 4, 7]] = False
    np.testing.assert_array_equal(clip.tissue_mask(0), expected)
    np.testing.assert_array_equal(clip.ignored, ~expected)
    halved = load_clip(tmp_path, ClipOptions(ignore_rows=("0:4",), max_size=WIDTH // 2))
    np.testing.assert_array_equal(halved.tissue_mask(0).all(1), [False] * 2 + [True] * 6)


def test_the_ignore_mask_hides_where_it_is_not_zero(tmp_path):
    write_images(tmp_path / "images", 2)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:5, 7:20] = 1
    cv2.imwrite(str(tmp_path / "caption.png"), mask)
    clip = load_clip(tmp_path / "images", ClipOptions(ignore_mask=tmp_path / "caption.png"))
    np.testing.assert_array_equal(clip.tissue_mask(1), mask == 0)


def test_an_ignore_mask_of_another_size_is_refused(tmp_path):
    write_images(tmp_path / "images", 1)
    cv2.imwrite(str(tmp_path / "caption.png"), np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(InputError, match=r"caption\.png.*25 x 16"):
        load_clip(tmp_path / "images", ClipOptions(ignore_mask=tmp_path / "caption.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (0, 0, WIDTH + 1, 4)}, "--crop"),
        ({"crop": (5, 0, 5, 4)}, "--crop"),
        ({"max_size": 0}, "--max-size"),
        ({"ignore_rows": ("5",)}, "--ignore-rows 5 "),
        ({"ignore_rows": ("8:2",)}, "--ignore-rows"),
        ({"ignore_rows": ("0:17",)}, "--ignore-rows"),
        ({"ignore_rows": ("a:b",)}, "--ignore-rows"),
        ({"ignore_rows": (":",)}, "every pixel"),
        ({"stride": 0}, "--stride"),
        ({"start": -1}, "--start"),
        ({"start": 2, "end": 1}, "--end"),
        ({"start": 50}, "no frame at or after --start 50 s; the clip's last"),
        ({"start": 50, "end": 60}, "no frame between --start 50 s and --end 60 s"),
        ({"fps": 0}, "--fps"),
        ({"focal": float("nan")}, "--focal"),
        ({"depth_unit_mm": -1}, "--depth-unit-mm"),
        ({"mask_instrument_value": 7}, "--mask-instrument-value"),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    write_images(tmp_path, 2)
    with pytest.raises(InputError, match=message):
        load_clip(tmp_path, ClipOptions(**options))
