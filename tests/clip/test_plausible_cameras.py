"""Intrinsics of another picture size or unit are refused or told; those that endoscopes have are not."""

import json

import numpy as np
import pytest
from samples.stereo_scene import BASELINE, HEIGHT, WIDTH, K, write_pair

from endogs.clip import ClipOptions, load_clip
from endogs.clip.cameras.plausible_cameras import camera_notes, check_cameras
from endogs.errors import InputError


def camera(fx, fy, cx, cy):
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


@pytest.mark.parametrize(
    ("size", "K"),
    [
        ((1280, 1024), camera(1030, 1030, 600, 515)),  # a da Vinci's
        ((1280, 1024), camera(1120, 1120, 545, 520)),  # rectified, and another's axes
        ((360, 288), camera(580, 580, 140, 160)),  # a cropped laparoscope's
        ((720, 288), camera(455, 455, 238, 124)),  # half the rows of an interlaced one
        ((1350, 1080), camera(768, 768, 679, 543)),  # a colonoscope's, undistorted
        ((1440, 1080), camera(717, 717, 735, 553)),
        ((720, 576), camera(700, 985, 360, 288)),  # 16:9 in the pixels of television
        ((200, 200), camera(400, 400, 150, 100)),  # a crop beside the middle
        ((640, 480), camera(1900, 1900, 320, 240)),  # a microscope's
    ],
)
def test_cameras_of_endoscopes_have_no_word(size, K):
    check_cameras(K, *size, "f")
    assert camera_notes(K, *size) == []


@pytest.mark.parametrize("scale", [0.5, 0.6667, 0.75, 1.25, 1.5, 1.6])
def test_another_picture_size_is_told(scale):
    (note,) = camera_notes(camera(700 * scale, 700 * scale, 330 * scale, 236 * scale), 640, 480)
    wide = float(note.split("of about ")[1].split()[0])
    assert wide == pytest.approx(640 * scale, rel=0.05)


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (camera(1400, 1400, 660, 475), "outside the picture of 640 x 480, or in its corner.*about 1293 x 970"),
        (camera(1400, 1400, 620, 460), "in its corner"),
        (camera(700, 700, 320, 700), "the middle of pictures of 640 x 1400"),
        (camera(700, 700, 0.5, 0.5), "in its corner"),
        (camera(4.5, 4.5, 320, 240), "focal lengths of 4.5"),
        (camera(700e3, 700e3, 320, 240), "focal lengths of 700000"),
        (camera(9000, 9000, 320, 240), "focal lengths of 9000"),
    ],
)
def test_impossible_cameras_are_refused(K, message):
    with pytest.raises(InputError, match=f"^f: .*{message}"):
        check_cameras(K, 640, 480, "f")


def test_odd_cameras_are_told_with_numbers():
    (note,) = camera_notes(camera(700, 1400, 320, 240), 640, 480)
    assert "fx 700.0 and fy 1400.0 differ 2.00 times" in note
    assert camera_notes(camera(350, 700, 160, 240), 320, 480, may_be_squeezed=True) == []
    assert camera_notes(camera(350, 1050, 160, 240), 320, 480, may_be_squeezed=True) != []
    (note,) = camera_notes(camera(60, 60, 320, 240), 640, 480)
    assert "159 degrees wide" in note
    assert camera_notes(camera(60, 60, 320, 240), 640, 480, may_be_wide=True) == []
    (note,) = camera_notes(camera(4000, 4000, 320, 240), 640, 480)
    assert "9 degrees wide" in note
    (note,) = camera_notes(camera(700, 700, 600, 240), 640, 480)
    assert "far from the middle" in note
    assert "moved by a crop" in note


@pytest.mark.parametrize("pair", [{"baseline_mm": BASELINE}, {"translation_mm": [-BASELINE, 0, 0]}, {}])
def test_a_calibration_for_pictures_of_another_size(tmp_path, pair):
    """Of a pair that is rectified the cameras are looked at before, since zooming may hide what they were."""
    write_pair(tmp_path, **pair)
    file = tmp_path / "calibration.json"
    facts = json.loads(file.read_text())
    assert not [note for note in load_clip(tmp_path, look=False).notes if note.startswith("camera")]
    scaled = {name: 1.5 * facts[name] for name in ("fx", "fy", "cx", "cy")}
    file.write_text(json.dumps({**facts, **scaled}))
    (note,) = [note for note in load_clip(tmp_path, look=False).notes if note.startswith("camera")]
    assert "calibrated for pictures of about 300 x 225" in note
    file.write_text(json.dumps({**facts, **{name: 4 / 3 * value for name, value in scaled.items()}}))
    with pytest.raises(InputError, match=r"calibration\.json: the principal point"):
        load_clip(tmp_path, look=False)


def test_the_right_camera_of_a_pair_is_looked_at_too(tmp_path):
    right = {"fx": 1.5 * K[0, 0], "fy": 1.5 * K[1, 1], "cx": 1.5 * K[0, 2], "cy": 1.5 * K[1, 2]}
    write_pair(tmp_path, translation_mm=[-BASELINE, 0, 0], right=right)
    (note,) = [note for note in load_clip(tmp_path, look=False).notes if note.startswith("camera")]
    assert "the right camera" in note


def test_a_right_camera_of_another_size_is_refused(tmp_path):
    right = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": 2 * WIDTH}
    write_pair(tmp_path, translation_mm=[-BASELINE, 0, 0], right=right)
    with pytest.raises(InputError, match="right: width is 400 but the images have 200"):
        load_clip(tmp_path, look=False)


def test_a_guess_and_a_crop_have_no_word(tmp_path):
    write_pair(tmp_path, baseline_mm=BASELINE)
    assert load_clip(tmp_path / "images", look=False).K_is_guess
    assert not [n for n in load_clip(tmp_path / "images", look=False).notes if n.startswith("camera:")]
    corner = ClipOptions(crop=(WIDTH - 60, HEIGHT - 60, WIDTH, HEIGHT))
    assert not [n for n in load_clip(tmp_path, corner, look=False).notes if n.startswith("camera:")]
    (note,) = [n for n in load_clip(tmp_path / "images", ClipOptions(focal=25)).notes if n.startswith("camera:")]
    assert "152 degrees wide" in note
