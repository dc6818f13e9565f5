"""The look at a pair of views: do they fit each other, the depth files and the poses; and what a fit does about it."""

import json

import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.tiff_float import write_tiff
from scipy.spatial.transform import Rotation

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError
from endogs.pipeline.config import Inspect
from endogs.pipeline.inspect import inspect
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.reconstruct import run
from endogs.priors.depth.stereo import StereoDepth

BASELINE = 4.4
COUNT = 7


def write_pair(root, baseline=BASELINE, rows=0.0, depth_factor=1.0, unit=1.0, moving=True, swapped=False):
    """A calibrated pair of the corner with depth and poses; wrong by `rows`, in its lengths, or with eyes exchanged."""
    for name in ("images", "images_right", "depth"):
        (root / name).mkdir(parents=True)
    poses = corner.world_to_camera(COUNT) if moving else corner.world_to_camera(1).repeat(COUNT, 0)
    table = []
    for i, pose in enumerate(poses):
        right = pose.copy()
        right[0, 3] -= BASELINE
        view, other = corner.see(pose), corner.see(right).image
        other = cv2.warpAffine(other, np.array([[1, 0, 0], [0, 1, rows]]), (corner.WIDTH, corner.HEIGHT))
        names = ("images_right", "images") if swapped else ("images", "images_right")
        for name, image in zip(names, (view.image, other), strict=True):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), image[..., ::-1])
        write_tiff(root / "depth" / f"{i:03d}.tiff", depth_factor * view.depth)
        camera_to_world = np.linalg.inv(pose)
        quaternion = Rotation.from_matrix(camera_to_world[:3, :3]).as_quat()
        table.append([i / 10, *camera_to_world[:3, 3] / unit, *quaternion])
    if moving:
        np.savetxt(root / "poses.tum", table)
    K = corner.K
    facts = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "baseline_mm": baseline}
    (root / "calibration.json").write_text(json.dumps(facts | {"fps": 10, "depth_unit_mm": 1}))
    return root


def fit(root, tmp_path, *, clip=None, **options):
    run(Reconstruct(root, out=tmp_path / "out", clip=clip or ClipOptions(), **options))


def test_a_pair_that_fits_has_its_numbers_and_no_note(tmp_path, capsys, monkeypatch):
    root = write_pair(tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    clip = load_clip(root)
    check = clip.pair_check
    assert clip.notes == clip.contradictions == []
    assert check.points > 100
    assert check.rows < 0.4
    assert check.negative < 0.02
    assert check.over_given == pytest.approx(1, abs=0.01)
    assert check.poses_over == pytest.approx(1, abs=0.05)
    inspect(Inspect(root))
    assert "times the files'; depth by the poses' motion is" in " ".join(capsys.readouterr().out.split())
    assert load_clip(root, look=False).pair_check is None


def test_the_numbers_do_not_depend_on_the_size_of_the_fit(tmp_path):
    root = write_pair(tmp_path / "clip", rows=2.5, moving=False)
    whole, small = load_clip(root).pair_check, load_clip(root, ClipOptions(max_size=40)).pair_check
    assert small == whole
    assert whole.rows == pytest.approx(2.5, abs=0.3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 2.5}, r"lie 2\.\d rows apart \(up to 1\.0 is fine\), so the pair is not rectified"),
        ({"swapped": True}, "negative .*so left and right are swapped"),
    ],
)
def test_a_pair_that_does_not_fit_is_told_and_refused_where_it_is_used(tmp_path, wrong, message):
    root = write_pair(tmp_path / "clip", moving=False, **wrong)
    clip = load_clip(root)
    with pytest.raises(InputError, match=message):
        StereoDepth().prepare(clip, list(range(COUNT)), clip.tissue_mask)
    with pytest.raises(InputError, match=rf"{message}.*use --split standard"):
        fit(root, tmp_path, split="novel-view")
    assert clip.contradictions == [], "without the right view the fit is right"


@pytest.mark.parametrize(("baseline", "ratio"), [(0.8 * BASELINE, 0.8), (1.05 * BASELINE, 1.05)])
def test_a_baseline_that_is_wrong_shows_beside_the_depth_files(tmp_path, baseline, ratio):
    root = write_pair(tmp_path / "clip", baseline=baseline, moving=False)
    clip = load_clip(root)
    assert clip.pair_check.over_given == pytest.approx(ratio, rel=0.01)
    assert f"by the right view tissue is {ratio:.2f}"[:-1] in clip.notes[0]
    with pytest.raises(InputError, match=r"as far as the depth files say .*use --split standard"):
        fit(root, tmp_path, split="novel-view")


@pytest.mark.parametrize("size", [None, 60])
def test_poses_in_metres_are_refused_until_their_unit_is_said(tmp_path, size):
    root = write_pair(tmp_path / "clip", unit=1000.0)
    with pytest.raises(
        InputError, match=r"disagree about lengths.*--pose-unit-mm 1000 \(metres\) would bring.*--pose-unit-mm 1 keeps"
    ):
        fit(root, tmp_path, clip=ClipOptions(max_size=size))
    insisted = load_clip(root, ClipOptions(max_size=size, pose_unit_mm=1))
    assert insisted.contradictions == []
    assert "disagree about lengths" in insisted.notes[0]
    told = load_clip(root, ClipOptions(max_size=size, pose_unit_mm=1000))
    assert told.notes == told.contradictions == []
    assert told.pair_check.poses_over == pytest.approx(1, abs=0.05)


def test_poses_of_another_convention_are_refused_until_it_is_named(tmp_path):
    root = write_pair(tmp_path / "clip")
    rows = np.loadtxt(root / "poses.tum")
    for row, pose in zip(rows, corner.world_to_camera(COUNT), strict=True):
        row[1:4], row[4:] = pose[:3, 3], Rotation.from_matrix(pose[:3, :3]).as_quat()
    np.savetxt(root / "poses.tum", rows)
    with pytest.raises(InputError, match=r"do not fit the images.*--pose-convention world-to-camera-opencv does it"):
        fit(root, tmp_path)
    assert load_clip(root, ClipOptions(pose_convention="world-to-camera-opencv")).notes == []
    insisted = load_clip(root, ClipOptions(pose_convention="camera-to-world-opencv"))
    assert insisted.contradictions == []


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "0.001"), (10.0, "0.1"), (0.2, "5"), (0.001, "1000")])
def test_depth_files_in_another_unit_are_refused_until_it_is_said(tmp_path, factor, unit):
    """Also where the unit leaves the tissue at a distance that an endoscope may have."""
    root = write_pair(tmp_path / "clip", depth_factor=factor, moving=False)
    with pytest.raises(
        InputError, match=rf"by the right view .*--depth-unit-mm {unit} would make .*--depth-unit-mm 1 "
    ):
        fit(root, tmp_path)
    assert f"--depth-unit-mm {unit} would make them agree" in load_clip(root).notes[0]
    told = load_clip(root, ClipOptions(depth_unit_mm=float(unit)))
    assert told.contradictions == []
    assert not [note for note in told.notes if "depth" in note]
    insisted = load_clip(root, ClipOptions(depth_unit_mm=1))
    assert insisted.contradictions == []
    assert "times as far as the depth files say" in insisted.notes[0]


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.25, 2.5])
def test_depth_files_that_are_somewhat_off_are_told(tmp_path, factor):
    clip = load_clip(write_pair(tmp_path / "clip", depth_factor=factor, moving=False))
    assert clip.contradictions == []
    assert f"tissue is {1 / factor:.2f}"[:-1] in clip.notes[0]


def test_depth_files_of_other_places_are_told(tmp_path):
    """Their median may be right."""
    root = write_pair(tmp_path / "clip", moving=False)
    assert not any("point by point" in note for note in load_clip(root).notes)
    waves = 1 + 0.4 * np.sin(np.arange(corner.WIDTH) / 9)
    depth = corner.see(corner.world_to_camera(1)[0]).depth * waves
    for i in range(COUNT):
        write_tiff(root / "depth" / f"{i:03d}.tiff", np.ascontiguousarray(depth))
    check = load_clip(root).pair_check
    depth = depth * check.over_given
    for i in range(COUNT):
        write_tiff(root / "depth" / f"{i:03d}.tiff", np.ascontiguousarray(depth))
    clip = load_clip(root)
    assert clip.pair_check.over_given == pytest.approx(1, abs=0.03)
    assert any("point by point the right view and the depth files differ by" in note for note in clip.notes)


def test_a_baseline_in_centimetres_is_blamed_before_the_depth_files(tmp_path):
    root = write_pair(tmp_path / "clip", baseline=BASELINE / 10, moving=False)
    with pytest.raises(
        InputError, match=r"the cameras are 0.44 mm apart.* 4.4 mm, 10 times as much.*; otherwise --dep"
    ):
        fit(root, tmp_path)
