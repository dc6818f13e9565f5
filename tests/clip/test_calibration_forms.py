"""Calibrations as other programs write them become the camera that they mean."""

import contextlib
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endogs.clip.cameras.calibration_json import load_calibration
from endogs.clip.cameras.ros_camera import read_ros_camera
from endogs.clip.files.yaml_text import parse_yaml
from endogs.errors import InputError

K = np.array([[171.5, 0, 83.25], [0, 168.25, 61.75], [0, 0, 1]])
"""Pixel centres at integers from 0, as OpenCV has it."""
D = [-0.11, 0.021, 0.0013, -0.0007, 0.004]
R = cv2.Rodrigues(np.array([0.011, -0.017, 0.009]))[0]
T = np.array([-4.35, 0.06, -0.09])
SINGLE = {"fx": 171.5, "fy": 168.25, "cx": 83.75, "cy": 62.25, "width": 160, "height": 128}


def rows(matrix):
    return ", ".join(repr(float(value)) for value in np.ravel(matrix))


def opencv_written(suffix, **entries):
    """What cv2.FileStorage itself writes."""
    storage = cv2.FileStorage(f"calibration{suffix}", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    for name, value in entries.items():
        storage.write(name, value)
    return storage.releaseAndGetString()


ROS = f"""image_width: 160
image_height: 128
camera_name: "left eye"
camera_matrix:
  rows: 3
  cols: 3
  data:
{"".join(f"  - {value!r}{chr(10)}" for value in K.ravel().tolist())}distortion_model: 'plumb_bob'
distortion_coefficients: {{rows: 1, cols: 5, data: [{rows(D)}]}}
rectification_matrix: {{rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}}
projection_matrix: {{rows: 3, cols: 4, data: [170, 0, 79.5, 0, 0, 170, 63.5, 0, 0, 0, 1, 0]}}
"""
KALIBR = f"""cam0:
  camera_model: pinhole
  distortion_coeffs: [{rows(D[:4])}]
  distortion_model: radtan
  intrinsics: [171.5, 168.25, 83.25, 61.75]
  resolution: [160, 128]
"""
ORBSLAM = f"""%YAML:1.0
---
Camera.type: "PinHole"
Camera.fx: 171.5
Camera.fy: 168.25
Camera.cx: 83.25
Camera.cy: 61.75
Camera.k1: {D[0]}
Camera.k2: {D[1]}
Camera.p1: {D[2]}
Camera.p2: {D[3]}
Camera.k3: {D[4]}
Camera.width: 160
Camera.height: 128
"""
MATLAB = f"""
  cameraIntrinsics with properties:

             FocalLength: [171.5 168.25]
          PrincipalPoint: [84.25 62.75]
               ImageSize: [128 160]
        RadialDistortion: [{D[0]} {D[1]} {D[4]}]
    TangentialDistortion: [{D[2]} {D[3]}]
                    Skew: 0
                       K: [3x3 double]
"""
BOUGUET = f"""% Intrinsic and Extrinsic Camera Parameters
fc = [ 171.5 ; 168.25 ];
cc = [ 83.25 ; 61.75 ];
alpha_c = 0.000000000000000;
kc = [ {" ; ".join(map(str, D))} ];
nx = 160;
ny = 128;
"""
FORMS = {
    "FileStorage.yml": opencv_written(
        ".yml", image_width=160, image_height=128, camera_matrix=K, distortion_coefficients=np.array(D)
    ),
    "FileStorage.json": opencv_written(
        ".json", camera_matrix=K, distortion_coefficients=np.array(D), image_size=np.array([128.0, 160.0])
    ),
    "arrays.json": json.dumps({"camera_matrix": K.tolist(), "dist_coeff": [D], "image_size": [160, 128]}),
    "ros.yaml": ROS,
    "windows.yaml": "\ufeff" + ROS.replace("\n", "\r\n"),
    "kalibr.yaml": KALIBR,
    "orbslam.yaml": ORBSLAM,
    "matlab.txt": MATLAB,
    "Calib_Results.m": BOUGUET,
    "matlab.json": json.dumps(
        {
            "IntrinsicMatrix": (K + np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]])).T.tolist(),
            "RadialDistortion": [D[0], D[1], D[4]],
            "TangentialDistortion": D[2:4],
            "ImageSize": [128, 160],
        }
    ),
}


def load(tmp_path, text, name="calibration.json"):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    return load_calibration(tmp_path / name)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same_camera(tmp_path, name):
    found = load(tmp_path, FORMS[name], name)
    expected = D if "kalibr" not in name else D[:4]
    np.testing.assert_allclose(found["distortion"], expected, rtol=1e-12)
    wanted = dict(SINGLE)
    assert {entry: found[entry] for entry in wanted if entry in found} == pytest.approx(
        {entry: wanted[entry] for entry in wanted if entry in found}
    )
    assert {"fx", "fy", "cx", "cy", "width"} <= set(found)


@pytest.mark.parametrize("names", [("K1", "D1", "K2", "D2"), ("M1", "D1", "M2", "D2")])
@pytest.mark.parametrize("metres", [1, 0.001])
@pytest.mark.parametrize("suffix", [".yml", ".json"])
def test_a_pair_by_opencv_is_that_of_stereo_calibrate(tmp_path, names, metres, suffix):
    right = K + np.array([[2.0, 0, 5], [0, 1, -3], [0, 0, 0]])
    values = dict(zip(names, (K, np.array(D), right, np.array(D[:4])), strict=True))
    text = opencv_written(suffix, **values, R=R, T=metres * T.reshape(3, 1))
    found = load(tmp_path, text)
    np.testing.assert_allclose(found["translation_mm"], T)
    np.testing.assert_allclose(found["rotation"], R)
    assert (found["right"]["fx"], found["right"]["cx"]) == (173.5, 88.75)
    np.testing.assert_allclose(found["right"]["distortion"], D[:4])
    assert (found["fx"], found["cy"]) == (171.5, 62.25)


def test_kalibrs_pair_is_in_metres(tmp_path):
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = R, T / 1000
    listed = "".join(f"  - [{rows(row)}]\n" for row in motion)
    right = KALIBR.replace("cam0", "cam1").replace("171.5,", "173.5,") + "  T_cn_cnm1:\n" + listed
    found = load(tmp_path, KALIBR + right)
    np.testing.assert_allclose(found["translation_mm"], T)
    assert found["right"]["fx"] == 173.5


def test_fisheyes_by_their_names(tmp_path):
    k = [-0.14, -0.0012, 0.0009, -0.00004]
    names = ("fx", "fy", "cx", "cy", "k0", "k1", "k2", "k3")
    values = (171.5, 168.25, 83.25, 61.75, *k)
    lines = [f"Camera.{name}: {value}\n" for name, value in zip(names, values, strict=True)]
    nr_slam = '%YAML:1.0\n\nCamera.model: "KannalaBrandt8"\n' + "".join(lines)
    orb_slam = nr_slam.replace(".model", ".type").replace("k3", "k4").replace("k2", "k3").replace("k1", "k2")
    orb_slam = orb_slam.replace("k0", "k1")
    lens = dict(zip(("k1", "k2", "k3", "k4"), k, strict=True))
    reim = json.dumps({"model": "FISHEYE_OPENCV", "fx": 171.5, "fy": 168.25, "cx": 83.75, "cy": 62.25, "w": 160} | lens)
    kalibr = KALIBR.replace("radtan", "equidistant").replace(rows(D[:4]), rows(k))
    for text in (nr_slam, orb_slam, reim, kalibr):
        found = load(tmp_path, text)
        assert found["model"] == "fisheye"
        np.testing.assert_allclose(found["distortion"], k)
        assert (found["fx"], found["cx"]) == (171.5, 83.75)


def test_the_baseline_of_settings_is_bf_over_fx(tmp_path):
    text = ORBSLAM.split("Camera.k1")[0]
    assert load(tmp_path, f"{text}Stereo.bf: {171.5 * 4.2}\n")["baseline_mm"] == pytest.approx(4.2)
    assert load(tmp_path, f"{text}Camera.bf: {171.5 * 0.0042}\n")["baseline_mm"] == pytest.approx(4.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON or YAML"),
        ("a: [1, 2", "not readable as JSON or YAML"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("[" * 4000, "nested deeper than 64"),
        ("- " * 4000, "nested deeper than 64"),
        ('{"poses": [1]}', r"names no camera that is known here \(poses\).*docs/usage/CALIBRATION.md"),
        ("just words", "docs/usage/CALIBRATION.md"),
        ("K1: [1, 2, 3]\n", "K1 must hold 9 numbers"),
        (
            "Camera.fx: 4\nCamera.fy: 4\nCamera.cx: 1\nCamera.cy: 1\nCamera.type: Mei\n",
            "Camera.type mei is not PinHole",
        ),
        ("cam0: {camera_model: omni, intrinsics: [1, 2, 3, 4]}\n", "let Kalibr fit pinhole"),
        ("camera_matrix: {data: [1,0,1,0,1,1,0,0,1]}\ndistortion_model: fov\n", "lens model fov is not one of"),
        ("!!python/object/apply:os.system ['true']", "not readable as JSON or YAML"),
    ],
)
def test_what_is_no_calibration_hears_what_is_one(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_yaml_do_anything_but_raise_value_error(text):
    with contextlib.suppress(ValueError):
        parse_yaml(text)


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(ValueError, match="aliases"):
        parse_yaml(bomb)


@pytest.mark.parametrize("text", [ROS, ROS.replace("[1, 0, 0, 0, 1, 0, 0, 0, 1]", "[1 0 0 0 1 0 0 0 1]")])
def test_ros_files_are_read_as_yaml(tmp_path, text):
    (tmp_path / "left.yaml").write_text(text)
    found = read_ros_camera(tmp_path / "left.yaml")
    np.testing.assert_allclose(found.K, K)
    np.testing.assert_allclose(found.distortion, D)
    np.testing.assert_allclose(found.R, np.eye(3))
    (tmp_path / "left.yaml").write_text(text.replace(f"[{rows(D)}]", "[]"))
    assert not read_ros_camera(tmp_path / "left.yaml").distortion.any()
