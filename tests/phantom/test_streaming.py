"""Frames are written as they come: what was written before stays what it was, and memory does not grow with frames."""

import json
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from samples.open3d_there import require_open3d

from endogs.phantom.config import Phantom
from endogs.phantom.tracks_file import tracks_file
from endogs.phantom.visibility import PhantomTruth
from endogs.phantom.writer import write_phantom


def test_tracks_are_what_numpy_would_write_byte_by_byte(tmp_path):
    rng = np.random.default_rng(0)
    positions = rng.normal(0, 30, (40, 300, 3)).astype(np.float32)
    visible, times = rng.random((40, 300)) > 0.4, np.arange(40) / 15
    with tracks_file(tmp_path / "streamed.npz", 40, 300, times) as tracks:
        for frame in range(40):
            tracks.add(positions[frame], visible[frame])
    np.savez_compressed(tmp_path / "whole.npz", positions=positions, visible=visible, times=times)
    assert (tmp_path / "streamed.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_memory_does_not_grow_with_the_frames(tmp_path):
    """Of what Python and numpy hold: tracks of 30 000 points are .4 MB a frame, a frame kept would show."""
    require_open3d()
    held = {}

    def look(done: int, total: int) -> None:
        if done == 2:
            tracemalloc.start()  # the preparations would take long under it
        held[done] = tracemalloc.get_traced_memory()[0]

    config = Phantom(tmp_path / "clip", frames=14, width=32, height=24, tracks=30_000, instruments=0)
    try:
        write_phantom(config, look)
    finally:
        tracemalloc.stop()
    assert held[14] - held[5] < 200_000


# What the version before trajectories, colons and events wrote for `Phantom(frames=3, width=64, height=48, fps=4,
# tracks=150, camera="moving", view="stereo", instruments=2, seed=3)`; its files were compared byte by byte.
OPTIONS = {
    "frames": 3, "width": 64, "height": 48, "fps": 4.0, "camera": "moving", "view": "stereo", "instruments": 2,
    "seed": 3, "distance": 72.0, "field_of_view": 60.0, "baseline": 4.4, "pull": 12.0, "breathing": 1.5,
    "peristalsis": 1.0, "folds": 4.0, "wetness": 1.0, "vignetting": 0.35, "exposure": 0.0, "noise": 1.0, "tracks": 150,
}  # fmt: skip
POSES = """\
# time tx ty tz qx qy qz qw (T_world_camera, mm)
0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 0.000000000 1.000000000
0.250000000 2.002688406 1.735534956 0.150432527 0.007525500 -0.010063447 0.006751079 0.999898253
0.500000000 3.904953652 3.127325930 0.594186793 0.013423760 -0.019698095 0.013279537 0.999627651
"""
MEANS = [
    (115.653, 115.426, 62.3564, 250, 85),
    (118.660, 118.432, 61.063, 248, 82),
    (121.582, 121.369, 59.8312, 248, 80),
]
"""By frame: left and right picture, depth in mm, pixels of instruments, tracks that are seen."""
TRACKS = [(-4.8202, -9.5459, 69.3954), (-4.6904, -9.4684, 68.637), (-4.5246, -9.3953, 68.0837)]
"""Mean place, mm."""


def test_a_phantom_of_old_options_is_what_it_was(tmp_path):
    require_open3d()
    asked = dict(frames=3, width=64, height=48, fps=4.0, tracks=150)
    folder = write_phantom(Phantom(tmp_path / "clip", **asked, camera="moving", view="stereo", instruments=2, seed=3))
    assert (folder / "truth/phantom.json").read_text() == json.dumps(OPTIONS, indent=1) + "\n"
    assert (folder / "poses.tum").read_text() == POSES
    assert sorted(file.name for file in (folder / "truth").iterdir()) == [
        "depth_without_instruments", "light.json", "phantom.json", "tracks.npz",
    ]  # fmt: skip
    truth = PhantomTruth.read(folder)
    positions, visible = truth.tracks()
    for frame, (left, right, depth, instrument, seen) in enumerate(MEANS):
        pictures = [cv2.imread(str(folder / name / f"{frame:06d}.png")) for name in ("images", "images_right")]
        written = cv2.imread(str(folder / f"depth/{frame:06d}.png"), cv2.IMREAD_UNCHANGED) * 0.01
        assert pictures[0].mean() == pytest.approx(left, abs=0.02)
        assert pictures[1].mean() == pytest.approx(right, abs=0.02)
        assert written.mean() == pytest.approx(depth, abs=2e-3)
        assert abs(int(truth.instrument(frame).sum()) - instrument) <= 1
        assert abs(int(visible[frame].sum()) - seen) <= 1
        np.testing.assert_allclose(positions[frame].mean(0), TRACKS[frame], atol=1e-3)


def test_the_truth_of_an_older_version_is_read(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/phantom.json").write_text(json.dumps(OPTIONS))
    assert PhantomTruth.read(tmp_path).options.anatomy == "abdomen"


def test_the_folder_may_be_moved(tmp_path):
    """phantom.json names no path of the machine that made it."""
    file = tmp_path / "somewhere" / "path.tum"
    file.parent.mkdir()
    file.write_text("0 0 0 0 0 0 0 1\n1 0 0 1 0 0 0 1\n")
    written = Phantom(Path("unused"), trajectory=file).written()
    assert written["trajectory"] == "path.tum"
    assert written["camera"] == "moving"
