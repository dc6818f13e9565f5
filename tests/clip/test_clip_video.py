import json
from fractions import Fraction

import av
import numpy as np
import pytest
from samples.clip_samples import write_video

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.layouts.video import VideoFrames, read
from endogs.errors import InputError

UNEVEN = [0, 40, 80, 140, 180, 260, 300, 340, 400, 440, 500, 540, 580, 660, 700, 740, 780, 840, 900, 940]


def number(image):
    """Which frame this is, from its gray level."""
    return round((float(image.mean()) - 20) / 4)


def test_uneven_timestamps_are_kept_exactly(tmp_path):
    clip = load_clip(write_video(tmp_path / "clip.mp4", UNEVEN))
    assert (clip.kind, clip.name, clip.width, clip.height) == ("video", "clip", 64, 48)
    np.testing.assert_allclose(clip.times, np.array(UNEVEN) / 1000, atol=1e-9)
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(20))
    assert clip.K_is_guess
    np.testing.assert_allclose(clip.K[0], [[76.8, 0, 32], [0, 76.8, 24], [0, 0, 1]])
    assert not any("damaged" in note for note in clip.notes)


def test_times_count_from_the_first_frame(tmp_path):
    clip = load_clip(write_video(tmp_path / "clip.mkv", [700 + time for time in UNEVEN]))
    np.testing.assert_allclose(clip.times, np.array(UNEVEN) / 1000, atol=1e-9)
    assert clip.time_offset == 0


def test_start_end_and_stride_use_the_files_own_times(tmp_path):
    clip = load_clip(write_video(tmp_path / "clip.mp4", UNEVEN), ClipOptions(start=0.14, end=0.5, stride=3))
    assert [number(clip.image(i)) for i in range(len(clip))] == [3, 6, 9]
    np.testing.assert_allclose(clip.times, [0, 0.16, 0.30], atol=1e-9)
    assert clip.time_offset == pytest.approx(0.14)


def test_a_given_rate_replaces_the_timestamps(tmp_path):
    clip = load_clip(write_video(tmp_path / "clip.mp4", UNEVEN), ClipOptions(fps=10, start=0.5, end=0.7))
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2])
    assert [number(clip.image(i)) for i in range(3)] == [5, 6, 7]


def test_a_start_after_the_end_of_the_video(tmp_path):
    with pytest.raises(InputError, match=r"last frame is at 0\.940 s"):
        load_clip(write_video(tmp_path / "clip.mp4", UNEVEN), ClipOptions(start=3))


def test_frames_that_left_the_cache_are_decoded_again(tmp_path):
    """Random access by seeking gives the very pixels that decoding in order gave."""
    options = ClipOptions(stride=2, max_size=32)
    recording = read(write_video(tmp_path / "clip.mp4", UNEVEN, noise=40), options)
    clip = Clip(recording, options, cache_bytes=0)
    assert clip._cache.bytes == 0
    for i in (9, 0, 1, 2, 8, 4, 3, 3, 9):
        np.testing.assert_array_equal(clip.image(i), recording.framed[i])
    assert any("decoded again" in note for note in clip.notes)


def test_a_far_frame_is_reached_from_a_key_frame_near_it(tmp_path, monkeypatch):
    recording = read(write_video(tmp_path / "clip.mp4", list(range(0, 2000, 50))), ClipOptions())
    decoded = []
    undamaged = VideoFrames._undamaged

    def counted(self, container, stream):
        for picture in undamaged(self, container, stream):
            decoded.append(picture.pts)
            yield picture

    monkeypatch.setattr(VideoFrames, "_undamaged", counted)
    assert number(recording.images.read(38)) == 38
    assert len(decoded) <= 8  # The distance between key frames, of 39 frames before it.
    assert number(recording.images.read(39)) == 39
    assert len(decoded) <= 9


def test_frames_are_decoded_once_while_memory_allows(tmp_path, monkeypatch):
    clip = load_clip(write_video(tmp_path / "clip.mp4", UNEVEN))
    monkeypatch.setattr(VideoFrames, "decode", lambda *_: pytest.fail("decoded a second time"))
    for i in (3, 19, 0):
        assert number(clip.image(i)) == i


@pytest.mark.parametrize(("suffix", "container"), [("mp4", {"movflags": "faststart"}), ("mkv", {}), ("ts", {})])
def test_a_truncated_video_gives_what_can_be_decoded_and_says_so(tmp_path, suffix, container):
    path = write_video(tmp_path / f"clip.{suffix}", list(range(0, 1000, 50)), 128, 96, container, noise=60)
    data = path.read_bytes()
    whole = [clip.image(i) for clip in [load_clip(path)] for i in range(len(clip))]
    assert len(whole) == 20
    path.write_bytes(data[: int(len(data) * 0.6)])
    clip = load_clip(path)
    assert 5 <= len(clip) <= 14
    for i in range(len(clip)):
        assert np.abs(clip.image(i).astype(int) - whole[i]).mean() < 3
    if suffix != "ts":  # A transport stream announces nothing, so a clean cut in it cannot be told.
        assert any(f"{len(clip)} frames that could be decoded" in note for note in clip.notes)


@pytest.mark.parametrize(("suffix", "container"), [("mp4", {"movflags": "faststart"}), ("mkv", {})])
def test_damage_in_the_middle_leaves_the_sound_frames_at_their_times(tmp_path, suffix, container):
    """Pictures with missing parts are left out: as frames they would teach a fit tissue that never was."""
    path = write_video(tmp_path / f"clip.{suffix}", list(range(0, 2000, 50)), 128, 96, container, noise=60)
    clip = load_clip(path)
    whole = {round(1000 * time): clip.image(i) for i, time in enumerate(clip.times)}
    data = path.read_bytes()
    first, last = int(0.40 * len(data)), int(0.43 * len(data))
    path.write_bytes(data[:first] + bytes(last - first) + data[last:])
    clip = load_clip(path)
    assert 25 <= len(clip) < 40
    assert clip.times[-1] == pytest.approx(1.95, abs=1e-6)
    for i, time in enumerate(clip.times):
        np.testing.assert_array_equal(clip.image(i), whole[round(1000 * time)])
    assert any("missing parts" in note for note in clip.notes)


def test_a_truncated_video_read_up_to_an_end_needs_no_note(tmp_path):
    path = write_video(tmp_path / "clip.mp4", list(range(0, 1000, 50)), 128, 96, {"movflags": "faststart"}, noise=60)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    clip = load_clip(path, ClipOptions(end=0.1))
    assert len(clip) == 3
    assert not any("truncated" in note for note in clip.notes)


def test_unreadable_videos(tmp_path):
    path = write_video(tmp_path / "clip.mp4", UNEVEN)
    path.write_bytes(path.read_bytes()[:400])
    (tmp_path / "text.mp4").write_text("this is no video" * 50)
    (tmp_path / "empty.mp4").touch()
    for name in ("clip.mp4", "text.mp4", "empty.mp4"):
        with pytest.raises(InputError, match=rf"{name}: not a video that can be decoded"):
            load_clip(tmp_path / name)


def test_sound_is_no_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="not a video that can be decoded"):
        load_clip(path)


def test_a_video_without_timestamps_takes_its_average_rate(tmp_path):
    path = write_video(tmp_path / "clip.mp4", [i * 40 for i in range(10)])
    raw = tmp_path / "clip.h264"
    with av.open(str(path)) as source, raw.open("wb") as target:
        convert = av.BitStreamFilterContext("h264_mp4toannexb", source.streams.video[0])
        for packet in source.demux(video=0):
            for part in convert.filter(packet):
                target.write(bytes(part))
    clip = load_clip(raw)
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(10))
    assert (np.diff(clip.times) > 0).all()
    assert any("timestamps" in note for note in clip.notes)
    assert number(Clip(read(raw, ClipOptions()), cache_bytes=0).image(6)) == 6


def test_a_single_image_file_is_no_clip(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="single image"):
        load_clip(tmp_path / "a.png")


def test_a_one_frame_video(tmp_path):
    clip = load_clip(write_video(tmp_path / "clip.mp4", [0]))
    assert len(clip) == 1
    assert clip.times.tolist() == [0.0]
    assert number(clip.image(0)) == 0


def test_pixels_that_are_not_square_become_square(tmp_path):
    """A pixel twice as wide as high becomes two, so that nothing later has to know."""
    path = write_video(tmp_path / "clip.mp4", [0, 40], aspect=Fraction(2, 1))
    clip = load_clip(path, ClipOptions(focal=90))
    assert (clip.width, clip.height, clip.image(1).shape) == (128, 48, (48, 128, 3))
    np.testing.assert_allclose(clip.K[0], [[90, 0, 64], [0, 90, 24], [0, 0, 1]])
    assert any("not square (width / height = 2.0000)" in note and "128 x 48" in note for note in clip.notes)


def test_a_calibration_counts_pixels_as_stored(tmp_path):
    """Calibrations are made on the stored pixels, so with one they stay as they are and fx differs from fy."""
    path = write_video(tmp_path / "clip.mp4", [0, 40], aspect=Fraction(2, 1))
    numbers = {"fx": 45, "fy": 90, "cx": 32, "cy": 24, "width": 64, "height": 48}
    (tmp_path / "camera.json").write_text(json.dumps(numbers))
    clip = load_clip(path, ClipOptions(calibration=tmp_path / "camera.json"))
    assert clip.width == 64
    np.testing.assert_allclose([clip.K[0, 0, 0], clip.K[0, 1, 1]], [45, 90])
    assert any("the intrinsics say so" in note for note in clip.notes)


def test_four_k_works_with_a_note_on_memory(tmp_path):
    path = write_video(tmp_path / "clip.mp4", [0, 40], 3840, 2160)
    clip = load_clip(path)
    assert clip.image(1).shape == (2160, 3840, 3)
    assert any(note.startswith("memory: frames of 3840 x 2160 take 50 MB") for note in clip.notes)
    small = load_clip(path, ClipOptions(max_size=640))
    assert small.image(1).shape == (360, 640, 3)
    assert not any(note.startswith("memory") for note in small.notes)
    np.testing.assert_allclose(small.K[0], [[768, 0, 320], [0, 768, 180], [0, 0, 1]])
