"""What refusals and notes about cameras and poses advise is done, and gives the camera that took the pictures."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advised import names, option_in, options_in, read, said, sentence, the_one
from clip.drawn_frames import HEIGHT, WIDTH, series, tissue
from layouts import corner
from layouts.c3vd import write_c3vd
from layouts.dvrk import write_dvrk
from layouts.endomapper import write_sequence
from layouts.nerfstudio import write_nerfstudio
from layouts.stereo_video import views as stereo_views
from layouts.stereo_video import write_calibration, write_packed, write_video
from layouts.stereomis import write_stereomis
from layouts.tum_rgbd import write_tum
from samples.clip_samples import write_calibrated, write_endonerf

Change = Callable[[dict[str, Any]], None]
CAMERA = {"fx": 60.0, "fy": 61.0, "cx": 24.5, "cy": 19.5}


def edit(file: Path, *changes: Change) -> None:
    facts = json.loads(file.read_text())
    for change in changes:
        change(facts)
    file.write_text(json.dumps(facts))


def setting(**values: Any) -> Change:
    return lambda facts: facts.update(values)


def without(*gone: str) -> Change:
    return lambda facts: [facts.pop(name) for name in gone] and None


def frame(number: int, change: Change) -> Change:
    return lambda facts: change(facts["frames"][number])


def transposed(entry: dict[str, Any]) -> None:
    entry["transform_matrix"] = np.transpose(entry["transform_matrix"]).tolist()


NERFSTUDIO = {
    "no focal length": (without("fl_x", "fl_y"), "add one", setting(fl_x=corner.K[0, 0], fl_y=corner.K[1, 1])),
    "no path": (
        frame(4, without("file_path")),
        "has no file_path",
        frame(4, setting(file_path="images/frame_8.png")),
    ),
    "transposed": (frame(1, transposed), "is it transposed", frame(1, transposed)),
    "a fourth coefficient": (setting(k4=0.001), "is camera_model OPENCV_FISHEYE?", setting(k4=0)),
    "another size": (setting(w=999), "correct them", setting(w=corner.WIDTH)),
    "another lens": (setting(camera_model="EQUIRECTANGULAR"), "is not one of", setting(camera_model="PINHOLE")),
    "a scale of 0": (setting(applied_scale=0), "applied_scale is 0 but must be positive", setting(applied_scale=1)),
    "a word": (setting(cx="middle"), "cx is 'middle' but must be a number", setting(cx=corner.K[0, 2])),
    "masks of some": (frame(0, setting(mask_path="images/frame_8.png")), "all or none", frame(0, without("mask_path"))),
}


@pytest.mark.parametrize("name", NERFSTUDIO)
def test_a_corrected_transforms_file_gives_the_poses(name, tmp_path):
    """Each entry is made wrong, named in the refusal, and corrected."""
    wrong, about, right = NERFSTUDIO[name]
    poses = write_nerfstudio(tmp_path)
    edit(tmp_path / "transforms.json", wrong)
    told = sentence(tmp_path, about)
    assert "transforms.json" in told
    edit(tmp_path / "transforms.json", right)
    clip = read(tmp_path)
    assert clip.contradictions == []
    found = clip.world_to_camera[1] @ np.linalg.inv(clip.world_to_camera[0])
    found[:3, 3] *= 1000  # metres, as nothing says what a length is
    np.testing.assert_allclose(found, poses[1] @ np.linalg.inv(poses[0]), atol=1e-4)


def test_the_lens_that_is_asked_about_is_the_lens(tmp_path):
    write_nerfstudio(tmp_path, "OPENCV_FISHEYE")
    edit(tmp_path / "transforms.json", setting(camera_model="OPENCV", k4=0.003))
    asked = re.search(r"is camera_model (\w+)\?", said(tmp_path)[0])
    assert asked
    edit(tmp_path / "transforms.json", setting(camera_model=asked[1], k4=0))
    clip = read(tmp_path)
    assert clip.contradictions == []
    assert clip.pose_check is not None
    assert clip.pose_check.error <= clip.pose_check.bound


@pytest.mark.parametrize("advice", ["does it", "keeps them as they are"])
def test_the_pose_convention_that_is_named_fits(advice, tmp_path):
    write_nerfstudio(tmp_path, depth=True)
    edit(
        tmp_path / "transforms.json",
        lambda facts: [frame.update(transform_matrix=np.linalg.inv(frame["transform_matrix"]).tolist())
                       for frame in facts["frames"]] and None,
    )  # fmt: skip
    told = the_one(read(tmp_path).contradictions, "do not fit the images")
    which = 0 if advice == "does it" else -1
    named = [words for words in options_in(told) if words[0] == "--pose-convention"][which]
    assert f"{' '.join(named)} {advice}" in told
    clip = read(tmp_path, *named)
    assert clip.contradictions == []
    if advice == "does it":
        assert not [text for text in clip.notes if "do not fit" in text]
        assert clip.pose_check is not None
        assert clip.pose_check.error <= clip.pose_check.bound


@pytest.mark.parametrize(("unit", "option"), [(0.01, "--pose-unit-mm"), (1.0, None)])
def test_the_unit_that_is_named_brings_lengths_together(unit, option, tmp_path):
    write_nerfstudio(tmp_path, depth=True)
    edit(
        tmp_path / "transforms.json",
        lambda facts: [one["transform_matrix"][row].__setitem__(3, one["transform_matrix"][row][3] * unit)
                       for one in facts["frames"] for row in range(3)] and None,
    )  # fmt: skip
    clip = read(tmp_path)
    if option is None:
        assert clip.contradictions == []
        return
    for which in (0, -1):  # the remedy, and what keeps things as they are
        told = the_one(clip.contradictions, "disagree about lengths")
        named = [words for words in options_in(told) if len(words) > 1][which]
        assert read(tmp_path, *named).contradictions == []
    fitting = read(tmp_path, *option_in(told, option))
    assert not [text for text in fitting.notes if "disagree" in text]


def test_a_convention_for_quaternions_is_left_out_for_matrices(tmp_path):
    write_nerfstudio(tmp_path)
    told = sentence(tmp_path, "leave out -wxyz", "--pose-convention", "camera-to-world-opengl-wxyz")
    named = option_in(told, "--pose-convention")
    assert len(read(tmp_path, named[0], named[1].removesuffix("-wxyz"))) == 5


def test_poses_that_are_no_rotations_are_corrected(tmp_path):
    write_endonerf(tmp_path, 3)
    rows = np.load(tmp_path / "poses_bounds.npy")
    good = rows.copy()
    rows[1, 0] = 3
    np.save(tmp_path / "poses_bounds.npy", rows)
    told = sentence(tmp_path, "row 1 holds no rotation")
    assert options_in(told) == [], "no convention makes a rotation of it"
    np.save(tmp_path / "poses_bounds.npy", good)
    assert len(read(tmp_path)) == 3


def undistorted_c3vd(path: Path) -> None:
    """As EndoGSLAM's copies: color/ and depth/ of undistorted frames."""
    write_c3vd(path)
    for kind, files in {"color": path.glob("*color.png"), "depth": path.glob("*depth.tiff")}.items():
        (path / kind).mkdir()
        for file in sorted(files):
            file.rename(path / kind / file.name)


@pytest.mark.parametrize("write", [lambda path: write_tum(path, camera=None), undistorted_c3vd], ids=["tum", "c3vd"])
def test_a_camera_that_the_folder_does_not_say_is_written_into_the_file(write, tmp_path):
    path = tmp_path / "sequence"
    write(path)
    told = the_one(said(path), "write")
    wanted = re.search(r"write (?:their )?(fx, fy, cx, cy)(?: of these)? into (\S+?)(?:\.$| \()", told)
    assert wanted, told
    numbers = dict(zip(wanted[1].split(", "), (80.0, 81.0, 40.0, 30.0), strict=True))
    Path(wanted[2]).write_text(json.dumps(numbers))
    clip = read(path)
    assert [clip.original_K[0, 0, 0], clip.original_K[0, 1, 1]] == [80, 81]


def test_the_calibration_of_an_endoscope_is_put_where_it_is_asked_for(tmp_path):
    sequence = write_sequence(tmp_path, "N/A")
    told = said(sequence)[0]
    wanted = re.search(r"put an (\w+)_NN_geometrical\.xml beside it", told)
    assert wanted, told
    calibration = next(tmp_path.rglob("*geometrical.xml"))
    shutil.copy(calibration, sequence / f"{wanted[1]}_03_geometrical.xml")
    assert not read(sequence).K_is_guess


def test_a_recording_without_its_calibration_gets_one(tmp_path):
    write_dvrk(tmp_path)
    for file in (tmp_path / "left.yaml", tmp_path / "right.yaml", tmp_path / "calibration.json"):
        file.unlink(missing_ok=True)
    told = the_one(said(tmp_path), "add the calibration")
    wanted = re.search(r"nor (\w+) in (\S+):", told)
    assert wanted
    K = corner.K
    facts = {wanted[1]: K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "baseline_mm": 5.0}
    (tmp_path / wanted[2]).write_text(json.dumps(facts))
    assert read(tmp_path).K[0, 0, 0] == pytest.approx(K[0, 0])


@pytest.mark.parametrize("packed", [True, False])
def test_a_right_view_gets_the_calibration_that_is_asked_for(packed, tmp_path):
    words: tuple[str, ...] = ("--stereo", "side-by-side") if packed else ()
    path = tmp_path / "pair"
    path.mkdir()
    if packed:
        path = write_packed(path / "packed.mp4", "side-by-side")
    else:
        for side, images in zip(("left", "right"), stereo_views(), strict=True):
            write_video(path / f"{side}.mp4", images)
    told = sentence(path, "the right view of 3 frames is not used", *words)
    calibration = write_calibration(tmp_path / "camera.json")
    clip = read(path, *words, names(told, "--calibration"), str(calibration))
    assert clip.has_right
    assert not [text for text in clip.notes if "not used" in text]


def test_right_images_get_the_calibration_that_is_asked_for(tmp_path):
    write_calibrated(tmp_path, depth_unit_mm=None)
    shutil.rmtree(tmp_path / "depth")
    (tmp_path / "calibration.json").rename(tmp_path.parent / "camera.json")
    told = sentence(tmp_path, "right views are not used")
    clip = read(tmp_path, names(told, "--calibration"), str(tmp_path.parent / "camera.json"))
    assert clip.has_right
    assert clip.baseline == 4.5


def test_a_pair_called_rectified_with_a_distortion(tmp_path):
    bent = {**CAMERA, "baseline_mm": 5.0, "distortion": [-0.1, 0, 0, 0]}
    series(tmp_path / "images", "{}.png", [tissue(i) for i in range(3)])
    series(tmp_path / "images_right", "{}.png", [tissue(i + 1) for i in range(3)])
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps(bent))
    told = sentence(tmp_path, "in its place, or remove the distortion")
    instead = re.search(r"give (\w+) in its place", told)
    assert instead
    edit(file, without("baseline_mm"), setting(**{instead[1]: [-5.0, 0, 0]}))
    assert read(tmp_path).baseline == pytest.approx(5)
    edit(file, setting(**{instead[1]: [5.0, 0, 0]}))
    assert "correct the sign" in said(tmp_path)[0]
    edit(file, setting(**{instead[1]: [0, -5.0, 0]}))
    assert "only side by side is supported" in said(tmp_path)[0]
    file.write_text(json.dumps(bent))
    edit(file, without("distortion"))
    assert read(tmp_path).baseline == 5


CALIBRATIONS = {
    "signs": ({"model": "scaramuzza", "polynomial": [-50, 0.0, 0.002]}, {"polynomial": [50, 0.0, -0.002]}),
    "model": ({"model": "omni"}, {"model": "fisheye", "distortion": [0, 0, 0, 0]}),
    "distortion": ({"distortion": [0.1, 0.2]}, {"distortion": [0.1, 0, 0, 0]}),
    "fisheye": ({"model": "fisheye", "distortion": [0.1]}, {"distortion": [0.1, 0, 0, 0]}),
    "focal": ({"fx": -3}, {"fx": 60.0}),
    "size": ({"width": 77}, {"width": WIDTH}),
}


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_a_corrected_calibration_is_read(name, tmp_path):
    wrong, right = CALIBRATIONS[name]
    folder = series(tmp_path / "frames", "{}.png", [tissue(i) for i in range(3)])
    file = tmp_path / "camera.json"
    file.write_text(json.dumps({**CAMERA, **wrong}))
    told = said(folder, "--calibration", str(file))
    assert len(told) == 1, told
    assert next(iter(right)) in told[0] or "signs" in told[0]
    file.write_text(json.dumps({**CAMERA, **wrong, **right}))
    clip = read(folder, "--calibration", str(file))
    assert not clip.K_is_guess
    assert (clip.width, clip.height) == (WIDTH, HEIGHT)


def test_a_calibration_of_no_known_form_is_told_which_are_read(tmp_path):
    """The form that is named first, with the entries that it is said to have, is read."""
    folder = series(tmp_path / "frames", "{}.png", [tissue(i) for i in range(3)])
    file = tmp_path / "camera.json"
    for text in ('{"lens": "round"}', "[1, 2", "- a\n- b\n"):
        file.write_text(text)
        told = sentence(folder, "fx, fy, cx, cy", "--calibration", str(file))
        wanted = re.search(r"fx, fy, cx, cy", told)
        assert wanted
        file.write_text(json.dumps(dict(zip(wanted[0].split(", "), CAMERA.values(), strict=True))))
        assert read(folder, "--calibration", str(file)).K[0, 0, 0] == CAMERA["fx"]


def test_poses_of_other_frames_are_left_for_those_that_have_some(tmp_path):
    tmp_path = tmp_path / "sequence"
    write_stereomis(tmp_path)
    rows = (tmp_path / "groundtruth.txt").read_text().splitlines()
    (tmp_path / "groundtruth.txt").write_text("\n".join(rows[:2]) + "\n")
    told = sentence(tmp_path, "choose others with --start and --end, in seconds", "--start", "0.15")
    numbers = re.search(r"poses are of frames (\d+) to (\d+)", told)
    assert numbers
    assert len(read(tmp_path)) == 2
