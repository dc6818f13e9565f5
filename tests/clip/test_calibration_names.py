"""Entries that are not understood, stand twice or change nothing are told by name."""

import json

import numpy as np
import pytest
from layouts.dvrk import write_dvrk
from layouts.nerfstudio import write_nerfstudio
from layouts.stereomis import write_stereomis
from samples.stereo_scene import BASELINE, write_pair

from endogs.bounded_files import NamedTwice, parse_json
from endogs.clip import load_clip
from endogs.clip.cameras.calibration_forms import OTHERS, READ
from endogs.clip.cameras.calibration_json import load_calibration
from endogs.clip.cameras.calibration_names import nearest_name, nearly_known, not_understood, unused_entries
from endogs.clip.files.yaml_text import parse_yaml
from endogs.clip.layouts import nerfstudio
from endogs.errors import InputError

OPENCV = """%YAML:1.0
image_width: 160
image_height: 128
board_width: 9
avg_reprojection_error: 0.3
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 171.5, 0, 83, 0, 168, 61, 0, 0, 1 ]
distorsion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -0.1, 0, 0, 0, 0 ]
"""
LEGITIMATE = """calibration_time nframes board_width board_height square_size aspectRatio flags camera_name
avg_reprojection_error per_view_reprojection_errors extrinsic_parameters image_points grid_points
rms img_shape rectification_matrix projection_matrix R1 R2 P1 P2 Q rvecs tvecs image_shape
fixed_aspect_ratio FocalLengthError NumRadialDistortionCoefficients ReprojectionErrors
MeanReprojectionError TranslationVectors WorldPoints Skew Version Camera.RGB Camera.bFishEye
Camera.newWidth ORBextractor.nFeatures Viewer.CameraSize Stereo.ThDepth fc_error alpha_c
serial_number calibration_date roi new_camera_matrix fundamental_matrix"""
OF_NERFSTUDIO = """ply_file_path applied_transform aabb_scale sharpness colmap_im_id orientation_override normal_path
auto_scale_poses_override fisheye_crop_radius train_filenames lidar_file_path camera_id metadata
exposure integer_depth_scale offset near far"""


def test_the_nearest_name_is_meant():
    (note,) = not_understood(["fx", "basline_mm", "_made", "comment", "units"], ("fx", "baseline_mm", "fps"), "c.json")
    assert note == "not understood of c.json, and not used: basline_mm (is baseline_mm meant?), units."
    (note,) = not_understood(["w", "k1"], ("fx", "width", "distortion"), "c.json")
    assert note.endswith("w (is width meant?), k1 (is distortion meant?).")
    assert nearest_name("Baseline_MM", ("fx", "baseline_mm")) == "baseline_mm"
    assert nearest_name("fz", ("fx", "fy")) is None, "two letters are alike by chance"
    assert nearest_name("mask_file_path", ("file_path", "mask_path")) == "mask_path"


def test_names_of_other_things_are_not_taken_for_misspelt():
    assert nearly_known(LEGITIMATE.split(), READ, OTHERS) == []
    assert nearly_known(OF_NERFSTUDIO.split(), nerfstudio.READ, (*nerfstudio.UNREAD, *nerfstudio.OTHERS)) == []


def notes_of(root):
    return [note for note in load_clip(root, look=False).notes if "not understood" in note or "is not used" in note]


def test_a_calibration_json_with_names_that_nobody_knows(tmp_path):
    right = {
        "translation_mm": [-BASELINE, 0, 0],
        "right": {"fx": 220, "fy": 220, "cx": 101, "cy": 74, "distorsion": [0]},
    }
    write_pair(tmp_path, basline_mm=BASELINE, units="m", **right)
    own, of_right = notes_of(tmp_path)
    assert "calibration.json, and not used: basline_mm (is baseline_mm meant?), units." in own
    assert "right in calibration.json, and not used: distorsion (is distortion meant?)" in of_right


@pytest.mark.parametrize(
    ("facts", "has_right", "said"),
    [
        ({"baseline_mm": 4, "rotation": [1], "right": {"fx": 1}}, True, ["rotation", "right"]),
        ({"baseline_mm": 4, "translation_mm": [1]}, True, ["baseline_mm"]),
        ({"fx": 1, "xi": 1.2}, False, ["xi"]),
        ({"model": "omnidir", "xi": 1.2, "distortion": [1]}, False, []),
        ({"model": "scaramuzza", "polynomial": [1], "fx": 3}, False, ["fx"]),
        ({"baseline_mm": 4, "rotation": [], "skew": 0}, True, []),
    ],
)
def test_entries_that_others_leave_without_use_are_told(facts, has_right, said):
    assert [note.split(": ")[1].split(" is ")[0] for note in unused_entries(facts, has_right, "c")] == said


def test_other_programs_files(tmp_path):
    file = tmp_path / "c.yml"
    file.write_text(OPENCV)
    assert "distorsion_coefficients" in load_calibration(file)
    write_pair(tmp_path / "clip")
    (tmp_path / "clip" / "calibration.json").unlink()
    text = OPENCV.replace("160", "200").replace("128", "150")
    (tmp_path / "clip" / "calibration.yaml").write_text(text)
    assert "distorsion_coefficients (is distortion_coefficients meant?)." in notes_of(tmp_path / "clip")[0]
    assert "board_width" not in notes_of(tmp_path / "clip")[0]
    kalibr = "cam0:\n  intrinsics: [200, 200, 100, 75]\n  distortion_coefs: [1, 0, 0, 0]\n  rostopic: /a\n"
    (tmp_path / "clip" / "calibration.yaml").write_text(kalibr)
    assert "cam0.distortion_coefs" in notes_of(tmp_path / "clip")[0]


def test_transforms_json(tmp_path):
    write_nerfstudio(tmp_path)
    assert notes_of(tmp_path) == []
    file = tmp_path / "transforms.json"
    found = json.loads(file.read_text())
    found["frames"] = [{**frame, "depth_path": "d.png"} for frame in found["frames"]]
    file.write_text(json.dumps({**found, "aabb_scale": 16}))
    (note,) = notes_of(tmp_path)
    assert note.endswith("transforms.json, and not used: depth_path (is depth_file_path meant?).")


def test_two_focal_lengths_of_transforms_json(tmp_path):
    write_nerfstudio(tmp_path)
    file = tmp_path / "transforms.json"
    found = json.loads(file.read_text())
    angle = 2 * np.arctan(found["w"] / 2 / found["fl_x"])
    for factor, count in ((1.0, 0), (1.4, 1)):
        file.write_text(json.dumps({**found, "camera_angle_x": angle * factor}))
        told = [note for note in load_clip(tmp_path, look=False).notes if "disagree" in note]
        assert len(told) == count
    assert f"fl_x {found['fl_x']:.1f} and camera_angle_x {angle * 1.4:.4g}" in told[0]


def test_ros_yaml_and_dvrk_facts(tmp_path):
    write_dvrk(tmp_path / "a")
    (tmp_path / "a" / "calibration.json").write_text('{"fps": 25, "first_frame_tme": 1700682785.25}')
    assert "first_frame_tme (is first_frame_time meant?)" in notes_of(tmp_path / "a")[0]
    file = tmp_path / "a" / "left.yaml"
    file.write_text(file.read_text().replace("distortion_model", "distorsion_model"))
    with pytest.raises(InputError, match=r"distorsion_model is not understood: is distortion_model meant\?"):
        load_clip(tmp_path / "a", look=False)


def test_a_gap_in_the_distortion_of_stereomis(tmp_path):
    write_stereomis(tmp_path / "a")
    file = tmp_path / "a" / "StereoCalibration.ini"
    file.write_text(file.read_text().replace("kc_0 =", "kc0 =", 1))
    with pytest.raises(InputError, match=r"kc_1, kc_2.*some are missing"):
        load_clip(tmp_path / "a", look=False)


@pytest.mark.parametrize("name", ["calibration.json", "calibration.yaml"])
def test_an_entry_that_stands_twice_is_refused(tmp_path, name):
    write_pair(tmp_path)
    facts = json.loads((tmp_path / "calibration.json").read_text())
    (tmp_path / "calibration.json").unlink()
    lines = [f'"{key}": {value}' for key, value in facts.items()] + ['"fx": 440']
    text = "{" + ", ".join(lines) + "}" if name.endswith("json") else "\n".join(line.replace('"', "") for line in lines)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"the entry 'fx' stands twice in one .*: leave only the one that is meant"):
        load_clip(tmp_path, look=False)


def test_twice_is_told_at_any_depth_and_once_in_each_is_right():
    with pytest.raises(NamedTwice, match="'k'"):
        parse_json('{"a": [{"k": 1, "k": 1}]}')
    assert parse_json('[{"k": 1}, {"k": 2}]') == [{"k": 1}, {"k": 2}]
    with pytest.raises(NamedTwice, match="'k'"):
        parse_yaml("a:\n  - k: 1\n    k: 2\n")
    assert parse_yaml("a: {k: 1}\nb: {k: 2}\n") == {"a": {"k": 1}, "b": {"k": 2}}
