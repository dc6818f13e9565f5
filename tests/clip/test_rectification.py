"""A pair that calibration.json describes is rectified: rows match, and depth, masks and poses follow."""

import json

import cv2
import numpy as np
import pytest
from samples.stereo_scene import BASELINE, HEIGHT, WIDTH, see, write_pair

from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.priors.depth.prediction import DepthInput
from endogs.priors.depth.stereo import StereoDepth

ROTATION = cv2.Rodrigues(np.array([0.03, -0.04, 0.02]))[0]
TRANSLATION = np.array([-BASELINE, 0.4, 0.3])
LEFT_DISTORTION, RIGHT_DISTORTION = [-0.12, 0.03, 0.001, -0.002, 0.0], [-0.1, 0.02, 0, 0.001, 0]
K_RIGHT = np.array([[225.0, 0, 97], [0, 224, 78], [0, 0, 1]])


def write_unrectified(root, **changes):
    """Two cameras that squint at each other through lenses; returns the left z-depth before rectification."""
    right = {
        "K": K_RIGHT, "rotation": ROTATION, "translation": TRANSLATION, "distortion": np.array(RIGHT_DISTORTION),
    }  # fmt: skip
    entries = {
        "distortion": LEFT_DISTORTION,
        "rotation": ROTATION.tolist(),
        "translation_mm": TRANSLATION.tolist(),
        "right": {"fx": 225.0, "fy": 224.0, "cx": 97.0, "cy": 78.0, "distortion": RIGHT_DISTORTION},
        "depth_unit_mm": 0.01,
    }
    z = write_pair(root, right, **{**entries, **changes})
    (root / "depth").mkdir()
    (root / "masks").mkdir()
    instrument = np.zeros((HEIGHT, WIDTH), np.uint8)
    instrument[60:90, 80:120] = 255
    for i in range(2):
        cv2.imwrite(str(root / "depth" / f"{i:03d}.png"), np.rint(z * 100).astype(np.uint16))
        cv2.imwrite(str(root / "masks" / f"{i:03d}.png"), instrument)
    return z


def test_stereo_and_given_depth_agree_after_rectification(tmp_path):
    write_unrectified(tmp_path)
    clip = load_clip(tmp_path)
    assert any("rectified" in note for note in clip.notes)
    assert clip.baseline == pytest.approx(np.linalg.norm(TRANSLATION), rel=1e-6)
    prior = StereoDepth()
    assert prior.prepare(clip, [0, 1], clip.tissue_mask) == [], "rows match now"
    frame = DepthInput.of(clip, 0)
    found = prior.predict(frame)
    known = (found.confidence > 0) & (frame.given > 0)
    assert known.mean() > 0.6
    assert np.median(np.abs(found.value / frame.given - 1)[known]) < 0.01


def test_the_rectified_view_is_a_pinhole_camera_at_the_same_place(tmp_path):
    write_unrectified(tmp_path)
    (tmp_path / "poses.tum").write_text("0 0 0 0 0 0 0 1\n0.1 0 0 0 0 0 0 1\n")
    clip = load_clip(tmp_path)
    turn = clip.world_to_camera[0, :3, :3]
    assert np.abs(turn - np.eye(3)).max() > 1e-3
    expected, z = see(clip.K[0], rotation=turn)
    ok = clip.tissue_mask(0) & (clip.depth(0) > 0)
    assert np.abs(clip.image(0).astype(int) - expected)[ok].mean() < 4, "resampled twice, and otherwise the same"
    assert np.median(np.abs(clip.depth(0) / z - 1)[ok]) < 2e-3
    assert 0.02 < 1 - clip.tissue_mask(0).mean() < 0.08, "the instrument moved with the image"
    right, _ = see(clip.K[0], rotation=turn, translation=np.array([-clip.baseline, 0, 0]))
    assert np.abs(clip.right_image(0).astype(int) - right).mean() < 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"translation_mm": [BASELINE, 0, 0]}, "right camera on the left"),
        ({"translation_mm": [0.1, BASELINE, 0]}, "above each other"),
        ({"translation_mm": [1, 2]}, "translation_mm must hold 3 numbers"),
        ({"rotation": (2 * np.eye(3)).tolist()}, "no rotation matrix"),
        ({"rotation": "none"}, "rotation must hold 3 x 3 numbers"),
        ({"distortion": [1, 2, 3]}, "distortion must hold"),
        ({"translation_mm": [0, 0, 0]}, "both cameras at the same place"),
        ({"right": {"fx": 0}}, "focal lengths of the right camera must be positive"),
        ({"right": {"fy": -5.0}}, "focal lengths of the right camera must be positive"),
        ({"right": {"distortion": [1, 2]}}, "right camera's distortion must hold 4, 5, 8, 12 or 14"),
        ({"right": 7}, "right must be an object"),
        ({"depth_unit_mm": None}, "depth_unit_mm"),
    ],
)
def test_bad_calibrations_are_told(tmp_path, changes, message):
    write_unrectified(tmp_path)
    file = tmp_path / "calibration.json"
    facts = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))
    with pytest.raises(InputError, match=message):
        load_clip(tmp_path)
