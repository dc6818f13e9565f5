import numpy as np
import pytest
from layouts import corner
from layouts.endoslam import UNITY_UNIT, write_high_camera, write_tracker, write_unity
from layouts.reprojection import depth_error, image_error, largest_miss

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def test_the_synthetic_part_in_unitys_axes(tmp_path):
    folder, poses = write_unity(tmp_path)
    clip = load_clip(folder)
    assert (clip.kind, len(clip), clip.units) == ("endoslam", 4, "relative")
    np.testing.assert_allclose(clip.times, np.arange(4) / 30)
    np.testing.assert_allclose(clip.K[0], corner.K, atol=1e-5)
    assert largest_miss(clip, poses, scale=1 / UNITY_UNIT) < 1e-3
    assert image_error(clip, poses, 2) < 0.5
    depth = clip.depth(2)
    clip_depth = depth[(depth > 0) & (depth < 2.5)].mean()  # what 8 bits cannot say is unknown
    truth = corner.depth_along(poses[2], corner.pixel_rays()) / UNITY_UNIT
    assert clip_depth == pytest.approx(truth[truth < 2.5].mean(), rel=0.02)
    assert clip.pose_check.error < 0.5
    assert not any("fit" in note for note in clip.notes)
    assert any("1 of 5 frames have no pose" in note for note in clip.notes)


def test_a_workbook_joined_by_the_frames_numbers(tmp_path):
    folder, poses = write_high_camera(tmp_path)
    clip = load_clip(folder)
    assert (len(clip), clip.units) == (4, "mm")
    assert largest_miss(clip, poses) < 1e-3
    assert max(image_error(clip, poses, i) for i in range(4)) < 4
    np.testing.assert_allclose(clip.times, np.arange(4) / 20)
    clip.world_to_camera = poses[[0, 2, 1, 3]]
    assert largest_miss(clip, poses) > 5


def test_a_trackers_table_is_spread_over_the_frames(tmp_path):
    folder, poses = write_tracker(tmp_path)
    clip = load_clip(folder)
    assert (len(clip), clip.units) == (4, "mm")
    assert largest_miss(clip, poses) < 1e-3
    assert any("spread evenly" in note for note in clip.notes)


def test_depth_in_another_unit_is_noticed(tmp_path):
    folder, poses = write_unity(tmp_path)
    assert any("disagree about lengths" in note for note in load_clip(folder, ClipOptions(depth_unit_mm=1.0)).notes)
    assert depth_error(load_clip(folder, ClipOptions(depth_unit_mm=0.25)), poses, 0) < 0.02, "0.25 mm a step is right"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("UnityCam/Calibration/cam.txt", None, r"no Calibration/cam\.txt beside or above"),
        ("UnityCam/Calibration/cam.txt", "1 2 3", r"cam\.txt: holds neither K nor fx"),
        ("UnityCam/Calibration/cam.txt", "fx: 3\nfy: 4", r"cam\.txt: holds neither K nor fx"),
        ("UnityCam/Calibration/cam.txt", "nan 0 9 0 9 9 0 0 1", r"cam\.txt: holds neither K nor fx"),
        ("UnityCam/Calibration/cam.txt", "fx: 9\nfy: inf\ncx: 9\ncy: 9", r"cam\.txt: holds neither K nor fx"),
        ("UnityCam/Calibration/cam.txt", "0 0 1 0 0 1 0 0 1", "focal lengths must be positive"),
        ("UnityCam/Colon/Poses/colon_position_rotation.csv", "a,b\n1,2", "has no column tX"),
        ("UnityCam/Colon/Poses/colon_position_rotation.csv", "tX,tY,tZ,rX,rY,rZ,rW\n", "holds no row of numbers"),
        ("UnityCam/Colon/Poses/colon_position_rotation.csv", "tX,tY,tZ,rX,rY,rZ,rW\n0,0,0,1,1,1,1", "has not length 1"),
        ("UnityCam/Colon/Poses/colon_position_rotation.csv", None, "Poses/ holds no .csv, .xlsx or .txt"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, name, text, message):
    folder, _ = write_unity(tmp_path, count=2)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_clip(folder)
    assert "\n" not in str(error.value).split("tried and rejected:")[0]


def test_a_broken_workbook_and_one_of_another_trajectory(tmp_path):
    folder, _ = write_high_camera(tmp_path)
    file = next((folder / "Poses").iterdir())
    for image in (folder / "Frames").iterdir():
        image.rename(image.with_name(image.name.replace("frame_0000", "frame_9000")))
    with pytest.raises(InputError, match="no pose belongs to a frame"):
        load_clip(folder)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(InputError, match=r"not a readable \.xlsx workbook"):
        load_clip(folder)
