"""How clips are cut into segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endogs.clip.splits import split_frames
from endogs.fit.config import PRESETS
from endogs.fit.memory import fit_bytes
from endogs.fit.segments import (
    FEWEST_FRAMES,
    OVERLAP,
    SEGMENT_BYTES,
    begun_where_seen,
    config_of,
    cut,
    pieces_of,
    split_of,
)
from endogs.scene.chain import check_segments

BALANCED = PRESETS["balanced"]


@given(st.integers(1, 5000), st.integers(OVERLAP + 1, 400))
def test_segments_cover_the_clip_overlap_and_are_never_too_long(frames, most):
    pieces = cut(frames, most)
    check_segments(pieces.segments, frames) if frames > 1 else None
    assert pieces.longest <= most or pieces.one
    assert pieces.longest <= max(most, 1)
    for before, after in zip(pieces.segments, pieces.segments[1:], strict=False):
        assert before.last - after.first + 1 == OVERLAP


def test_a_short_clip_stays_whole_and_a_long_one_is_cut_to_the_memory_that_segments_have():
    assert pieces_of(179, 675, 540, BALANCED, room=16e9).one
    long = pieces_of(2000, 640, 512, BALANCED, room=16e9)
    assert not long.one
    assert fit_bytes(long.longest, 640, 512, BALANCED) <= 1.02 * SEGMENT_BYTES
    assert min(len(one) for one in long.segments) > 0.9 * long.longest, "no small rest"


def test_little_memory_makes_short_segments_of_a_short_clip():
    assert pieces_of(179, 675, 540, BALANCED, room=3e9).longest < 100
    assert pieces_of(179, 3840, 2160, BALANCED, room=3e9).longest == FEWEST_FRAMES


def test_somebody_may_ask_for_a_length():
    assert pieces_of(100, 64, 48, BALANCED, room=16e9, asked=40).longest <= 40
    assert pieces_of(30, 64, 48, BALANCED, room=16e9, asked=40).one


@pytest.mark.parametrize("name", ["standard", "gap", "all"])
def test_every_frame_keeps_its_part_in_the_split(name):
    split = split_frames(500, name)
    pieces = cut(500, 72)
    parts = [split_of(split, one) for one in pieces.segments]
    assert sorted({i for part in parts for i in part.train}) == split.train
    assert sorted({i for part in parts for i in part.test}) == split.test
    assert all(part.train[0] <= one.first + OVERLAP - 1 for part, one in zip(parts, pieces.segments, strict=True))


@given(st.integers(1, 600), st.integers(OVERLAP + 1, 80), st.integers(0, 700))
def test_the_first_segment_has_frames_to_learn_from_if_any_has(frames, most, dark):
    pieces, train = cut(frames, most), list(range(dark, frames))
    begun = begun_where_seen(pieces, train)
    check_segments(begun.segments, frames) if frames > 1 else None
    assert begun.segments[-1] == pieces.segments[-1] or begun.one
    assert not train or train[0] <= begun.segments[0].last
    assert (
        begun == pieces if dark <= pieces.segments[0].last else len(begun.segments) < len(pieces.segments) or not train
    )


def test_steps_are_shared_out_by_frames():
    pieces = cut(200, 72)
    steps = [config_of(BALANCED.with_iterations(1000), one, 200).iterations for one in pieces.segments]
    assert 1000 <= sum(steps) <= 1000 * (200 + OVERLAP * len(steps)) / 200 + len(steps)
