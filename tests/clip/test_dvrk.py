import json

import numpy as np
import pytest
from layouts import corner
from layouts.dvrk import FRAMES, START, STRIP, poses, write_dvrk
from layouts.stereo_video import BASELINE, UNRECTIFIED
from scipy.spatial.transform import Rotation

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError


def write_facts(root, **facts):
    (root / "calibration.json").write_text(json.dumps(facts))


def worst_view(clip):
    """Largest mean difference of any view from the corner as the clip's cameras see it; the world is the corner's."""
    worst = 0.0
    for i in range(len(clip)):
        for camera, image in ((clip.camera(i), clip.image(i)), (clip.right_camera(i), clip.right_image(i))):
            pose, K = (value.numpy().astype(float) for value in (camera.world_to_camera, camera.K))
            truth = corner.see(pose, corner.pixel_rays(K)).image
            worst = max(worst, np.abs(image.astype(float) - truth)[8:-8, 8:-8].mean())
    return worst


@pytest.mark.parametrize(("stamp", "kind"), [("header", "transform"), ("header", "pose"), ("time", "merged")])
def test_views_and_poses_agree(tmp_path, stamp, kind):
    write_dvrk(tmp_path / "C_3", stamp=stamp, kind=kind)
    write_facts(tmp_path / "C_3", first_frame_time=START)
    clip = load_clip(tmp_path / "C_3")
    assert (clip.kind, len(clip), clip.units, clip.height) == ("dvrk", FRAMES, "mm", corner.HEIGHT)
    assert clip.baseline == pytest.approx(np.linalg.norm(UNRECTIFIED["translation_mm"]), rel=1e-3)
    assert worst_view(clip) < 5
    assert clip.pose_check.error < 0.7
    assert not any("fit" in note for note in clip.notes)
    assert any(f"{STRIP} rows below" in note for note in clip.notes)
    # The judgement sees a clock that is off by one frame.
    clip.world_to_camera = clip.world_to_camera[[*range(1, FRAMES), FRAMES - 1]]
    assert worst_view(clip) > 8


def test_without_the_clocks_the_first_frame_takes_the_first_pose(tmp_path):
    write_dvrk(tmp_path / "C_3")
    clip = load_clip(tmp_path / "C_3")
    assert any(f"first pose ({START - 0.1:.3f} s)" in note for note in clip.notes)
    # The arm stands for 0.1 s, two and a half frames, before it moves.
    np.testing.assert_allclose(clip.world_to_camera[:3], clip.world_to_camera[:1].repeat(3, 0), atol=1e-6)


def test_the_camera_is_where_the_hand_eye_calibration_says(tmp_path):
    hand = np.eye(4)
    hand[:3, :3] = Rotation.from_euler("xyz", [25, -12, 40], degrees=True).as_matrix()
    hand[:3, 3] = [4, -7, 11]
    write_dvrk(tmp_path / "C_3", camera_in_ecm=hand)
    write_facts(tmp_path / "C_3", first_frame_time=START, camera_in_ecm=hand.tolist())
    assert worst_view(load_clip(tmp_path / "C_3")) < 5
    write_facts(tmp_path / "C_3", first_frame_time=START)
    clip = load_clip(tmp_path / "C_3")
    assert clip.pose_check.error > 2
    assert any("the poses do not fit the images" in note for note in clip.notes)


def test_a_calibration_json_does_instead_of_ros(tmp_path):
    write_dvrk(tmp_path / "C_3")
    for name in ("left.yaml", "right.yaml"):
        (tmp_path / "C_3" / name).unlink()
    K = corner.K
    camera = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "height": corner.HEIGHT}
    write_facts(tmp_path / "C_3", first_frame_time=START, **camera, **UNRECTIFIED)
    clip = load_clip(tmp_path / "C_3", ClipOptions(start=0.05))
    assert len(clip) == FRAMES - 2
    assert clip.baseline == pytest.approx(BASELINE, abs=0.02)
    assert worst_view(clip) < 5


def test_a_given_focal_length_goes_before_that_of_ros(tmp_path):
    write_dvrk(tmp_path / "C_3")
    own, given = load_clip(tmp_path / "C_3").K[0], load_clip(tmp_path / "C_3", ClipOptions(focal=120)).K[0]
    assert given[0, 0] == 120
    assert given[1, 1] / own[1, 1] == pytest.approx(120 / own[0, 0])
    np.testing.assert_allclose(given[:, 2], own[:, 2])


def edit(name, old, new):
    def change(root):
        file = root / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return change


TABLE = "dvrk_kinematics/ECM-custom-setpoint_cp.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "left.yaml").unlink(), "no left.yaml and right.yaml, nor fx in calibration.json"),
        (edit("left.yaml", "image_height: 144", "image_height: 150"), "another image size than the left camera's"),
        (edit("left.yaml", "data: [", "data: [-"), "focal lengths in camera_matrix and projection_matrix must be pos"),
        (edit("right.yaml", "image_width: 200", "image_wide: 200"), "says no image_width and image_height"),
        (edit("left.yaml", "plumb_bob", "equidistant"), "distortion_model equidistant is not plumb_bob"),
        (edit("left.yaml", "projection_matrix", "projection"), "projection_matrix must hold 12 numbers"),
        (edit(TABLE, "transform.rotation.w", "w"), r"has no column transform\.rotation\.w"),
        (edit(TABLE, "transform.translation.x", "x"), r"neither transform\.translation\.x nor pose\.position\.x"),
        (lambda root: write_facts(root, first_frame_time=START + 60), "correct first_frame_time in calibration.json"),
        (lambda root: write_facts(root, first_frame_time="noon"), "first_frame_time is 'noon'"),
        (lambda root: write_facts(root, camera_in_ecm=[1, 2]), "camera_in_ecm must hold 4 x 4 numbers"),
        (lambda root: write_facts(root, camera_in_ecm=np.ones((4, 4)).tolist()), "camera_in_ecm 0 is no rigid motion"),
        (lambda root: write_facts(root, camera_in_ecm=np.diag([1000, 1, 1, 1]).tolist()), "is no rigid motion"),
        (lambda root: (root / "right" / "right.mp4").unlink(), "no pair of videos called left and right"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, change, message):
    root = write_dvrk(tmp_path / "C_3")
    change(root)
    with pytest.raises(InputError, match=message) as error:
        load_clip(root)
    assert "\n" not in str(error.value).split("tried and rejected:")[0]
    assert len(poses()) == FRAMES
