"""Exports of a chain of segments: the map of all of them, the segment at a time, and Gaussians that go through it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from endogs.errors import InputError
from endogs.export.chain_map import chain_map, instant
from endogs.export.points import export_points
from endogs.export.tracks import export_tracks
from endogs.gaussians import CHANNELS, COLORS, OPACITY
from endogs.scene import Knots, Scene, SplineDeformation
from endogs.scene.appearance import Appearance, Exposure
from endogs.scene.chain import SceneChain, SegmentFrames
from endogs.scene.visibility import Visibility

SEGMENTS = (SegmentFrames(0, 4), SegmentFrames(3, 8))
TIMES = np.arange(9) * 0.1
SPEED = 2.0
"""World units per second, along x, of every Gaussian."""


def cameras(first: int, last: int, moving: bool) -> tuple[np.ndarray, np.ndarray]:
    count = last - first + 1
    poses = np.tile(np.eye(4), (count, 1, 1))
    if moving:
        poses[:, 1, 3] = -0.05 * np.arange(first, last + 1)
    return np.tile(np.array([[60.0, 0, 24], [0, 60, 20], [0, 0, 1]]), (count, 1, 1)), poses


def segment(first: int, last: int, identity: list[int], moving: bool, color: float = 0.5) -> Scene:
    """Gaussians in a row, number i at (i, 0, 10) at time 0, which drift along x."""
    count, frames = len(identity), last - first + 1
    base = torch.zeros(count, CHANNELS)
    base[:, 0], base[:, 2], base[:, 3], base[:, OPACITY] = torch.tensor(identity) * 1.0, 10.0, 1.0, 3.0
    base[:, 7:10], base[:, COLORS] = -1.0, color
    begin, end = float(TIMES[first]), float(TIMES[last])
    knots = Knots.over(begin, end, end - begin)
    # A cubic B-spline whose control points lie on a line, each over its Greville point, is that line.
    spots = torch.tensor([begin - (end - begin) + k * (end - begin) for k in range(knots.count)])
    control = torch.zeros(knots.count, count, CHANNELS)
    control[:, :, 0] = SPEED * spots[:, None]
    K, poses = cameras(first, last, moving)
    shown = np.ones((count, frames), bool)
    made = Scene(base, SplineDeformation(control, knots), TIMES[first : last + 1], K, poses, 48, 40, "mm")
    made.visibility, made.identity = Visibility.of(shown, shown), torch.tensor(identity)
    return made


def chain_of(parts: list[Scene], moving: bool) -> SceneChain:
    K, poses = cameras(0, 8, moving)
    about = replace(parts[0], times=TIMES, K=K, world_to_camera=poses, visibility=None, identity=None)
    return SceneChain.of(about, SEGMENTS, lambda k: parts[k], 4)


@pytest.fixture
def still() -> SceneChain:
    return chain_of([segment(0, 4, [1, 2, 3], False), segment(3, 8, [2, 3, 4], False)], False)


@pytest.fixture
def moving() -> SceneChain:
    return chain_of([segment(0, 4, [1, 2, 3], True), segment(3, 8, [2, 3, 4], True)], True)


def test_a_map_holds_every_gaussian_once_at_the_nearest_time_of_its_segment(moving):
    found = chain_map(moving, 0.7)
    places = sorted(found.base[:, 0].tolist())
    # 2, 3 and 4 are in the segment of that time; 1 was last seen by the other, at .4 s.
    np.testing.assert_allclose(places, sorted([1 + 0.8, 2 + 1.4, 3 + 1.4, 4 + 1.4]), atol=1e-5)
    assert found.visibility is not None
    seen = found.visibility.frames_seen(9)
    order = np.argsort(found.base[:, 0].numpy())
    by_number = dict(zip([1, 2, 3, 4], seen[order], strict=True))
    np.testing.assert_array_equal(by_number[1], np.arange(9) <= 4)
    np.testing.assert_array_equal(by_number[2], np.ones(9, bool))
    np.testing.assert_array_equal(by_number[4], np.arange(9) >= 3)


def test_without_time_a_map_holds_the_canonical_gaussians(moving):
    np.testing.assert_allclose(sorted(chain_map(moving, None).base[:, 0].tolist()), [1, 2, 3, 4])


def test_segments_that_were_exposed_apart_have_one_colour_in_the_map():
    numbers = [list(range(1, 200)), list(range(100, 300))]
    parts = [segment(0, 4, numbers[0], True, 0.4), segment(3, 8, numbers[1], True, 0.6)]
    for part in parts:
        part.appearance = Appearance(exposure=Exposure.neutral(part.times, torch.device("cpu")))
    found = chain_map(chain_of(parts, True), 0.0)
    torch.testing.assert_close(found.base[:, COLORS], torch.full((299, 3), 0.4))


def test_a_still_camera_exports_the_segment_of_the_time(still):
    assert len(instant(still, 0.0)) == 3
    assert instant(still, 0.7).identity is not None
    assert instant(still, 0.7).identity.tolist() == [2, 3, 4]


def test_points_of_a_moving_chain_are_of_the_whole_map_and_of_one_view_when_asked(moving, tmp_path):
    from endogs.export.selection import Selection

    export_points(moving, [0.7], tmp_path / "map.npz")
    export_points(moving, [0.7], tmp_path / "view.npz", selection=Selection(view_only=True))
    assert len(np.load(tmp_path / "map.npz")["positions"]) == 4
    assert len(np.load(tmp_path / "view.npz")["positions"]) <= 3


def tracks(chain: SceneChain, path: Path, **options) -> dict[str, np.ndarray]:
    export_tracks(chain, path, **options)
    return dict(np.load(path))


def test_a_gaussian_is_followed_through_all_segments_by_its_number(still, tmp_path):
    found = tracks(still, tmp_path / "t.npz", gaussian=(2, 3))
    assert found["gaussian"].tolist() == [2, 3]
    np.testing.assert_allclose(found["positions"][:, 0, 0], 2 + SPEED * TIMES, atol=1e-4)
    assert found["visible"].all()


def test_where_its_segment_ends_the_tissue_carries_its_place_on(still, tmp_path):
    found = tracks(still, tmp_path / "t.npz", gaussian=(1, 4))
    np.testing.assert_allclose(found["positions"][:, 0, 0], 1 + SPEED * TIMES, atol=1e-4)
    np.testing.assert_allclose(found["positions"][:, 1, 0], 4 + SPEED * TIMES, atol=1e-4)
    np.testing.assert_array_equal(found["visible"][:, 0], np.arange(9) <= 4)
    np.testing.assert_array_equal(found["visible"][:, 1], np.arange(9) >= 3)


def test_without_names_those_of_the_first_frame_are_followed(still, tmp_path):
    assert set(tracks(still, tmp_path / "t.npz", count=2)["gaussian"].tolist()) <= {1, 2, 3}


def test_a_number_that_no_gaussian_has_is_refused(still, tmp_path):
    with pytest.raises(InputError, match="--gaussian 5 does not exist; the scene has 4, counted from 1"):
        tracks(still, tmp_path / "t.npz", gaussian=(5,))
