import pytest

from endogs.clip import split_frames
from endogs.errors import InputError


def test_standard_holds_out_every_eighth_from_one():
    split = split_frames(20, "standard")
    assert split.test == [1, 9, 17]
    assert split.test_view == "left"
    assert sorted(split.train + split.test) == list(range(20))


def test_gap_holds_out_five_in_a_row():
    split = split_frames(40, "gap")
    assert split.test == [10, 11, 12, 13, 14, 30, 31, 32, 33, 34]
    assert not set(split.train) & set(split.test)
    assert len(split.train) == 30


def test_gap_needs_a_frame_after_it():
    with pytest.raises(InputError, match="--split gap"):
        split_frames(15, "gap")
    assert split_frames(16, "gap").train[-1] == 15


def test_novel_view_learns_left_and_judges_right():
    split = split_frames(3, "novel-view")
    assert (split.train, split.test, split.test_view) == ([0, 1, 2], [0, 1, 2], "right")


def test_all_trains_and_tests_on_everything():
    split = split_frames(3, "all")
    assert (split.train, split.test, split.test_view) == ([0, 1, 2], [0, 1, 2], "left")


def test_one_frame_is_trained_on():
    assert split_frames(1).train == [0]
    assert split_frames(1).test == []


@pytest.mark.parametrize(("count", "name"), [(5, "random"), (0, "standard")])
def test_bad_splits_are_input_errors(count, name):
    with pytest.raises(InputError):
        split_frames(count, name)
