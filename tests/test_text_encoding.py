"""Texts of poses, cameras and calibrations are read in the encodings that Windows' and old programs write."""

import codecs
import json

import cv2
import numpy as np
import pytest
from layouts.colmap import write_colmap

from endogs.bounded_files import parse_json, parse_xml
from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError
from endogs.text_encoding import decoded

ENCODINGS = {
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "Latin-1": lambda text: text.encode("latin-1"),
    "DOS": lambda text: text.replace("\n", "\r\n").encode() + b"\x1a",
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "zeros at the end": lambda text: text.encode() + bytes(7),
}
encodings = pytest.mark.parametrize("write", ENCODINGS.values(), ids=ENCODINGS)
CAMERA = {"fx": 171.5, "fy": 183.0, "cx": 100.0, "cy": 72.0}
CALIBRATIONS = {
    "calibration.json": json.dumps({"comment": "é", **CAMERA}, ensure_ascii=False, indent=1) + "\n",
    "opencv.yaml": "%YAML:1.0\n---\n# é\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n"
    "   data: [ 171.5, 0., 99.5, 0., 183., 71.5, 0., 0., 1. ]\n",
    "opencv.xml": '<?xml version="1.0"?>\n<!-- é -->\n<opencv_storage>\n<name>"é"</name>\n'
    '<camera_matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>\n'
    "<data>171.5 0. 99.5 0. 183. 71.5 0. 0. 1.</data></camera_matrix>\n</opencv_storage>\n",
    "cameras.txt": "# é\n1 PINHOLE 200 144 171.5 183 100 72\n",
    "matlab.txt": "FocalLength: [171.5 183]\n% é\nPrincipalPoint: [100.5 72.5]\n",
}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), np.random.default_rng(i).integers(40, 220, (144, 200, 3), np.uint8))
    return folder


@encodings
def test_what_was_written_is_read(write):
    text = "# é\n1 2.5 -3e-4 name.png\n" * 3
    assert decoded(write(text)) == text


@pytest.mark.parametrize("name", CALIBRATIONS)
@encodings
def test_calibrations(frames, tmp_path, write, name):
    file = tmp_path / name
    file.write_bytes(write(CALIBRATIONS[name]))
    clip = load_clip(frames, ClipOptions(calibration=file), look=False)
    np.testing.assert_allclose(clip.K[0], [[171.5, 0, 100], [0, 183, 72], [0, 0, 1]])


@encodings
def test_poses_and_models(tmp_path, write):
    """COLMAP's text, TUM's trajectories and nerfstudio's transforms."""
    poses = write_colmap(tmp_path / "model", binary=False)
    for name in ("cameras.txt", "images.txt"):
        file = tmp_path / "model" / "sparse" / "0" / name
        file.write_bytes(write(f"# é\n{file.read_text()}"))
    np.testing.assert_allclose(load_clip(tmp_path / "model", look=False).world_to_camera, poses, atol=1e-9)
    folder = tmp_path / "model"
    (folder / "sparse" / "0" / "images.txt").unlink()
    (folder / "calibration.json").write_text(CALIBRATIONS["calibration.json"])
    rows = "".join(f"{i} 0.{i} 0 0 0 0 0 1\n" for i in range(5))
    (folder / "poses.tum").write_bytes(write(f"# é\n{rows}"))
    clip = load_clip(folder, look=False)
    np.testing.assert_allclose(clip.world_to_camera[:, 0, 3], [0, -0.1, -0.2, -0.3, -0.4])
    (folder / "calibration.json").unlink()
    frames = [
        {"file_path": f"images/shot_{i + 8}.png", "transform_matrix": np.diag([1, -1, -1, 1]).tolist()}
        for i in range(5)
    ]
    text = json.dumps({"fl_x": 171.5, "w": 200, "h": 144, "note": "é", "frames": frames}, ensure_ascii=False, indent=1)
    (folder / "transforms.json").write_bytes(write(text + "\n"))
    assert load_clip(folder, look=False).kind == "nerfstudio"


def test_names_in_latin_1_find_their_files(tmp_path):
    write_colmap(tmp_path / "model", binary=False)
    file = tmp_path / "model" / "sparse" / "0" / "images.txt"
    (tmp_path / "model" / "images" / "shot_8.png").rename(tmp_path / "model" / "images" / "shot_8é.png")
    file.write_bytes(file.read_text().replace("shot_8.png", "shot_8é.png").encode("latin-1"))
    assert len(load_clip(tmp_path / "model", look=False)) == 5


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("SIMPLE_RADIAL 200 144 171.5 100 72 -0.2", {"distortion": [-0.2, 0, 0, 0]}),
        ("OPENCV_FISHEYE 200 144 171.5 183 100 72 0.1 0.02 0 0", {"model": "fisheye", "distortion": [0.1, 0.02, 0, 0]}),
        (
            "FULL_OPENCV 200 144 1 2 3 4 .1 .2 .3 .4 .5 .6 .7 .8",
            {"distortion": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]},
        ),
    ],
)
def test_colmaps_lenses(tmp_path, row, expected):
    from endogs.clip.cameras.calibration_json import load_calibration

    file = tmp_path / "cameras.txt"
    file.write_text(f"3 {row}\n")
    found = load_calibration(file)
    assert {name: found[name] for name in expected} == expected
    assert (found["width"], found["height"]) == (200, 144)


def test_colmaps_cameras_that_are_no_one_calibration(tmp_path):
    from endogs.clip.cameras.calibration_json import load_calibration

    file = tmp_path / "cameras.txt"
    file.write_text("1 PINHOLE 200 144 171 183 100 72\n2 PINHOLE 200 144 99 99 100 72\n")
    with pytest.raises(InputError, match="holds 2 cameras"):
        load_calibration(file)
    file.write_text("1 FOV 200 144 171 183 100 72 0.9\n")
    with pytest.raises(InputError, match="camera model FOV is not one of"):
        load_calibration(file)
    file.write_text("171 0 100\n0 183 72\n0 0 1\n")
    with pytest.raises(InputError, match="write fx, fy, cx, cy"):
        load_calibration(file)


def test_encodings_hide_nothing_from_the_checks():
    """Entities are refused in UTF-16 too, and what is no text is no JSON."""
    evil = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'
    with pytest.raises(ValueError, match="document type"):
        parse_xml(evil.encode("utf-16"))
    assert parse_xml('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16")).text == "é"
    with pytest.raises(ValueError, match="zero"):
        parse_xml("<a/>".encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"."):
        parse_json(bytes(range(256)))
