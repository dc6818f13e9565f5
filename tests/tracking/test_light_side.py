"""The light tells a map from its mirror image, and the focal search leaves mirrored ones out."""

from types import SimpleNamespace

import numpy as np
import pytest
from samples.ball_clip import HEIGHT, WIDTH, K, shown

from endogs.geometry import pixel_rays
from endogs.tracking import begun_again, focal_length
from endogs.tracking.begun_again import BEGUN_AGAIN, track_by_light
from endogs.tracking.light_side import against_light, depth_by_light
from endogs.tracking.trajectory import Landmarks, State, TrackedFrame, Trajectory


@pytest.fixture(scope="module")
def seen():
    """A clip of one frame under a lamp at the camera, and its depth (H, W)."""
    image, depth = shown(np.eye(4))
    lit = image * np.clip((depth.min() / depth) ** 1.2, 0, 1)[..., None]
    mask = np.ones(depth.shape, bool)
    clip = SimpleNamespace(image=lambda _: lit.astype(np.uint8), tissue_mask=lambda _: mask, K=K[None])
    clip.width, clip.height = WIDTH, HEIGHT
    return clip, depth


def path_with(depth):
    """A path of one keyframe that sees points of `depth` (H, W) on every twelfth pixel."""
    rows, columns = np.mgrid[10 : HEIGHT - 10 : 12, 10 : WIDTH - 10 : 12].reshape(2, -1)
    points = pixel_rays(K, WIDTH, HEIGHT)[rows, columns] * depth[rows, columns, None]
    each, nothing = np.arange(len(points)), np.zeros(len(points), np.intp)
    landmarks = Landmarks(points, np.ones(len(points)), nothing, each, np.stack([columns, rows], 1) + 0.5)
    frame = TrackedFrame(0, 0.0, np.eye(4), State.TRACKED, keyframe=True)
    return Trajectory((frame,), (frame,), "relative", (), {}, landmarks)


def test_a_map_and_its_mirror_image_are_told_apart(seen):
    clip, depth = seen
    assert depth.max() > 1.3 * depth.min()
    right, mirrored = (depth_by_light(clip, path_with(z)) for z in (depth, depth.min() + depth.max() - depth))
    assert right > 0.5
    assert not against_light(right)
    assert against_light(mirrored)


def test_few_points_say_nothing(seen):
    clip, depth = seen
    path = path_with(depth)
    few = path.landmarks.point < 20
    landmarks = Landmarks(
        *(getattr(path.landmarks, name) for name in ("points", "rigid")),
        *(getattr(path.landmarks, name)[few] for name in ("seen_by", "point", "pixels")),
    )
    assert depth_by_light(clip, Trajectory(path.frames, path.causal, "relative", (), {}, landmarks)) is None
    assert depth_by_light(clip, Trajectory(path.frames, path.causal, "relative", ())) is None
    assert not against_light(None)


def test_the_search_takes_a_map_that_lies_as_the_light_says(seen, monkeypatch):
    """The mirrored one explains the points better, and is left out all the same."""
    clip, depth = seen
    misses, light = {0.38: 0.6, 0.6: 0.2}, {0.38: 0.9, 0.6: -0.9}
    monkeypatch.setattr(focal_length, "FACTORS", tuple(misses))
    monkeypatch.setattr(focal_length, "telling_frames", lambda *_: [0])
    monkeypatch.setattr(focal_length, "with_focal", lambda _, factor: factor)

    def tracked(_, frames, factor):
        path = path_with(depth)
        frame = TrackedFrame(0, 0.0, np.eye(4), State.TRACKED, "", 400, misses[factor])
        return Trajectory((frame,) * 3, (), "relative", (), {}, path.landmarks)

    monkeypatch.setattr(focal_length, "_tracked", tracked)
    monkeypatch.setattr(focal_length, "depth_by_light", lambda factor, _: light[0.38 if factor < 0.5 else 0.6])
    monkeypatch.setattr(focal_length, "_bundle", lambda *_: SimpleNamespace())
    flat = np.array([0.9, 1.0, 1.1]), np.array([1e4, 0.0, 1e4])
    monkeypatch.setattr(focal_length, "_curve", lambda *_: flat)
    found = focal_length.find_focal_length(clip)
    assert found.factor == pytest.approx(0.38, rel=0.01)
    assert found.light == 0.9
    light[0.38] = None  # nothing is known of it, which is better than inside out
    assert focal_length.find_focal_length(clip).factor == pytest.approx(0.38, rel=0.01)
    light[0.6] = 0.1
    assert focal_length.find_focal_length(clip).factor == pytest.approx(0.6, rel=0.01)


@pytest.mark.parametrize("mends", [True, False])
def test_a_mirrored_map_is_begun_again_with_more_parallax(seen, monkeypatch, mends):
    """And the first stays where that does not help, for the doubt to be said."""
    clip, depth = seen
    mirrored, right = (path_with(z) for z in (depth.min() + depth.max() - depth, depth))
    asked = []

    def tracked(_clip, _held_out, _source, _progress, config=None):
        asked.append(None if config is None else config.start_parallax)
        return right if config is not None and mends else mirrored

    monkeypatch.setattr(begun_again, "track_clip", tracked)
    path = track_by_light(clip)
    assert asked[0] is None
    assert asked[1] > begun_again.TrackingConfig().start_parallax
    assert path.notes == ((BEGUN_AGAIN,) if mends else ())
    assert path.landmarks is (right if mends else mirrored).landmarks


def test_a_map_that_lies_as_the_light_says_is_tracked_once(seen, monkeypatch):
    clip, depth = seen
    asked = []
    monkeypatch.setattr(begun_again, "track_clip", lambda *_: asked.append(1) or path_with(depth))
    assert track_by_light(clip).notes == ()
    assert asked == [1]
