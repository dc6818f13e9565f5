"""Right views that are no pair with the left ones give no depth to the tracker, and it says so."""

import json

import cv2
import numpy as np
import pytest
from samples.ball_clip import shown, winding, write_ball_clip

from endogs.cli import main
from endogs.clip import load_clip
from endogs.pipeline.camera_search import find_cameras

FRAMES = 16


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A clip whose right views were taken at another place, some rows off."""
    poses = winding(FRAMES)
    folder = write_ball_clip(tmp_path_factory.mktemp("pair") / "clip", poses)
    (folder / "images_right").mkdir()
    for k, pose in enumerate(poses):
        image = np.roll(shown(pose)[0], (7, -5), (0, 1))
        cv2.imwrite(str(folder / "images_right" / f"{k:04d}.png"), image[..., ::-1])
    about = json.loads((folder / "calibration.json").read_text()) | {"baseline_mm": 4.0}
    (folder / "calibration.json").write_text(json.dumps(about))
    return folder


def test_a_pair_that_is_none_is_not_tracked_with(elsewhere):
    found = find_cameras(load_clip(elsewhere), "auto")
    assert found.source == "tracked"
    assert found.clip.units == "relative"
    assert any("right views are not used" in note and "not rectified" in note for note in found.notes)


def test_asked_for_it_is_refused(elsewhere, tmp_path, capsys):
    assert main(["track", str(elsewhere), "--depth", "stereo", "--out", str(tmp_path / "a.tum")]) == 2
    assert "not rectified; use --depth auto or none" in capsys.readouterr().err
