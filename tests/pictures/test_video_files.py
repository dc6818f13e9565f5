"""Videos that are written say their colours, their times and the shape of their pixels."""

from fractions import Fraction

import av
import numpy as np
import pytest

from endogs.pictures.video import frame_rate, pixel_aspect, write_video

COLORS = [(40, 170, 60), (200, 40, 30), (235, 235, 235), (30, 60, 180)]


def flat(color, width=64, height=48):
    return np.full((height, width, 3), color, np.uint8)


def times_in(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        shown = np.array([float(frame.pts * stream.time_base) for frame in frames])
        return shown, float(stream.duration * stream.time_base), frames


def test_colours_come_back_as_the_file_says_they_are_coded(tmp_path):
    """Players take untagged HD for BT.709; tagged so and coded so, every size shows the same."""
    for width in (64, 1280):
        path = tmp_path / f"{width}.mp4"
        write_video(path, (flat(color, width) for color in COLORS), 25, crf=4)
        _, _, frames = times_in(path)
        for color, frame in zip(COLORS, frames, strict=True):
            assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
            shown = frame.to_ndarray(format="rgb24", src_colorspace="ITU709")[24, 24]
            assert np.abs(shown.astype(int) - color).max() <= 4


def test_uneven_frames_keep_their_times(tmp_path):
    times = np.array([0, 1 / 30, 2 / 30, 0.4, 1.4, 1.5])
    write_video(tmp_path / "a.mp4", (flat((9 * i, 50, 60)) for i in range(6)), frame_rate(times), times=times + 3)
    shown, seconds, frames = times_in(tmp_path / "a.mp4")
    np.testing.assert_allclose(shown, times, atol=1e-4)
    assert seconds == pytest.approx(1.5 + np.median(np.diff(times)), abs=1e-3)
    assert [round(float(frame.to_ndarray(format="rgb24")[..., 0].mean()) / 9) for frame in frames] == list(range(6))


def test_even_frames_keep_a_constant_rate(tmp_path):
    """Times of a container that counts milliseconds are even, but for their rounding."""
    times = np.round(np.arange(9) / 30, 3)
    write_video(tmp_path / "a.mp4", (flat((9, 50, 60)) for _ in range(9)), frame_rate(times), times=times)
    shown, _, _ = times_in(tmp_path / "a.mp4")
    np.testing.assert_allclose(np.diff(shown), 1 / frame_rate(times), rtol=1e-4)


def test_a_time_lapse_takes_its_time(tmp_path):
    times = np.arange(3) * 50.0
    write_video(tmp_path / "a.mp4", (flat((9, 50, 60)) for _ in range(3)), frame_rate(times), times=times)
    np.testing.assert_allclose(times_in(tmp_path / "a.mp4")[0], times, atol=1e-4)


def test_times_that_do_not_increase_are_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="increase"):
        write_video(tmp_path / "a.mp4", iter([flat((0, 0, 0))] * 2), 25, times=np.array([1.0, 1.0]))
    assert list(tmp_path.iterdir()) == []


def test_the_shape_of_pixels_is_said(tmp_path):
    K = np.array([[45.0, 0, 32], [0, 64, 24], [0, 0, 1]])
    write_video(tmp_path / "a.mp4", iter([flat((0, 0, 0))]), 25, pixel_aspect=pixel_aspect(K))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)
    K[0, 0] = 64.3
    assert pixel_aspect(K) == 1.0
