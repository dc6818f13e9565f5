import numpy as np
import pytest
from layouts import corner
from layouts.endomapper import PARAMETERS, write_calibration, write_frames, write_sequence
from layouts.reprojection import image_error

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def test_frames_beside_their_calibration_become_a_pinhole_view(tmp_path):
    write_frames(tmp_path / "s")
    clip = load_clip(tmp_path / "s")
    assert (clip.kind, len(clip), clip.static_camera, clip.K_is_guess) == ("endomapper", 3, True, False)
    fx, fy, cx, cy = PARAMETERS[:4]
    np.testing.assert_allclose(clip.K[0], [[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]], atol=1e-4)
    poses = corner.world_to_camera(3)
    assert max(image_error(clip, poses, i) for i in range(3)) < 2.5
    shifted = clip.K.copy()
    clip.K = shifted - np.array([[0, 0, 2], [0, 0, 0], [0, 0, 0]])
    assert image_error(clip, poses, 1) > 5, "the comparison sees two pixels"
    assert not any("camera is unknown" in note for note in clip.notes)


def test_a_published_sequence_finds_its_endoscope(tmp_path):
    folder = write_sequence(tmp_path)
    clip = load_clip(folder, ClipOptions(undistorted_degrees=70))
    assert (clip.kind, len(clip)) == ("endomapper", 3)
    np.testing.assert_allclose(clip.times, [0, 0.04, 0.08])
    assert clip.K[0, 0, 0] == pytest.approx(100 / np.tan(np.radians(35)))
    assert image_error(clip, corner.world_to_camera(3), 1) < 8, "H.264 and all"
    assert not clip._recording.framed


def test_a_polynomial_calibration_is_read_too(tmp_path):
    write_frames(tmp_path / "s")
    write_calibration(tmp_path / "s" / "Endoscope_01_geometrical.xml", "calibu_fu_fv_u0_v0_k1_k2", PARAMETERS[:6])
    assert load_clip(tmp_path / "s").K[0, 0, 0] == pytest.approx(PARAMETERS[0], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<rig><cam", "not readable as XML"),
        ("<rig></rig>", "holds no camera_model"),
        ('<rig><camera_model type="fov"/></rig>', "camera model 'fov' is not one of"),
        ('<rig><camera_model type="calibu_fu_fv_u0_v0_kb4"><params>[1;2]</params></camera_model></rig>', "no number"),
        (
            '<rig><camera_model type="calibu_fu_fv_u0_v0_kb4"><width>9</width><height>9</height><params>[1;2]</params>'
            "</camera_model></rig>",
            "needs 8 parameters",
        ),
        (
            '<rig><camera_model type="calibu_fu_fv_u0_v0"><width>9</width><height>9</height><params>[1;2;3;4]</params>'
            "</camera_model></rig>",
            "the calibration is for 9 x 9: give the original frames",
        ),
    ],
)
def test_bad_calibrations_are_told_in_one_sentence(tmp_path, text, message):
    write_frames(tmp_path / "s")
    (tmp_path / "s" / "Endoscope_01_geometrical.xml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_clip(tmp_path / "s")
    assert "\n" not in str(error.value).split("tried and rejected:")[0]


def test_missing_calibrations_and_doubled_videos(tmp_path):
    with pytest.raises(InputError, match="names no endoscope"):
        load_clip(write_sequence(tmp_path / "a", endoscope="N/A"))
    with pytest.raises(InputError, match=r"Endoscope_04_geometrical\.xml is missing"):
        load_clip(write_sequence(tmp_path / "b", endoscope=4))
    folder = write_sequence(tmp_path / "c")
    (folder / "copy.mov").touch()
    with pytest.raises(InputError, match="2 videos"):
        load_clip(folder)
