"""--lens fisheye: the calibration beside the clip is the lens that made it, as the clip's reader understands it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.open3d_there import require_open3d

from endogs.clip import ClipOptions, load_clip
from endogs.phantom.config import Phantom
from endogs.phantom.optics import make_optics
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom

TINY = dict(frames=2, width=80, height=64, fps=4.0, tracks=300, noise=0.0, lens="fisheye")


@pytest.fixture(scope="module", params=["abdomen", "colon"])
def clip(request, tmp_path_factory) -> Path:
    require_open3d()
    out = tmp_path_factory.mktemp("fisheye") / "clip"
    return write_phantom(Phantom(out, **TINY, anatomy=request.param, camera="moving"))


@pytest.mark.parametrize("degrees", [60.0, 110.0, 150.0])
def test_rays_and_pixels_are_inverse_and_opencv_agrees(degrees):
    optics = make_optics(Phantom(Path("unused"), **TINY, field_of_view=degrees))
    assert optics.outside is not None
    inside = ~optics.outside
    rays = optics.rays[inside]
    y, x = np.nonzero(inside)
    np.testing.assert_allclose(optics.project(rays), np.stack([x, y], -1) + 0.5, atol=1e-6)
    K = optics.K.copy()
    K[:2, 2] -= 0.5  # OpenCV counts from the first pixel's centre
    zero = np.zeros(3)
    k = np.array(optics.calibration()["distortion"])
    theirs, _ = cv2.fisheye.projectPoints(rays[:, None], zero, zero, K, k)
    np.testing.assert_allclose(theirs[:, 0], np.stack([x, y], -1), atol=1e-5)
    middle = optics.rays[32]
    wide = np.degrees(np.arctan(middle[-1, 0]) - np.arctan(middle[0, 0]))
    assert wide == pytest.approx(degrees * 79 / 80, abs=1)


def test_the_view_is_round_and_black_around(clip):
    optics = make_optics(PhantomTruth.read(clip).options)
    picture = cv2.imread(str(clip / "images/000000.png"))
    depth = cv2.imread(str(clip / "depth/000000.png"), cv2.IMREAD_UNCHANGED)
    assert 0.03 < optics.outside.mean() < 0.2
    assert depth[optics.outside].max() == 0
    assert depth[~optics.outside].min() > 0
    rim = cv2.erode(optics.outside.astype(np.uint8), np.ones((5, 5))) > 0
    assert picture[rim].max() == 0


def test_the_reader_takes_the_calibration_and_sees_the_same_tissue(clip):
    """Undistorted, the clip's depth lifts to the points of the truth."""
    calibration = json.loads((clip / "calibration.json").read_text())
    assert calibration["model"] == "fisheye"
    read = load_clip(clip, ClipOptions())
    truth = PhantomTruth.read(clip)
    seen = read.depth(1)
    assert seen is not None
    pose = truth.world_to_camera(1)
    np.testing.assert_allclose(np.asarray(read.camera(1).world_to_camera), pose, atol=1e-5)
    positions, visible = truth.tracks()
    camera = positions[1][visible[1]].astype(float) @ pose[:3, :3].T + pose[:3, 3]
    pixels = (camera @ np.asarray(read.camera(1).K).T)[:, :2] / camera[:, 2:]
    h, w = seen.shape
    inside = ((pixels > 2) & (pixels < (w - 2, h - 2))).all(1)
    assert inside.sum() > 50
    x, y = pixels[inside].astype(int).T
    depth, around = np.asarray(seen, np.float32), np.ones((3, 3), np.uint8)
    nearest, farthest = cv2.erode(depth, around)[y, x], cv2.dilate(depth, around)[y, x]
    z = camera[inside, 2]
    assert ((z > nearest - 0.3) & (z < farthest + 0.3)).mean() > 0.9


def test_tracks_project_where_they_are(clip):
    truth = PhantomTruth.read(clip)
    positions, visible = truth.tracks()
    pixels, z = truth.project(0, positions[0].astype(float))
    x, y = pixels[visible[0]].astype(int).T
    depth, around = truth.tissue_depth(0), np.ones((3, 3), np.uint8)
    between = (z[visible[0]] > cv2.erode(depth, around)[y, x] - 0.1) & (
        z[visible[0]] < cv2.dilate(depth, around)[y, x] + 0.1
    )
    assert visible[0].sum() > 100
    assert between.mean() > 0.9
