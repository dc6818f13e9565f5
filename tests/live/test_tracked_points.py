"""The tracker's points and keyframes in the viewer: kept small, drawn where they were, and switched on and off."""

from dataclasses import replace

import numpy as np
import pytest
from samples.live_scene import FRAMES, HEIGHT, WIDTH, stretching_scene

from endogs.errors import InputError
from endogs.live.studio import Studio
from endogs.live.tracked_overlay import (
    AGREE_COLOR,
    FILE_NAME,
    KEYFRAME_COLOR,
    OTHER_COLOR,
    find_tracked_points,
    points_state,
)
from endogs.live.viewpoint import outside_orbit
from endogs.tracking.tracked_points import MOST_OF_FRAME, TrackedPoints, read_points, write_points
from endogs.tracking.trajectory import State, TrackedFrame

PIXELS = np.array([[20.0, 30.5], [70.25, 60.0], [40.0, 10.0]])
AGREE = np.array([True, False, True])


def frames(count=FRAMES, pixels=PIXELS, agree=AGREE):
    return [
        TrackedFrame(k, k / 8, np.eye(4), State.TRACKED, keyframe=k % 4 == 0, pixels=pixels, agree=agree)
        if k != 2
        else TrackedFrame(k, k / 8, None, State.LOST, "dark")
        for k in range(count)
    ]


def painted(image, before, place, color):
    """Whether something of about this colour was drawn over `before` around a place."""
    x, y = np.round(place).astype(int)
    around = np.s_[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7]
    alike = np.abs(image[around].astype(int) - color).max(-1) < 60
    return bool((alike & (image[around] != before[around]).any(-1)).any())


def test_points_are_read_as_they_were_written_and_bounded(tmp_path):
    points = TrackedPoints.of(frames())
    write_points(points, tmp_path / FILE_NAME)
    again = find_tracked_points(tmp_path, FRAMES)
    pixels, agree = again.of_frame(1)
    np.testing.assert_allclose(pixels, PIXELS, atol=1 / 16)
    assert (agree == AGREE).all()
    assert len(again.of_frame(2)[0]) == 0
    assert np.flatnonzero(again.keyframe).tolist() == [0, 4, 8]
    many = np.random.default_rng(0).uniform(0, 90, (5000, 2))
    full = TrackedPoints.of(frames(3, many, np.ones(5000, bool)))
    assert len(full.of_frame(0)[0]) == MOST_OF_FRAME
    assert TrackedPoints.of([TrackedFrame(0, 0.0, None, State.LOST, "dark")]) is None


def test_a_file_that_does_not_fit_is_left_out_with_a_note(tmp_path, capsys):
    write_points(TrackedPoints.of(frames()), tmp_path / FILE_NAME)
    with pytest.raises(InputError, match="not the tracked points of a clip of 5 frames"):
        read_points(tmp_path / FILE_NAME, 5)
    assert find_tracked_points(tmp_path, 5) is None
    assert "without the tracker's points" in capsys.readouterr().err
    (tmp_path / FILE_NAME).write_bytes(b"nothing")
    assert find_tracked_points(tmp_path, FRAMES) is None
    wrong = replace(TrackedPoints.of(frames()), first=np.arange(FRAMES + 1)[::-1].copy())
    write_points(wrong, tmp_path / FILE_NAME)
    assert find_tracked_points(tmp_path, FRAMES) is None


def test_points_are_drawn_through_the_endoscope_and_keyframes_over_a_free_view():
    scene = stretching_scene()
    poses = scene.world_to_camera.copy()
    poses[:, 0, 3] += 5.0 * np.arange(FRAMES)
    scene = replace(scene, world_to_camera=poses)
    studio = Studio(scene, tracked=TrackedPoints.of(frames()))
    canvas = (4 * WIDTH, 4 * HEIGHT)
    plain = studio.picture(None, canvas).image
    studio.session.show_tracked(True)
    shown = studio.picture(None, canvas).image
    for place, right in zip(PIXELS, AGREE, strict=True):
        color, other = (AGREE_COLOR, OTHER_COLOR) if right else (OTHER_COLOR, AGREE_COLOR)
        assert painted(shown, plain, 4 * place, color)
        assert not painted(shown, plain, 4 * place, other)
    studio.session.timeline.seek(float(scene.times[2]))
    lost = studio.picture(None, canvas).image
    studio.session.show_tracked(False)
    assert (studio.picture(None, canvas).image == lost).all(), "a frame without points has none"

    look, _ = outside_orbit(scene, 0.0, canvas)
    with_dots = studio.picture(look, canvas).image
    without = Studio(scene).picture(look, canvas).image
    white = [int((np.abs(image.astype(int) - KEYFRAME_COLOR).max(-1) < 8).sum()) for image in (with_dots, without)]
    assert white[0] > white[1] + 10


def test_the_state_line_counts_them():
    points = TrackedPoints.of(frames())
    assert points_state(points, 0) == ", 2 of 3 points agree, keyframe"
    assert points_state(points, 1) == ", 2 of 3 points agree"
    assert points_state(points, 2) == ""
    assert points_state(None, 0) == ""
