"""What is wrong with a data set's folder is said in one sentence that names the file."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from layouts.c3vd import write_c3vd
from layouts.hamlyn import write_hamlyn
from layouts.scared import write_scared, write_scared_video
from layouts.stereomis import write_stereomis, write_stereomis_frames
from layouts.tum_rgbd import write_tum

from endogs.clip import load_clip
from endogs.clip.files.number_files import read_matrix, read_table
from endogs.clip.load import LAYOUTS
from endogs.errors import InputError


def damage(file: Path) -> None:
    """Cut a file's second half off."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def scribble(file: Path, before: str, after: str) -> None:
    """Replace a piece of a text file, which must be there."""
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def recalibrate(file: Path, **entries: list) -> None:
    """Change entries of SCARED's camera-calibration."""
    found = json.loads(file.read_text())
    found["camera-calibration"] |= entries
    file.write_text(json.dumps(found))


def resize(file: Path) -> None:
    """Give an image another size."""
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(file), image[:-2, :-4])


def _data(root: Path, *names: str) -> Path:
    return root.joinpath("data", *names)


BAD = {
    "scared truncated tiff": (
        write_scared,
        lambda root: damage(_data(root, "disparity", "frame_data000000.tiff")),
        r"frame_data000000\.tiff: not a readable image",
    ),
    "scared missing json": (
        write_scared,
        lambda root: _data(root, "frame_data", "frame_data000002.json").unlink(),
        r"frame_data: 3 files for 4 images; nothing belongs to frame_data000002\.png",
    ),
    "scared cut json": (
        write_scared,
        lambda root: damage(_data(root, "frame_data", "frame_data000001.json")),
        r"frame_data000001\.json: not readable as JSON",
    ),
    "scared no pose": (
        write_scared,
        lambda root: scribble(_data(root, "frame_data", "frame_data000001.json"), "camera-pose", "camera-place"),
        r"frame_data000001\.json: camera-pose must hold 4 x 4 finite numbers",
    ),
    "scared no calibration": (
        write_scared,
        lambda root: scribble(_data(root, "frame_data", "frame_data000001.json"), "camera-calibration", "camera"),
        r"frame_data000001\.json: has no camera-calibration",
    ),
    "scared short distortion": (
        write_scared,
        lambda root: recalibrate(_data(root, "frame_data", "frame_data000000.json"), DR=[0.1, 0.2, 0.3]),
        r"frame_data000000\.json: the right camera's distortion must hold 4, 5, 8, 12 or 14 numbers",
    ),
    "scared one place": (
        write_scared,
        lambda root: recalibrate(_data(root, "frame_data", "frame_data000000.json"), T=[0, 0, 0]),
        r"frame_data000000\.json: the translation puts both cameras at the same place",
    ),
    "scared no camera": (
        write_scared,
        lambda root: recalibrate(_data(root, "frame_data", "frame_data000000.json"), KL=np.zeros((3, 3)).tolist()),
        r"frame_data000000\.json: focal lengths of the left camera must be positive",
    ),
    "scared bad reprojection": (
        write_scared,
        lambda root: _data(root, "reprojection_data", "frame_data000003.json").write_text(
            json.dumps({"reprojection-matrix": np.eye(4).tolist()})
        ),
        r"frame_data000003\.json: reprojection-matrix has focal length 0",
    ),
    "scared absurd reprojection": (
        write_scared,
        lambda root: _data(root, "reprojection_data", "frame_data000003.json").write_text(
            json.dumps({"reprojection-matrix": [[1, 0, 0, -9], [0, 1, 0, -9], [0, 0, 0, 1e18], [0, 0, 1e-300, 0]]})
        ),
        r"frame_data000003\.json: .* must both be positive and of usual size",
    ),
    "scared mixed sizes": (
        write_scared,
        lambda root: resize(_data(root, "left_finalpass", "frame_data000002.png")),
        r"frame_data000002\.png: this image is 76 x 46 but .* is 80 x 48",
    ),
    "scared other disparity": (
        write_scared,
        lambda root: cv2.imwrite(str(_data(root, "disparity", "frame_data000000.tiff")), np.ones((4, 5), np.float32)),
        r"frame_data000000\.tiff: depth is 5 x 4 but its image is 80 x 48",
    ),
    "scared video scene points": (
        write_scared_video,
        lambda root: _data(root, "scene_points", "scene_points000001.tiff").unlink(),
        r"scene_points: 3 files for 4 in frame_data/",
    ),
    "scared video other points": (
        write_scared_video,
        lambda root: cv2.imwrite(
            str(_data(root, "scene_points", "scene_points000000.tiff")), np.ones((4, 5), np.float32)
        ),
        r"scene_points000000\.tiff: holds float32 of shape \(4, 5\), not points of shape \(96, 80, 3\)",
    ),
    "scared video cut": (
        write_scared_video,
        lambda root: _data(root, "rgb.mp4").write_bytes(b"no video"),
        r"rgb\.mp4: not a video that can be decoded",
    ),
    "stereomis calibration of another size": (
        write_stereomis,
        lambda root: scribble(root / "StereoCalibration.ini", "res_x = 80", "res_x = 1280"),
        r"StereoCalibration\.ini: \[StereoLeft\] is for views of 1280 x 48 but the video's are 80 x 48",
    ),
    "stereomis missing number": (
        write_stereomis,
        lambda root: scribble(root / "StereoCalibration.ini", "fc_y", "focal"),
        r"StereoCalibration\.ini: \[StereoLeft\] has no number under fc_y",
    ),
    "stereomis no sections": (
        write_stereomis,
        lambda root: (root / "StereoCalibration.ini").write_text("nonsense"),
        r"StereoCalibration\.ini: not readable as an INI file",
    ),
    "stereomis poses": (
        write_stereomis,
        lambda root: scribble(root / "groundtruth.txt", "\n3 ", "\n3 nan "),
        r"groundtruth\.txt: line 4 does not hold 8 finite numbers",
    ),
    "stereomis frames poses": (
        write_stereomis_frames,
        lambda root: np.save(root / "poses_bounds.npy", np.load(root / "poses_bounds.npy")[:3]),
        r"poses_bounds\.npy: 3 poses for 4 images",
    ),
    "hamlyn intrinsics": (
        write_hamlyn,
        lambda root: (root / "intrinsics.txt").write_text("1 2 3"),
        r"intrinsics\.txt: does not hold 3 x 3 or 3 x 4 or 4 x 4 finite numbers",
    ),
    "hamlyn calibration of another size": (
        write_hamlyn,
        lambda root: np.savetxt(root / "intrinsics.txt", np.diag([700.0, 700, 1]) + np.eye(3, k=2) * 360),
        r"intrinsics\.txt: .* are no focal lengths and principal point of images of 80 x 48",
    ),
    "hamlyn count": (
        write_hamlyn,
        lambda root: (root / "depth01" / "0000000002.png").unlink(),
        r"depth01: 3 files for 4 images",
    ),
    "tum missing file": (
        write_tum,
        lambda root: sorted((root / "depth").iterdir())[1].unlink(),
        r"depth\.txt: depth/\S+\.png is not there \(1 of 4 files are missing\)",
    ),
    "tum missing absolute file": (
        write_tum,
        lambda root: scribble(root / "rgb.txt", " rgb/", " /absent/"),
        r"rgb\.txt: /absent/\S+\.png is not there \(1 of 5 files are missing\)",
    ),
    "tum clocks": (
        write_tum,
        lambda root: (root / "groundtruth.txt").write_text("3.5 0 0 0 0 0 0 1\n"),
        r"rgb\.txt: no image has depth and a pose within 20 ms",
    ),
    "tum camera": (
        write_tum,
        lambda root: (root / "calibration.json").unlink(),
        r"its name holds none of freiburg1, freiburg2, freiburg3, so its camera is unknown",
    ),
    "tum line": (
        write_tum,
        lambda root: scribble(root / "rgb.txt", "rgb/", "at rgb/"),
        r"rgb\.txt: line 2 is not a time and a file",
    ),
    "c3vd count": (
        write_c3vd,
        lambda root: (
            [(root / f"{i}_color.png").rename(root / f"{i + 70}_color.png") for i in range(1, 4)]
            + [(root / "0_color.png").unlink()]
        ),
        r"4 poses for 3 images, and neither their times nor the images' numbers tell",
    ),
    "c3vd poses": (
        write_c3vd,
        lambda root: (root / "pose.txt").write_text((root / "pose.txt").read_text().split("\n")[0]),
        r"pose\.txt: 1 poses for 4 images",
    ),
    "c3vd rotation": (
        write_c3vd,
        lambda root: (root / "pose.txt").write_text("\n".join([",".join(["2"] * 15 + ["1"])] * 4)),
        r"pose\.txt: pose 0 is no rigid motion",
    ),
    "c3vd size": (
        write_c3vd,
        lambda root: (root / "camera_intrinsics.txt").unlink(),
        r"images are 80 x 48 but the published calibration of CF-HQ190L is for 1350 x 1080",
    ),
    "c3vd intrinsics": (
        write_c3vd,
        lambda root: scribble(root / "camera_intrinsics.txt", "a3 = ", "A3 = "),
        r"camera_intrinsics\.txt: has no number for a3",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_sentence_that_names_the_file(tmp_path, name, capfd):
    write, spoil, said = BAD[name]
    root = write(tmp_path / "clip")
    spoil(root)
    with pytest.raises(InputError, match=said) as caught:
        load_clip(root)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert capfd.readouterr() == ("", "")  # no library adds anything


def test_tables_and_matrices_of_numbers(tmp_path):
    file = tmp_path / "numbers.txt"
    file.write_text("# header\n1, 2\t3 # remark\n\n 4 5 6\n")
    np.testing.assert_array_equal(read_table(file, 3), [[1, 2, 3], [4, 5, 6]])
    file.write_text("[[1, 2],\n [3, 4]]")
    np.testing.assert_array_equal(read_matrix(file, ((2, 2),)), [[1, 2], [3, 4]])
    file.write_text("# nothing\n")
    with pytest.raises(InputError, match="holds no numbers"):
        read_table(file, 3)


def test_a_folder_of_data_sets_is_told_layout_by_layout_what_is_missing(tmp_path):
    write_scared(tmp_path / "sets" / "keyframe_1", 1)
    with pytest.raises(InputError) as caught:
        load_clip(tmp_path / "sets")
    first, *tried = str(caught.value).splitlines()
    assert first.startswith(
        f"{tmp_path / 'sets'}: no known layout, perhaps you mean {tmp_path / 'sets' / 'keyframe_1'} (scared);"
    )
    reasons = dict(line.strip(" ;.").split(": ", 1) for line in tried)
    assert {name for names in reasons for name in names.split(", ")} == {layout.KIND for layout in LAYOUTS}
    assert reasons["scared"] == "no images in data/left_finalpass/"
    assert reasons["stereomis"] == "no StereoCalibration.ini"


def test_a_data_set_half_unpacked_is_told_what_to_unpack(tmp_path):
    root = write_scared_video(tmp_path / "keyframe_1", 1)
    (root / "data" / "frame_data" / "frame_data000000.json").unlink()
    (root / "data" / "frame_data.tar.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"scared-video: data/frame_data\.tar\.gz must be unpacked"):
        load_clip(root)
