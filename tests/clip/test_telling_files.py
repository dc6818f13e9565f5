"""What lies beside the frames, seems to tell something and is not used, is said in every layout, and no more."""

import json

import numpy as np
import pytest
from drawn_frames import save, series, tissue
from layouts.c3vd import write_c3vd
from layouts.generators import GENERATORS, generated
from layouts.scared import calibration, write_scared_video
from layouts.stereomis import write_stereomis

from endogs.clip import ClipOptions, load_clip

FRAMES = [tissue(i) for i in range(3)]


def unused(clip):
    return " ".join(note for note in clip.notes if "not used:" in note)


@pytest.mark.parametrize("layout", GENERATORS)
def test_every_layout_says_what_it_does_not_use(tmp_path, layout):
    root = generated(layout, tmp_path / layout)
    assert unused(load_clip(root, look=False)).replace("depth02/", "") in ("", "not used: , by the name depth: "
        "docs/usage/CALIBRATION.md says what is read.")  # fmt: skip
    (root / "more_trajectories.csv").write_text("0 0 0\n")
    (root / "stereo_calib.yaml").write_text("K1: 3\n")
    (root / "segmentations").mkdir()
    save(root / "segmentations" / "0.png", FRAMES[0])
    said = unused(load_clip(root, look=False))
    for name in ("more_trajectories.csv", "stereo_calib.yaml", "segmentations/"):
        assert name in said


def test_scareds_calibration_of_the_keyframe(tmp_path):
    """Used where frame_data/ has none, and else not, which is said; unpacked archives are not named."""
    root = write_scared_video(tmp_path / "keyframe")
    assert "endoscope_calibration" not in unused(load_clip(root, look=False))
    names = {"K1": "KL", "D1": "DL", "K2": "KR", "D2": "DR", "R": "R", "T": "T"}
    file = root / "endoscope_calibration.yaml"
    file.write_text(json.dumps({name: calibration()[other] for name, other in names.items()}))
    (root / "data" / "scene_points.tar.gz").write_bytes(b"\x1f\x8b")
    save(root / "left_depth_map.tiff", FRAMES[0])
    said = unused(load_clip(root, look=False))
    assert "endoscope_calibration.yaml" in said
    assert "left_depth_map.tiff" in said
    assert "tar.gz" not in said
    for frame in (root / "data" / "frame_data").iterdir():
        frame.write_text(json.dumps({"camera-pose": json.loads(frame.read_text())["camera-pose"]}))
    assert "endoscope_calibration" not in unused(load_clip(root, look=False))


def test_the_second_of_two_calibrations_is_named(tmp_path):
    """A layout that knows both names reads one of them."""
    series(tmp_path / "images", "{}.png", FRAMES)
    camera = {"fx": 60, "fy": 60, "cx": 24, "cy": 20}
    (tmp_path / "calibration.json").write_text(json.dumps(camera))
    (tmp_path / "camera_calibration.yaml").write_text(json.dumps(camera))
    for name in ("poses.tum", "poses_gt.txt"):
        (tmp_path / name).write_text("".join(f"{i} {i} 0 0 0 0 0 1\n" for i in range(3)))
    said = unused(load_clip(tmp_path, look=False))
    assert "camera_calibration.yaml" in said
    assert "poses_gt.txt" in said
    assert "calibration.json" not in said
    assert "poses.tum" not in said


def test_a_calibration_that_is_given_is_used(tmp_path):
    series(tmp_path, "{}.png", FRAMES)
    (tmp_path / "my_calibration.json").write_text('{"fx": 60, "fy": 60, "cx": 24, "cy": 20}')
    assert "my_calibration.json" in unused(load_clip(tmp_path, look=False))
    options = ClipOptions(calibration=tmp_path / "my_calibration.json")
    assert unused(load_clip(tmp_path, options, look=False)) == ""


def test_depth_pictures_of_which_some_are_looked_at_are_used(tmp_path):
    """Of many depth maps a dozen are opened when a clip is read."""
    series(tmp_path / "images", "{:03d}.png", [tissue(i % 3) for i in range(20)])
    series(tmp_path / "depth", "{:03d}_depth.png", [np.full(tissue(0).shape[:2], 900, np.uint16)] * 20)
    assert unused(load_clip(tmp_path, look=False)) == ""


@pytest.mark.parametrize("name", ["rgb", "images", "left"])
def test_frames_given_without_the_data_set_around_them(tmp_path, name):
    series(tmp_path / name, "{}.png", FRAMES)
    assert unused(load_clip(tmp_path / name, look=False)) == ""
    (tmp_path / "poses.txt").write_text("1")
    (tmp_path / "readme.txt").write_text("1")
    said = unused(load_clip(tmp_path / name, look=False))
    assert f"beside {name}/ and not used: poses.txt, by the name poses" in said
    assert "readme" not in said


def test_stereomis_offers_the_frames_of_its_split(tmp_path):
    """The options that are offered choose exactly these."""
    root = write_stereomis(tmp_path / "P2_0")
    (root / "test_split.csv").write_text("start,end\n2,4\n")
    (tmp_path / "sequences.txt").write_text("sequence,step\nP1,3\nP2_0,2\n")
    clip = load_clip(root, look=False)
    note = next(note for note in clip.notes if "test_split.csv" in note)
    assert "frames 2 to 4 by --start 0.080 --end 0.160" in note
    assert any("--stride 2" in note for note in clip.notes)
    part = load_clip(root, ClipOptions(start=0.08, end=0.16, stride=2), look=False)
    np.testing.assert_allclose(part.times + part.time_offset, [0.08, 0.16])
    assert not any("split" in note or "stride" in note for note in part.notes)
    (root / "test_split.csv").write_text("start,end\n0,5\n")
    assert not any("split" in note for note in load_clip(root, look=False).notes)
    (root / "test_split.csv").write_text("none\n")
    assert any("holds no rows" in note for note in load_clip(root, look=False).notes)


def test_c3vd_says_how_its_poses_were_read(tmp_path):
    root = write_c3vd(tmp_path / "c3vd")
    assert any("pose.txt is read as column-major" in note for note in load_clip(root, look=False).notes)
    before = load_clip(root, look=False).world_to_camera
    rows = np.loadtxt(root / "pose.txt", delimiter=",").reshape(-1, 4, 4).swapaxes(1, 2).reshape(-1, 16)
    np.savetxt(root / "pose.txt", rows, delimiter=",")
    clip = load_clip(root, look=False)
    assert any("pose.txt is read as row-major" in note for note in clip.notes)
    np.testing.assert_allclose(clip.world_to_camera, before, atol=1e-9)
    np.savetxt(root / "pose.txt", np.eye(4).reshape(1, 16).repeat(len(rows), 0), delimiter=",")
    assert any("could be the other way round" in note for note in load_clip(root, look=False).notes)
