"""Clicks change masks in every frame where the clicked thing can be followed, in order, and can be taken back."""

import json

import numpy as np
import pytest
from samples.tool_clip import overlap, shaft, write_tool_clip

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError
from endogs.priors.instruments.clicks import Click, read_clicks, write_clicks
from endogs.priors.instruments.corrections import Corrections

FRAMES = 6
TOOL = Click(3, 40 / 160, 62 / 120, True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(write_tool_clip(tmp_path_factory.mktemp("tool") / "clip", FRAMES), look=False)


def nothing(index):
    return np.zeros((120, 160), bool)


def overlaps(corrections):
    return [overlap(corrections.instrument(i), shaft(60 + 4 * i)) for i in range(FRAMES)]


def test_one_click_masks_the_moving_shaft_in_all_frames(clip):
    corrections = Corrections(clip, nothing)
    seen = []
    edit = corrections.apply(TOOL, lambda done, total: seen.append((done, total)))
    assert sorted(edit.patches) == list(range(FRAMES))
    assert seen == [(k, FRAMES) for k in range(2, FRAMES + 1)]
    assert min(overlaps(corrections)) > 0.85


def test_the_same_clicks_give_the_same_masks(clip):
    clicks = [TOOL, Click(1, 0.1, 0.55, False, 0.05), Click(5, 0.6, 0.2, True, 0.03)]
    results = []
    for _ in range(2):
        corrections = Corrections(clip, nothing)
        corrections.replay(clicks)
        results.append([corrections.instrument(i) for i in range(FRAMES)])
    assert np.array_equal(*results)


def test_undo_and_clear_give_what_was_before(clip):
    corrections = Corrections(clip, nothing)
    corrections.apply(Click(0, 0.7, 0.3, True, 0.04))
    before = [corrections.instrument(i) for i in range(FRAMES)]
    corrections.apply(TOOL)
    assert corrections.undo() == TOOL
    assert np.array_equal(before, [corrections.instrument(i) for i in range(FRAMES)])
    corrections.apply(TOOL)
    assert corrections.clear(0) == 1
    assert corrections.clicks == [TOOL]
    assert min(overlaps(corrections)) > 0.85
    assert corrections.undo() is not None
    assert corrections.undo() is None


def test_a_click_is_not_carried_past_one_that_says_the_contrary(clip):
    """What the user has said of a frame stands, whichever click came first."""
    corrections = Corrections(clip, nothing)
    corrections.apply(Click(4, 40 / 160, 62 / 120, False))
    edit = corrections.apply(TOOL)
    assert sorted(edit.patches) == [0, 1, 2, 3]
    assert not corrections.instrument(4).any()


def test_what_is_removed_goes_in_the_other_frames_too(clip):
    patch = nothing(0)
    patch[85:100, 110:130] = True
    corrections = Corrections(clip, lambda i: patch | shaft(60 + 4 * i))
    corrections.apply(Click(2, 120 / 160, 92 / 120, False))
    assert all(np.array_equal(corrections.instrument(i), shaft(60 + 4 * i)) for i in range(FRAMES))


def test_a_brush_paints_its_disc(clip):
    corrections = Corrections(clip, nothing)
    corrections.apply(Click(2, 100 / 160, 100 / 120, True, 8 / 160))
    assert corrections.instrument(2).sum() == pytest.approx(np.pi * 64, rel=0.1)
    assert corrections.instrument(2)[100, 100]


def test_nothing_is_masked_outside_of_the_view(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip", 2), ClipOptions(ignore_rows=("0:60",)), look=False)
    corrections = Corrections(clip, lambda i: np.ones((120, 160), bool))
    corrections.apply(Click(0, 0.5, 0.5, True, 0.2))
    assert not corrections.instrument(0)[:60].any()


def test_clicks_survive_a_file_and_another_part_of_the_clip(clip, tmp_path):
    clicks = [TOOL, Click(5, 0.25, 0.5, False, 0.1)]
    write_clicks(tmp_path / "clicks.json", clicks, clip, "no masks")
    assert read_clicks(tmp_path / "clicks.json", clip) == [
        Click(c.frame, pytest.approx(c.x, abs=1e-4), pytest.approx(c.y, abs=1e-4), c.adds, pytest.approx(c.brush))
        for c in clicks
    ]
    part = load_clip(clip.source, ClipOptions(start=0.09, max_size=80), look=False)
    assert [click.frame for click in read_clicks(tmp_path / "clicks.json", part)] == [0, 2]
    with pytest.raises(InputError, match=r"click 0 is on the frame at 0.1 s, which is not among"):
        read_clicks(tmp_path / "clicks.json", load_clip(clip.source, ClipOptions(stride=2), look=False))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "not a file of clicks"),
        ({"size": [1, 2]}, "give the clip"),
        ({"clicks": 3}, "should be a list"),
        ({"clicks": [7]}, "needs x from 0 to 160"),
        ({"clicks": [{"frame": 0, "x": 1, "y": 1e12, "does": "add"}]}, "needs x from"),
        ({"clicks": [{"frame": 0, "x": 1, "y": 1, "does": "paint"}]}, "neither"),
        ({"clicks": [{"frame": 0, "x": 1, "y": 1, "does": "add", "brush": -1}]}, "brush from 0 to 80"),
        ({"clicks": [{"frame": 60, "x": 1, "y": 1, "does": "add"}]}, "needs a frame from 0 to 5"),
        ({"clicks": [{"frame": True, "x": 1, "y": 1, "does": "add"}]}, "needs a frame"),
        ({"clicks": [{"time": "x", "x": 1, "y": 1, "does": "add"}]}, "not among the frames"),
    ],
)
def test_files_that_are_no_clicks_are_refused(clip, tmp_path, change, words):
    content = {"format": "endogs-clicks", "version": 1, "size": [160, 120], "clicks": []} | change
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_clicks(tmp_path / "c.json", clip)
