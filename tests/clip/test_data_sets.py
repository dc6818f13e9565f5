"""The data sets of the field: what a reader returns reprojects to the pixels, and no usual mistake does.

Each generator in tests/layouts/ writes a tiny folder in a data set's own layout from rays and a plane.
"""

import json

import cv2
import numpy as np
import pytest
from layouts.asymmetric_scene import SIZE, K, check_clip, mismatch, view_mismatch
from layouts.c3vd import write_c3vd
from layouts.hamlyn import BASELINE, write_hamlyn
from layouts.scared import write_scared, write_scared_video
from layouts.stereomis import write_stereomis, write_stereomis_frames
from layouts.tiff_float import write_tiff
from layouts.tum_rgbd import write_tum

from endogs.clip import ClipOptions, load_clip
from endogs.clip.files.image_files import image_size
from endogs.errors import InputError


def test_scared_as_its_tools_prepare_it(tmp_path):
    clip = load_clip(write_scared(tmp_path / "keyframe_1"))
    assert (clip.kind, len(clip), clip.static_camera) == ("scared", 4, False)
    assert clip.baseline == pytest.approx(4.3513, abs=1e-3)
    assert (clip.depth(0)[3:6, 10:14] == 0).all()
    check_clip(clip, off_slope=0.01, off_color=1.0)


def test_scareds_disparity_of_next_to_nothing_is_no_depth(tmp_path, recwarn):
    """Its depth would be beyond what a float holds."""
    root = write_scared(tmp_path / "keyframe_1", 2)
    write_tiff(root / "data" / "disparity" / "frame_data000000.tiff", np.full(SIZE[::-1], 1e-40))
    clip = load_clip(root, look=False)
    assert (clip.depth(0) == 0).all()
    assert (clip.depth(1) > 0).any()
    assert not [one for one in recwarn.list if issubclass(one.category, RuntimeWarning)]


def test_scared_names_the_folder_data_as_well(tmp_path):
    root = write_scared(tmp_path / "keyframe_1", 2)
    assert load_clip(root / "data").kind == "scared"


def test_scared_keeps_a_pose_whose_rectification_is_unknown_and_says_so(tmp_path):
    root = write_scared(tmp_path / "keyframe_1", 2)
    for file in (root / "data" / "frame_data").iterdir():
        content = json.loads(file.read_text())
        del content["camera-calibration"]["KR"]
        file.write_text(json.dumps(content))
    clip = load_clip(root)
    assert any("not turned by the rectification" in note for note in clip.notes)
    stated = json.loads((root / "data" / "frame_data" / "frame_data000001.json").read_text())["camera-pose"]
    np.testing.assert_array_equal(clip.world_to_camera[1], stated)


def test_scared_as_downloaded(tmp_path):
    clip = load_clip(write_scared_video(tmp_path / "keyframe_1"))
    assert (clip.kind, len(clip)) == ("scared-video", 4)
    check_clip(clip, off_slope=0.3, off_color=2.0)


def test_scared_video_goes_without_what_is_not_unpacked(tmp_path):
    root = write_scared_video(tmp_path / "keyframe_1")
    for file in sorted((root / "data" / "scene_points").iterdir()):
        file.unlink()
    (root / "data" / "scene_points.tar.gz").write_bytes(b"")
    (root / "data" / "frame_data" / "frame_data000003.json").unlink()
    clip = load_clip(root)
    assert (len(clip), clip.has_depth) == (3, False)
    assert any("unpack data/scene_points.tar.gz" in note for note in clip.notes)
    assert any("the first 3 are used" in note for note in clip.notes)


def test_stereomis_as_downloaded(tmp_path):
    clip = load_clip(write_stereomis(tmp_path / "P2_0"))
    assert (clip.kind, len(clip), clip.masks_are_given) == ("stereomis", 6, True)
    # Bright is tissue there, and the instrument stands where it was drawn, moved by the rectification at most.
    assert 0.02 < 1 - clip.tissue_mask(3).mean() < 0.06
    assert not clip.tissue_mask(3)[2, 5]
    assert any("3 of 6 frames have none of their own" in note for note in clip.notes)
    check_clip(clip, off_slope=0.3, off_color=2.0)


def test_stereomis_finds_poses_and_masks_by_the_frames_place_in_the_video(tmp_path):
    root = write_stereomis(tmp_path / "P2_0", start=2)
    clip = load_clip(root)
    assert len(clip) == 4
    assert any("2 of 6 frames have no pose in groundtruth.txt and are left out" in note for note in clip.notes)
    check_clip(clip, off_slope=0.3, off_color=2.0)
    with pytest.raises(InputError, match=r"no pose for any of the chosen frames \(its poses are of frames 2 to 5"):
        load_clip(root, ClipOptions(end=0.05))
    clip = load_clip(root, ClipOptions(start=0.08, stride=3))
    assert len(clip) == 2
    check_clip(clip, off_slope=0.3, off_color=2.0)


def test_stereomis_as_converted_for_splatting(tmp_path):
    clip = load_clip(write_stereomis_frames(tmp_path / "stereo_P3"))
    assert (clip.kind, clip.depth_is_quantized, clip.static_camera) == ("stereomis-frames", True, True)
    assert (~clip.tissue_mask(0)).sum() == 8 * 20
    assert not clip.tissue_mask(0)[:8, :20].any()
    np.testing.assert_allclose(clip.K[0], [[K[0, 0], 0, K[0, 2]], [0, K[0, 0], K[1, 2]], [0, 0, 1]])
    check_clip(clip, off_slope=0.5, off_color=1.5)


def test_an_endonerf_folder_is_not_taken_for_stereomis(tmp_path):
    root = write_stereomis_frames(tmp_path / "clip")
    table = np.load(root / "poses_bounds.npy")
    table[:, [4, 9]] = [[48, 80]]
    np.save(root / "poses_bounds.npy", table)
    assert load_clip(root, ClipOptions(mask_instrument_value=0)).kind == "endonerf"


def test_hamlyn(tmp_path):
    clip = load_clip(write_hamlyn(tmp_path / "rectified01"))
    assert (clip.kind, clip.baseline) == ("hamlyn", BASELINE)
    assert (clip.depth(0)[:4, :3] == 0).all()  # unknown, and saturated
    check_clip(clip, off_slope=0.5, off_color=1.5)


def test_hamlyn_in_a_folder_of_its_own_name_and_its_tracking_form(tmp_path):
    root = write_hamlyn(tmp_path / "rectified01" / "rectified01")
    assert load_clip(tmp_path / "rectified01").kind == "hamlyn"
    (root / "image01").rename(root / "color")
    (root / "depth01").rename(root / "depth")
    (root / "extrinsics.txt").unlink()
    clip = load_clip(root)
    assert (clip.kind, clip.has_right) == ("hamlyn", False)
    assert any("right views are not used" in note for note in clip.notes)
    check_clip(clip, off_slope=0.5, off_color=1.5)


def test_tum_rgbd(tmp_path):
    clip = load_clip(write_tum(tmp_path / "some_sequence"))
    assert (clip.kind, len(clip)) == ("tum-rgbd", 4)
    np.testing.assert_allclose(clip.times, 0.04 * np.arange(4), atol=1e-6)
    assert any("1 of 5 images have no depth or no pose" in note for note in clip.notes)
    check_clip(clip, off_slope=0.12, off_color=1.0)


def test_tum_rgbd_knows_the_benchmarks_cameras_and_undistorts_them(tmp_path):
    camera = np.array([[520.9, 0, 325.6], [0, 521.0, 250.2], [0, 0, 1]])
    distortion = (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    root = tmp_path / "rgbd_dataset_freiburg2_desk"
    write_tum(root, 2, camera, distortion, size=(640, 480))
    (root / "calibration.json").unlink()
    clip = load_clip(root)
    images, inside = [clip.image(i) for i in range(2)], ~clip.ignored
    assert view_mismatch(images, clip.K, clip.world_to_camera, inside) < 0.5
    found = mismatch(images, [clip.depth(i) for i in range(2)], clip.K, clip.world_to_camera)
    assert found.off_slope < 0.12
    assert found.known > 0.9
    bent = [cv2.imread(str(file))[..., ::-1] for file in sorted((root / "rgb").iterdir())[:2]]
    assert view_mismatch(bent, clip.K, clip.world_to_camera, inside) > 2.0


@pytest.mark.parametrize("second_version", [False, True])
def test_c3vd(tmp_path, second_version):
    clip = load_clip(write_c3vd(tmp_path / "cecum_t1_a", second_version=second_version))
    assert (clip.kind, len(clip)) == ("c3vd", 4)
    inside = [np.where(clip.ignored, 0, clip.depth(i)) for i in range(4)]
    assert np.mean([depth > 0 for depth in inside]) > 0.9
    check_clip(clip, off_slope=0.5, off_color=2.0)


def test_c3vd_marks_depth_beyond_its_range_as_unknown(tmp_path):
    root = write_c3vd(tmp_path / "clip", 1)
    cv2.imwrite(str(root / "0000_depth.tiff"), np.full((48, 80), 65535, np.uint16))
    assert not load_clip(root).depth(0).any()


METRIC = [write_scared, write_scared_video, write_stereomis_frames, write_hamlyn, write_tum, write_c3vd]


@pytest.mark.parametrize("write", [*METRIC, write_stereomis], ids=lambda write: write.__name__)
def test_what_the_options_say_goes_before_what_the_data_says(tmp_path, write):
    root = write(tmp_path / "clip")
    clip = load_clip(root, ClipOptions(focal=99, fps=8, stride=2))
    assert clip.K[0, 0, 0] == pytest.approx(99)
    np.testing.assert_allclose(np.diff(clip.times), 0.25)
    if clip.has_depth:
        doubled = load_clip(root, ClipOptions(depth_unit_mm=2 * clip._recording.depth_unit, stride=2))
        known = load_clip(root, ClipOptions(stride=2)).depth(1)
        inside = (known > 0) & (known < 100)
        np.testing.assert_allclose(doubled.depth(1)[inside], 2 * known[inside], rtol=1e-5)
        assert inside.mean() > 0.9


def test_the_size_of_a_jpeg_is_in_its_header(tmp_path):
    for progressive in (0, 1):
        file = tmp_path / f"{progressive}.jpg"
        cv2.imwrite(str(file), np.zeros((35, 52, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
        assert image_size(file) == (52, 35)
    file.write_bytes(file.read_bytes()[:80])
    with pytest.raises(InputError, match=r"1\.jpg: not a readable image"):
        image_size(file)
