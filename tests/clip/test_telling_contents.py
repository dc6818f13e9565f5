"""Files beside the frames whose names tell nothing: what is in them tells of cameras, poses or times, and is said."""

import numpy as np
import pytest
from drawn_frames import series, tissue

from endogs.clip import load_clip
from endogs.clip.files.telling_contents import held

POSE = "1 0 0 2 0 1 0 3 0 0 1 4"
TOLD = {
    "00.txt": (f"{POSE}\n{POSE}\n", "poses"),
    "run.csv": ("0;1;2;3;0;0;0;1\n1;1;2;3;0;0;0;1\n", "poses"),
    "em.csv": ("t, x, y, z, roll, pitch, yaw\n0,1,2,3,0,0,0\n", "poses"),
    "one.txt": ("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "poses"),
    "abc.json": ('{"frames": [{"transform_matrix": []}]}', "poses"),
    "a.xml": ("<root><camera_matrix><data>1</data></camera_matrix></root>", "a calibration"),
    "b.yml": ("%YAML:1.0\nK1: !!opencv-matrix\n", "a calibration"),
    "c.txt": ("[[150. 0. 80.]\n [0. 150. 64.]\n [0. 0. 1.]]\n", "a calibration"),
    "info.json": ('{"fps": 15}', "times"),
    "seconds.txt": ("0\n.033\n.066\n2.5\n", "times"),
    "list.csv": ("frame,time_s\n0,0\n1,0.1\n2,0.5\n", "times"),
    "1.json": ('{"version": "5.0", "imagePath": "1.png"}', "masks"),
    "notes.txt": ("Patient 3, the 2nd run\n", None),
    "scores.csv": ("frame,score\n0,1\n1,3\n2,2\n", None),
    "box.txt": ("0 0.5 0.5 0.1 0.2\n0 0.4 0.5 0.1 0.2\n", None),
    "points.csv": ("x,y,z\n1,2,3\n3,4,5\n4,5,6\n5,6,7\n", None),
    "more.json": ('{"patient": 3}', None),
    "README.md": ("1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7 8\n", None),
}


@pytest.mark.parametrize("name", TOLD)
def test_contents_tell_what_names_do_not(tmp_path, name):
    text, what = TOLD[name]
    (tmp_path / name).write_text(text)
    assert held(tmp_path / name) == what


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ((9, 4, 4), "poses"), ((9, 3, 4), "poses"), ((9, 7), "poses"), ((3, 3), "a calibration"), ((3,), None),
        ((9, 40, 48), None), ((9, 3), None), ((2, 40, 4, 4), None),
    ],
)  # fmt: skip
def test_arrays_are_told_by_their_shape(tmp_path, shape, what):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    assert held(tmp_path / "a.npy") == what


def test_what_is_told_stands_in_one_note_and_numbered_files_count_once(tmp_path):
    series(tmp_path / "images", "{}.png", [tissue(i) for i in range(3)])
    for i in range(3):
        (tmp_path / f"{i:03d}.txt").write_text(f"{POSE}\n{POSE}\n")
    (tmp_path / "info.json").write_text('{"fps": 15}')
    (tmp_path / "notes.txt").write_text("Nothing to see\n")
    said = [note for note in load_clip(tmp_path, look=False).notes if "by what is in it" in note]
    assert said == [
        "not used: #.txt, info.json, by what is in it poses, times: docs/usage/CALIBRATION.md says what is read."
    ]
    frames = load_clip(tmp_path / "images", look=False).notes
    assert any(note.startswith("beside images/ and not used: #.txt, info.json") for note in frames)


@pytest.mark.parametrize(
    "name",
    [
        "cameras.sfm", "sfm_data.json", "reconstruction.json", "bundle.out", "ost.yaml", "cameraParams.mat", "c2w.npy",
        "stereoParams.mat", "cam_K.npy", "camera_positions.txt", "RT.txt", "timestamps.txt", "frame_times.npy",
    ],
)  # fmt: skip
def test_names_that_other_programs_give_are_known(tmp_path, name):
    series(tmp_path / "images", "{}.png", [tissue(i) for i in range(3)])
    (tmp_path / name).write_bytes(b"?")
    assert any(note.startswith(f"not used: {name}, by the name") for note in load_clip(tmp_path, look=False).notes)
