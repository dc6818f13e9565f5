"""Time: no frame is dropped for its stamp, one wrong stamp moves one frame, and no stamp sets a clip's length."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_videos import number, numbered, write

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.files.decode_times import with_decode_times
from endogs.clip.files.frame_seconds import frame_seconds
from endogs.clip.files.timestamps import CLOSED_PAUSE, UNSETTLED, Timeline
from endogs.clip.layouts.video import read
from endogs.scene.deformation.knots import Knots

EVEN = [0.04 * i for i in range(24)]


def times_of(stamps, step=0.04):
    timeline = Timeline(step)
    placed = list(timeline.placed((stamp, i) for i, stamp in enumerate(stamps)))
    assert [frame for _, frame in placed] == list(range(len(stamps))), "every frame, in order"
    times = np.array([time for time, _ in placed])
    assert (np.diff(times) > 0).all()
    assert times[0] == 0
    return times, timeline


def says(clip, *words):
    return any(all(word in note for word in words) for note in clip.notes)


def test_sound_stamps_are_kept_to_the_last_digit():
    uneven = [0.0, 0.033, 0.1, 0.4, 0.41, 2.0, 9.0, 9.04, 12.0]
    times, timeline = times_of(uneven)
    np.testing.assert_allclose(times, uneven, atol=1e-12)
    assert timeline.notes() == []


def test_joined_recordings_go_on():
    times, timeline = times_of([*EVEN[:12], *EVEN])
    np.testing.assert_allclose(times, 0.04 * np.arange(36), atol=1e-9)
    assert len(timeline.restarts) == 1
    assert "restarts once, first after 0.440 s" in timeline.notes()[0]


@pytest.mark.parametrize("wrong", [1e9, -1e9, 0.0, 0.2, 5.0, 0.36, None])
def test_one_wrong_stamp_moves_one_frame(wrong):
    stamps = list(EVEN)
    stamps[10] = wrong
    times, timeline = times_of(stamps)
    np.testing.assert_allclose(times, EVEN, atol=1e-9)
    assert timeline.misplaced == 1
    assert "1 of 24 frames" in timeline.notes()[0]


@pytest.mark.parametrize("place", [0, 23])
def test_a_wrong_stamp_at_an_end_does_not_stretch_the_clip(place):
    stamps = list(EVEN)
    stamps[place] = 1e9
    times, _ = times_of(stamps)
    np.testing.assert_allclose(times, EVEN, atol=1e-9)


def test_two_frames_with_one_stamp_each_are_spread():
    times, timeline = times_of([0.08 * (i // 2) for i in range(16)])
    np.testing.assert_allclose(times, 0.04 * np.arange(16), atol=1e-9)
    assert timeline.misplaced == 8


def test_a_pause_of_three_hours_is_closed_and_said():
    times, timeline = times_of([*EVEN[:8], *(10800 + stamp for stamp in EVEN[:8])])
    assert times[7] == pytest.approx(0.28)
    assert times[8] == pytest.approx(0.28 + CLOSED_PAUSE)
    assert times[-1] == pytest.approx(0.28 + CLOSED_PAUSE + 0.28)
    assert "10799.7 s" in timeline.notes()[0]


def test_a_time_lapse_is_no_pause():
    times, timeline = times_of([50.0 * i for i in range(10)])
    np.testing.assert_allclose(times, 50.0 * np.arange(10))
    assert timeline.notes() == []


def test_missing_stamps_at_the_start_are_made_up_backwards():
    times, timeline = times_of([None, None, 1.48, 1.52, 1.56])
    np.testing.assert_allclose(times, 0.04 * np.arange(5), atol=1e-9)
    assert timeline.misplaced == 2


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.floats(0, 10, allow_nan=False),
            st.floats(-1e12, 1e12, allow_nan=False),
            st.sampled_from([0.0, 0.04, 0.08, 1e9]),
        ),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_stamps_all_frames_come_and_time_goes_on(stamps):
    times, timeline = times_of(stamps)
    assert timeline.frames == len(stamps)
    assert np.isfinite(times).all()


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_frames_kept_back_are_few(seed):
    generator, waiting = random.Random(seed), []
    timeline = Timeline(0.04)

    def source():
        for index in range(80):
            waiting.append(index)
            yield generator.choice([None, 0.04 * index, 1e6 * generator.random()]), index

    for given_back, _ in enumerate(timeline.placed(source()), 1):
        assert len(waiting) - given_back <= UNSETTLED + 1


def test_a_video_whose_clock_restarts_is_read_to_its_end_also_without_the_cache(tmp_path):
    frames = [numbered(i) for i in range(24)]
    for name, part in (("a", frames[:12]), ("b", frames[12:])):
        write(tmp_path / f"{name}.ts", part)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    clip = load_clip(joined)
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(24))
    np.testing.assert_allclose(np.diff(clip.times), 0.04, atol=1e-6)
    assert says(clip, "clock restarts once", "0.440 s")
    assert not says(clip, "damaged")
    bare = Clip(read(joined, ClipOptions()), cache_bytes=0)
    assert [number(bare.image(i)) for i in (20, 3, 23, 11, 12)] == [20, 3, 23, 11, 12]


def test_equal_stamps_keep_their_frames_also_without_the_cache(tmp_path):
    path = write(tmp_path / "pairs.mkv", [numbered(i) for i in range(16)], [80 * (i // 2) for i in range(16)])
    clip = Clip(read(path, ClipOptions()), cache_bytes=0)
    assert [number(clip.image(i)) for i in (9, 8, 0, 15)] == [9, 8, 0, 15]
    assert says(clip, "8 of 16 frames")


def test_the_parts_around_a_pause_can_be_read_as_the_note_says(tmp_path):
    stamps = [*range(0, 320, 40), *range(10_800_000, 10_800_320, 40)]
    path = write(tmp_path / "pause.mkv", [numbered(i) for i in range(16)], stamps)
    clip = load_clip(path)
    assert clip.times[-1] < 2
    note = next(note for note in clip.notes if "pauses once" in note)
    moment = float(note.split("--end ")[1].split()[0])
    before, after = load_clip(path, ClipOptions(end=moment)), load_clip(path, ClipOptions(start=moment))
    assert [number(before.image(i)) for i in range(len(before))] == list(range(8))
    assert [number(after.image(i)) for i in range(len(after))] == list(range(8, 16))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_with_b_frames_gives_all_frames_evenly(tmp_path, codec):
    """AVI has no presentation times, so B-frames come with stamps that jump to and fro, or none."""
    options = {"bf": "2", "g": "12", "threads": "1"} | ({"crf": "8"} if codec == "libx264" else {"b": "4000000"})
    clip = load_clip(write(tmp_path / "clip.avi", [numbered(i) for i in range(24)], codec=codec, options=options))
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(24))
    np.testing.assert_allclose(np.diff(clip.times), 0.04, atol=1e-6)
    assert not says(clip, "damaged")


def test_decode_times_serve_where_the_others_jump():
    class Frame:
        def __init__(self, pts, dts):
            self.pts, self.dts = pts, dts

    jumping = [Frame(pts, i) for i, pts in enumerate([1, 4, 3, 5, 2])]
    assert [stamp for stamp, _ in with_decode_times(iter(jumping))] == [0, 1, 2, 3, 4]
    sound = [Frame(i, i - 2) for i in range(40)]
    assert [stamp for stamp, _ in with_decode_times(iter(sound))] == list(range(40))


def test_frames_that_an_edit_list_hides_are_no_damage(tmp_path):
    """FFmpeg writes an edit list for frames before time 0: they are stored, counted in the header, and not shown."""
    path = write(tmp_path / "clip.mp4", [numbered(i) for i in range(24)], list(range(-400, 560, 40)))
    clip = load_clip(path)
    assert [number(clip.image(i)) for i in (0, len(clip) - 1)] == [10, 23]
    assert not says(clip, "damaged")


def test_times_of_a_transforms_json_are_used():
    notes = []
    stated = [0, 0.1, 0.2, 0.3, 2, 4, 6, 8]
    np.testing.assert_allclose(frame_seconds(stated, None, notes), stated)
    assert "8.000 s" in notes[0]
    shares = [0, 0.1, 0.5, 1.0]
    np.testing.assert_allclose(frame_seconds(shares, 10, notes), np.array(shares) * 0.3)
    assert "share" in notes[1]
    np.testing.assert_allclose(frame_seconds([3, 4, 5, 9], 10, notes), [0, 0.1, 0.2, 0.6])
    np.testing.assert_allclose(frame_seconds([0.5, None, 1], 10, notes), [0, 0.1, 0.2])
    assert "2 of 3 frames have a time" in notes[-1]
    np.testing.assert_allclose(frame_seconds([0.0, 0.7, 9], 10, []), [0, 0.1, 0.2], err_msg="--fps goes before")


def test_knots_are_bounded_by_what_was_seen(monkeypatch):
    """A gap of three hours between two seconds of film must not cost a knot, for every Gaussian, for every second."""
    from endogs.seeding import knots

    class Frames:
        masks, metric = [np.ones((4, 4), bool)] * 16, False

        def flow(self, here, there):
            return np.full((4, 4, 2), 9.0)

    class Still:
        static_camera, width = True, 640

        def __len__(self):
            return 16

    for gap in (10.0, 10_800.0):
        frames, clip = Frames(), Still()
        frames.times = clip.times = np.array([*EVEN[:8], *(gap + stamp for stamp in EVEN[:8])])
        found = knots.clip_knots(clip, frames, 2.0)
        assert isinstance(found, Knots)
        assert found.intervals <= 16
