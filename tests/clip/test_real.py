"""The two real clips, expanded from ../shared; they are never part of the project."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from endogs.clip import ClipOptions, load_clip
from endogs.priors.instruments.by_color import find_by_color

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
FRAMES = 4

pytestmark = pytest.mark.skipif(
    not (CLIPS / "expand.py").is_file(), reason="the real clips (../shared/clips) are not on this machine"
)


@pytest.fixture(scope="module")
def expanded(tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    command = [sys.executable, str(CLIPS / "expand.py"), str(out), "--max-frames", str(FRAMES)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def test_endonerf_pulling(expanded):
    clip = load_clip(expanded / "endonerf_pulling", ClipOptions(ignore_rows=("495:512",)))
    assert (clip.kind, len(clip), clip.width, clip.height) == ("endonerf", FRAMES, 640, 512)
    assert clip.static_camera
    np.testing.assert_array_equal(clip.world_to_camera[0], np.eye(4))
    assert clip.K[0, 0, 0] == pytest.approx(569.468, abs=1e-3)
    assert clip.K[0, :2, 2].tolist() == [320, 256]
    tissue = clip.tissue_mask(0)
    assert 0.7 < tissue.mean() < 0.9
    assert not tissue[495:].any()
    assert not clip.has_depth


def test_d4d_bowel_lift_depth_agrees_with_its_right_views(expanded):
    """The right view warped by the given depth looks like the left one; warped the other way it does not."""
    clip = load_clip(expanded / "d4d_bowel_lift")
    assert (clip.kind, len(clip), clip.width, clip.height) == ("calibrated-folder", FRAMES, 675, 540)
    assert (clip.units, clip.baseline) == ("mm", 4.36)
    depth, left, right = clip.depth(0), clip.image(0).astype(int), clip.right_image(0).astype(int)
    known = (depth > 0) & clip.tissue_mask(0)
    assert 50 < np.median(depth[known]) < 130
    disparity = clip.K[0, 0, 0] * clip.baseline / np.maximum(depth, 1)
    y, x = np.nonzero(known[:, 60:-60])
    x = x + 60
    errors = []
    for sign in (-1, 1):
        columns = np.rint(x + sign * disparity[y, x]).astype(int)
        errors.append(np.abs(left[y, x] - right[y, columns]).mean())
    assert errors[0] < 0.7 * errors[1]


def test_the_video_is_the_same_clip_as_its_frames(expanded):
    folder = load_clip(expanded / "endonerf_pulling")
    video = load_clip(CLIPS / "endonerf_pulling" / "clip.mp4", ClipOptions(end=0.1))
    assert len(video) == FRAMES
    np.testing.assert_allclose(video.times, np.arange(FRAMES) / 30, atol=1e-3)
    for i in range(FRAMES):
        # OpenCV and PyAV interpolate chroma differently; another frame differs by several times as much.
        assert np.abs(video.image(i).astype(int) - folder.image(i)).mean() < 2


@pytest.mark.parametrize(("name", "least"), [("d4d_bowel_lift", 0.75), ("endonerf_pulling", 0.55)])
def test_instruments_found_by_colour_overlap_the_masks(expanded, name, least):
    """The whole clips give .81 and .68; the masks of the second are themselves a guess with false patches."""
    clip = load_clip(expanded / name)
    found = find_by_color(clip).masks
    overlaps, reached, there = [], 0, 0
    for i in range(len(clip)):
        truth, mask = ~clip.tissue_mask(i) & ~clip.ignored, found.instrument(i) & ~clip.ignored
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
        reached, there = reached + (~found.read(i) & truth).sum(), there + truth.sum()
    assert np.mean(overlaps) > least
    assert reached > 0.75 * there


def test_the_strip_of_the_robot_is_found(expanded):
    ignored = load_clip(expanded / "endonerf_pulling").ignored
    assert ignored[503:, 170:330].all()
    assert ignored[509:, :160].all()
    assert not ignored[:495].any()
    assert not ignored[:, 400:].any(), "tissue and an instrument"
    assert not load_clip(expanded / "d4d_bowel_lift").ignored.any()
