import json

import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.colmap import write_colmap
from layouts.nerfstudio import write_nerfstudio
from layouts.reprojection import depth_error, image_error, largest_miss

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def write_calibrated(root):
    """A calibrated folder of one frame."""
    (root / "images").mkdir(parents=True)
    cv2.imwrite(str(root / "images" / "0.png"), np.full((40, 60, 3), 90, np.uint8))
    (root / "calibration.json").write_text(json.dumps({"fx": 50, "fy": 50, "cx": 30, "cy": 20}))


def edit(root, change):
    file = root / "transforms.json"
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", ["PINHOLE", "OPENCV", "OPENCV_FISHEYE"])
def test_points_land_on_their_pixels(tmp_path, model, shared):
    poses = write_nerfstudio(tmp_path / "n", model, shared=shared)
    clip = load_clip(tmp_path / "n")
    assert (clip.kind, len(clip), clip.units) == ("nerfstudio", 5, "relative")
    np.testing.assert_allclose(clip.K, corner.K[None].repeat(5, 0), atol=1e-4)
    assert largest_miss(clip, poses, scale=1e-3) < 1e-4
    assert image_error(clip, poses, 3) < (0.5 if model == "PINHOLE" else 2)
    assert clip.pose_check.error < 0.5
    assert not any("fit" in note for note in clip.notes)


def test_depth_and_masks_come_with_the_units_and_the_polarity_of_nerfstudio(tmp_path):
    poses = write_nerfstudio(tmp_path / "n", depth=True, masks=True)
    clip = load_clip(tmp_path / "n")
    assert clip.units == "mm"
    assert depth_error(clip, poses, 2) < 0.01
    assert largest_miss(clip, poses) < 1e-4
    assert clip.pose_check.depth_ratio == pytest.approx(1, abs=0.05)
    for i in range(5):
        assert (~clip.tissue_mask(i)).sum() == (20 + 10 * i) * 40
        assert not clip.tissue_mask(i)[:20, :40].any()
    assert clip.mask_instrument_value == 0


def test_depth_in_tenths_of_a_millimetre_goes_with_poses_in_metres(tmp_path):
    poses = write_nerfstudio(tmp_path / "n", depth=True)
    for file in (tmp_path / "n" / "depths").iterdir():
        cv2.imwrite(str(file), 10 * cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    clip = load_clip(tmp_path / "n", ClipOptions(depth_unit_mm=0.1))
    assert clip.units == "mm"
    assert largest_miss(clip, poses) < 1e-4
    assert depth_error(clip, poses, 2) < 0.01
    assert clip.pose_check.depth_ratio == pytest.approx(1, abs=0.05)
    assert not any("disagree about lengths" in note for note in clip.notes)


@pytest.mark.parametrize("write", [write_nerfstudio, write_colmap, write_calibrated])
def test_a_unit_for_depth_that_is_not_there_is_said_to_do_nothing(tmp_path, write):
    write(tmp_path / "n")
    plain, given = load_clip(tmp_path / "n"), load_clip(tmp_path / "n", ClipOptions(depth_unit_mm=0.1))
    note = "--depth-unit-mm changes nothing: the clip has no depth files."
    assert note not in plain.notes
    assert note in given.notes
    assert given.units == plain.units == "relative"


def test_opencv_matrices_in_the_file_are_noticed(tmp_path):
    poses = write_nerfstudio(tmp_path / "n")

    def flip(found):
        for frame in found["frames"]:
            frame["transform_matrix"] = (np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1])).tolist()

    edit(tmp_path / "n", flip)
    clip = load_clip(tmp_path / "n")
    assert largest_miss(clip, poses, scale=1e-3) > 5
    assert any("--pose-convention camera-to-world-opencv does it" in note for note in clip.notes)
    corrected = load_clip(tmp_path / "n", ClipOptions(pose_convention="opencv"))
    assert largest_miss(corrected, poses, scale=1e-3) < 1e-4
    assert not any("fit" in note for note in corrected.notes)


def test_variants_of_the_format(tmp_path):
    poses = write_nerfstudio(tmp_path / "n")

    def change(found):
        for name in ("fl_x", "fl_y", "camera_model", "k1"):
            del found[name]
        found["camera_angle_x"] = 2 * np.arctan(corner.WIDTH / 2 / corner.K[0, 0])
        found["camera_angle_y"] = 2 * np.arctan(corner.HEIGHT / 2 / corner.K[1, 1])
        found.update({name: found[name] * 2 for name in ("w", "h", "cx", "cy")})
        found["applied_scale"] = 10
        for frame in found["frames"]:
            frame["file_path"] = frame["file_path"].removesuffix(".png")
            frame["transform_matrix"] = np.array(frame["transform_matrix"])[:3]
            frame["transform_matrix"][:, 3] *= 10
            frame["transform_matrix"] = frame["transform_matrix"].tolist()
            frame["time"] = -int(frame["file_path"].rsplit("_", 1)[1])

    edit(tmp_path / "n", change)
    clip = load_clip(tmp_path / "n")
    np.testing.assert_allclose(clip.K[0], corner.K, atol=1e-9)
    assert largest_miss(clip, poses[::-1], scale=1e-3) < 1e-4, "ordered by time, which runs backwards here"
    assert image_error(clip, poses[::-1], 1) < 0.5


def frame(name, value):
    return lambda found: found["frames"][1].update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("frames"), "holds no list of frames"),
        (lambda found: found.pop("fl_x"), "neither fl_x nor camera_angle_x"),
        (lambda found: found.update(fl_y="wide"), "fl_y is 'wide' but must be a number"),
        (lambda found: found.update(fl_x=-3), "fl_x or camera_angle_x must be positive"),
        (lambda found: found.update(camera_model="EQUIRECTANGULAR"), "camera_model EQUIRECTANGULAR is not one of"),
        (lambda found: found.update(applied_scale=0), "applied_scale is 0 but must be positive"),
        (lambda found: found.update(k4=0.1), "is camera_model OPENCV_FISHEYE"),
        (lambda found: found.update(h=200), "of another aspect"),
        (frame("k1", 0.2), "frames with different distortions"),
        (frame("transform_matrix", [[1, 2], [3, 4]]), "transform_matrix of frame 1 must hold 4 x 4"),
        (frame("transform_matrix", np.diag([2.0, 2, 2, 1]).tolist()), "frame 1 is no rigid motion"),
        (frame("file_path", "images/absent.png"), r"1 of its files are missing \(images/absent.png\)"),
        (frame("mask_path", "/absent/mask.png"), r"1 of its files are missing \(/absent/mask\.png\)"),
        (frame("time", [1]), r"time is \[1\] but must be a number"),
        (frame("file_path", 3), "frame 1 has no file_path"),
        (
            lambda found: found["frames"][2].update(c2w=found["frames"][2].pop("transform_matrix")),
            "frame 2 has no transform_matrix, but file_path, c2w: give it that name",
        ),
        (frame("depth_file_path", "images/frame_8.png"), "1 of 5 frames have a depth_file_path"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, change, message):
    write_nerfstudio(tmp_path / "n")
    edit(tmp_path / "n", change)
    with pytest.raises(InputError, match=message) as error:
        load_clip(tmp_path / "n")
    assert "\n" not in str(error.value).split("tried and rejected:")[0]


def test_a_broken_file(tmp_path):
    write_nerfstudio(tmp_path / "n")
    file = tmp_path / "n" / "transforms.json"
    file.write_text(file.read_text()[:500])
    with pytest.raises(InputError, match="not readable as JSON"):
        load_clip(tmp_path / "n")
