"""A baseline in another unit than the file is read in is refused or told, whichever reader found it."""

import json
import re

import numpy as np
import pytest
from layouts.dvrk import write_dvrk
from layouts.hamlyn import write_hamlyn
from layouts.scared import write_scared, write_scared_video
from layouts.stereomis import write_stereomis
from samples.stereo_scene import BASELINE, write_pair

from endogs.clip import load_clip
from endogs.clip.cameras.baselines import baseline_notes, check_baseline
from endogs.errors import InputError
from endogs.priors.depth.stereo import StereoDepth


@pytest.mark.parametrize("baseline", [0.05, 0.5, 4.2, 5.4, 22, 63, 150])
def test_what_a_device_may_have_is_read(baseline):
    check_baseline(baseline, "f")
    assert bool(baseline_notes(baseline)) == (not 1 <= baseline <= 30)


@pytest.mark.parametrize(
    ("baseline", "unit"),
    [(0.0045, "metres where"), (0.045, "decimetres"), (4500, "millimetres where metres"), (450, "centimetres where m")],
)
def test_what_none_has_is_refused_with_the_unit_that_would_be_right(baseline, unit):
    with pytest.raises(InputError, match=rf"f: the cameras are {baseline} mm apart.*: 4.5 mm, .*counts in {unit}"):
        check_baseline(baseline, "f")


def test_centimetres_are_told_with_the_length_that_would_be_right():
    (note,) = baseline_notes(0.45)
    assert "0.45 mm apart" in note
    assert "4.5 mm, 10 times as much" in note
    assert "centimetres" in note


def in_file(file, pattern, factor):
    """Multiply the numbers that `pattern` has in its second group."""
    changed, count = re.subn(pattern, lambda m: f"{m[1]}{float(m[2]) * factor!r}", file.read_text())
    assert count
    file.write_text(changed)


def calibration_json(root, factor, entry="baseline_mm"):
    value = BASELINE * factor
    write_pair(root, **{entry: value if entry == "baseline_mm" else [-value, 0, 0]})


def stereomis(root, factor):
    write_stereomis(root)
    in_file(root / "StereoCalibration.ini", r"(T_\d = )(-?[\d.]+)", factor)


def scared_prepared(root, factor):
    write_scared(root)
    for file in (root / "data" / "reprojection_data").iterdir():
        Q = np.array(json.loads(file.read_text())["reprojection-matrix"])
        Q[3, 2] /= factor
        file.write_text(json.dumps({"reprojection-matrix": Q.tolist()}))


def scared_video(root, factor):
    write_scared_video(root)
    for file in (root / "data" / "frame_data").iterdir():
        found = json.loads(file.read_text())
        found["camera-calibration"]["T"] = (factor * np.array(found["camera-calibration"]["T"])).tolist()
        file.write_text(json.dumps(found))


def hamlyn(root, factor):
    write_hamlyn(root)
    matrix = np.loadtxt(root / "extrinsics.txt")
    matrix[0, 3] *= factor
    np.savetxt(root / "extrinsics.txt", matrix)


def dvrk(root, factor):
    write_dvrk(root)
    file = root / "right.yaml"
    head, data = file.read_text().split("projection_matrix:")
    numbers = re.findall(r"-?\d+\.\d+(?:e-?\d+)?", data)
    numbers[3] = repr(float(numbers[3]) * factor)
    file.write_text(f"{head}projection_matrix:\n  rows: 3\n  cols: 4\n  data: [{', '.join(numbers)}]\n")


def translation(root, factor):
    calibration_json(root, factor, "translation_mm")


READERS = (calibration_json, translation, stereomis, scared_prepared, scared_video, hamlyn)


@pytest.mark.parametrize("write", [*READERS, dvrk])
def test_every_reader_refuses_what_no_pair_has(tmp_path, write):
    factor, word = (1000, "millimetres where metres") if write is dvrk else (0.001, "metres where millimetres")
    write(tmp_path / "clip", factor)
    with pytest.raises(InputError, match=rf"mm apart, which no pair is .*{word}"):
        load_clip(tmp_path / "clip", look=False)


@pytest.mark.parametrize("write", [*READERS, dvrk])
def test_every_reader_tells_what_few_pairs_have_and_nothing_of_others(tmp_path, write):
    for name, factor, count in (("right", 1.0, 0), ("centi", 0.1, 1)):
        write(tmp_path / name, factor)
        notes = load_clip(tmp_path / name, look=False).notes
        assert len([note for note in notes if "mm apart" in note]) == count, notes


def test_depth_that_no_endoscope_has_is_told_and_refused_when_the_eyes_are_too_near(tmp_path):
    def prepared(name, **facts):
        write_pair(tmp_path / name, **facts)
        clip = load_clip(tmp_path / name)
        return StereoDepth().prepare(clip, list(range(len(clip))), clip.tissue_mask)

    assert prepared("right", baseline_mm=BASELINE) == []
    (note,) = prepared("far", baseline_mm=50.0)
    assert "the right view puts the tissue" in note
    assert "the distance between the cameras, 50 mm" in note
    with pytest.raises(InputError, match=r"puts the tissue 1\.\d+ mm away.*0.15 mm apart.*--depth photometric"):
        prepared("near", baseline_mm=0.15)
