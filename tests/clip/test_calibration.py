import json
import shutil

import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.reprojection import image_error

from endogs.clip import ClipOptions, load_clip
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.errors import InputError

K = np.array([[88.0, 0, 93.5], [0, 95.0, 76.25], [0, 0, 1]])
POLYNOMIAL = [90.0, 0.0, -0.0031, -1.2e-5]
STRETCH = np.array([[1.04, 0.01], [-0.02, 0.97]])
XI = 0.9


def rays(model, distortion):
    """Directions (H, W, 3) through the pixels of each lens, by OpenCV or by the papers' formulas."""
    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float64)
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    if model == "fisheye":
        flat = cv2.fisheye.undistortPoints(pixels, K - HALF_PIXEL, np.array(distortion)).reshape(*x.shape, 2)
    elif model == "pinhole":
        exact = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
        flat = cv2.undistortPoints(pixels, K - HALF_PIXEL, np.array(distortion), criteria=exact).reshape(*x.shape, 2)
    elif model == "scaramuzza":
        plane = (np.stack([x, y], -1) + 0.5 - K[:2, 2]) @ np.linalg.inv(STRETCH).T
        z = np.polynomial.polynomial.polyval(np.linalg.norm(plane, axis=-1), POLYNOMIAL)
        flat = plane / z[..., None]
    else:  # Mei and Rives 2007, eq. 5, without distortion
        u, v = (x + 0.5 - K[0, 2]) / K[0, 0], (y + 0.5 - K[1, 2]) / K[1, 1]
        square = u * u + v * v
        height = (XI + np.sqrt(1 + (1 - XI * XI) * square)) / (square + 1)
        flat = np.stack([height * u, height * v], -1) / (height - XI)[..., None]
    return np.concatenate([flat, np.ones((*x.shape, 1))], -1)


LENSES = {
    "fisheye": {"distortion": [-0.139, -0.0003, 0.0015, -0.00013]},
    "pinhole": {"distortion": [-0.15, 0.02, 0.004, -0.006, 0.001]},
    "scaramuzza": {"polynomial": POLYNOMIAL, "stretch": STRETCH.tolist()},
    "omnidir": {"distortion": [0, 0, 0, 0], "xi": XI},
}


def write(root, model, count=2, depth=None, **changes):
    """Frames through a lens and its calibration; `depth`, "z" or "ray", adds depth files."""
    along = rays(model, LENSES[model].get("distortion"))
    (root / "images").mkdir(parents=True)
    for i, pose in enumerate(corner.world_to_camera(count)):
        view = corner.see(pose, along)
        cv2.imwrite(str(root / "images" / f"{i}.png"), view.image[..., ::-1])
        if depth:
            (root / "depth").mkdir(exist_ok=True)
            length = np.linalg.norm(along, axis=-1) if depth == "ray" else 1
            np.save(root / "depth" / f"{i}.npy", (view.depth * length).astype(np.float32))
    facts = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "fps": 10, **LENSES[model]}
    facts["model"] = changes.pop("lens", model)
    facts = {name: value for name, value in {**facts, **changes}.items() if value is not None}
    (root / "calibration.json").write_text(json.dumps(facts))
    return corner.world_to_camera(count)


@pytest.mark.parametrize("model", list(LENSES))
def test_every_lens_becomes_a_pinhole_view(tmp_path, model):
    poses = write(tmp_path / "c", model)
    clip = load_clip(tmp_path / "c")
    assert clip.kind == "calibrated-folder"
    assert (~clip.ignored).mean() > 0.3
    assert image_error(clip, poses, 1) < 2.5
    clip.K = clip.K + np.array([[0, 0, 2], [0, 0, 0], [0, 0, 0]])
    assert image_error(clip, poses, 1) > 4, "the judgement sees two pixels"


def test_a_pair_whose_distance_is_unknown_is_undistorted_as_a_single_view(tmp_path):
    poses = write(tmp_path / "c", "pinhole")
    shutil.copytree(tmp_path / "c" / "images", tmp_path / "c" / "images_right")
    clip = load_clip(tmp_path / "c")
    assert not clip.has_right
    assert any("right views are not used" in note for note in clip.notes)
    assert image_error(clip, poses, 1) < 2.5


def test_a_rectified_pair_has_no_distortion(tmp_path):
    write(tmp_path / "c", "pinhole", count=1, baseline_mm=5.0)
    shutil.copytree(tmp_path / "c" / "images", tmp_path / "c" / "images_right")
    with pytest.raises(InputError, match=r"calibration\.json: baseline_mm says that the views are rectified, but"):
        load_clip(tmp_path / "c")
    write(tmp_path / "straight", "pinhole", count=1, baseline_mm=5.0, distortion=[0, 0, 0, 0])
    shutil.copytree(tmp_path / "straight" / "images", tmp_path / "straight" / "images_right")
    assert load_clip(tmp_path / "straight").baseline == 5.0


def test_a_width_for_a_camera_without_a_lens_is_said_to_do_nothing(tmp_path):
    write(tmp_path / "c", "pinhole", count=1, distortion=None)
    notes = load_clip(tmp_path / "c", ClipOptions(undistorted_degrees=90)).notes
    assert any("--undistorted-degrees changes nothing" in note for note in notes)


@pytest.mark.parametrize("along", ["z", "ray"])
def test_depth_of_a_fisheye_becomes_z_depth(tmp_path, along):
    poses = write(tmp_path / "c", "fisheye", depth=along, depth_along=along, depth_unit_mm=1.0)
    clip = load_clip(tmp_path / "c", ClipOptions(undistorted_degrees=100))
    truth = corner.depth_along(poses[1], corner.pixel_rays(clip.K[1]))
    known = clip.depth(1) > 0
    assert np.percentile(np.abs(clip.depth(1) / truth - 1)[known], 95) < 0.03
    assert clip.units == "mm"


def test_a_plain_folder_takes_the_calibration_from_elsewhere(tmp_path):
    poses = write(tmp_path / "c", "fisheye")
    (tmp_path / "c" / "calibration.json").rename(tmp_path / "scope.json")
    clip = load_clip(tmp_path / "c", ClipOptions(calibration=tmp_path / "scope.json"))
    assert (clip.kind, clip.K_is_guess) == ("image-folder", False)
    assert image_error(clip, poses, 1) < 2.5
    write(tmp_path / "d", "fisheye")
    with pytest.raises(InputError, match="--calibration is for videos and plain folders"):
        load_clip(tmp_path / "d", ClipOptions(calibration=tmp_path / "scope.json"))


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("fisheye", {"lens": "fov"}, "model is 'fov' but must be one of pinhole, fisheye, omnidir, scaramuzza"),
        ("fisheye", {"distortion": [1, 2]}, "distortion of a fisheye camera must hold 4 numbers"),
        ("pinhole", {"distortion": [1, 2]}, "distortion must hold 4, 5 or 8 numbers"),
        ("omnidir", {"xi": None}, "xi must hold a number"),
        ("scaramuzza", {"polynomial": [-90.0, 0, 0.003]}, "a0 positive"),
        ("scaramuzza", {"stretch": [1, 0]}, "stretch must hold 2 x 2 numbers"),
        ("fisheye", {"depth_along": "y"}, "depth_along is 'y'"),
        ("fisheye", {"fx": None}, "fx is None but must be a positive number"),
        ("fisheye", {"width": 100}, "width is 100 but the images have 200"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, model, changes, message):
    write(tmp_path / "c", model, count=1, **changes)
    with pytest.raises(InputError, match=message) as error:
        load_clip(tmp_path / "c")
    assert "\n" not in str(error.value)


def test_pairs_of_fisheyes_are_refused(tmp_path):
    write(tmp_path / "c", "fisheye", count=1, baseline_mm=5.0)
    (tmp_path / "c" / "images_right").mkdir()
    (tmp_path / "c" / "images_right" / "0.png").write_bytes((tmp_path / "c" / "images" / "0.png").read_bytes())
    with pytest.raises(InputError, match="pairs of fisheye cameras are not read"):
        load_clip(tmp_path / "c")
