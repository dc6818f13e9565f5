"""Captions, logos and small windows over a moving view are spoken of; still pictures and spots are not."""

import cv2
import numpy as np
import pytest
from drawn_screens import compressed, moving_tissue, text, with_inset

from endogs.clip.view.field_of_view import find_field_of_view
from endogs.clip.view.overlays import find_overlays

SIZE = (460, 320)
NOTHING = np.zeros(SIZE[::-1], bool)


def view(count=6, still=False):
    return [moving_tissue(0 if still else i, *SIZE, seed=3) for i in range(count)]


def with_caption(frames):
    for frame in frames:
        text(frame, 12, 30, (235, 235, 235), 0)
    return frames


def with_logo(frames, x=400, y=270):
    for frame in frames:
        cv2.ellipse(frame, (x, y), (34, 24), 0, 0, 360, (20, 90, 200), -1)
        cv2.putText(frame, "ENDO", (x - 20, y + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (250, 250, 250), 1, cv2.LINE_AA)
    return frames


def with_small_window(frames, at=(10, 8)):
    x, y = at
    for frame in frames:
        frame[y : y + 30, x : x + 40] = (150, 155, 160)
        cv2.putText(frame, "REC", (x + 4, y + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (10, 10, 10), 1, cv2.LINE_AA)
    return frames


DRAWN = {
    "caption": (with_caption, (12, 18, 100, 100)),
    "logo": (with_logo, (366, 246, 434, 294)),
    "window": (with_small_window, (10, 8, 50, 38)),
    "window in the corner": (lambda frames: with_small_window(frames, (0, 0)), (0, 0, 40, 30)),
    "window at the edge": (lambda frames: with_small_window(frames, (200, 290)), (200, 290, 240, 320)),
}


@pytest.mark.parametrize("quality", [None, 60], ids=["clean", "jpeg 60"])
@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_over_the_view_is_found_or_spoken_of_with_its_place(name, quality):
    draw, (x0, y0, x1, y1) = DRAWN[name]
    frames = draw(view())
    found = find_field_of_view(compressed(frames, quality) if quality else frames)
    if found.outside[y0:y1, x0:x1].mean() > 0.9:
        return
    assert any("--ignore-box" in note for note in found.notes)
    covered = np.zeros_like(NOTHING)
    for note in found.notes:
        for word in note.split("--ignore-box ")[1:]:
            a, b, c, d = map(int, word.split(" ")[0].strip(";.").split(","))
            covered[b:d, a:c] = True
    assert covered[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].mean() > 0.6
    covered[max(0, y0 - 12) : y1 + 12, max(0, x0 - 12) : x1 + 12] = False
    assert not covered.any()


@pytest.mark.parametrize("still", [True, False], ids=["still", "moving"])
def test_tissue_holds_no_overlay(still):
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in view(still=still)]
    assert find_overlays(greys, NOTHING) == []


def test_a_still_clip_tells_nothing():
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in with_caption(view(still=True))]
    assert find_overlays(greys, NOTHING) == []


@pytest.mark.parametrize("at", [(0, 0), (412, 0), (10, 10), (200, 284)])
def test_a_small_picture_in_the_picture_is_excluded_or_spoken_of(at):
    x, y = at
    found = find_field_of_view(with_inset(view(), (x, y, x + 48, y + 36)))
    if not found.outside.any():
        assert f"--ignore-box {max(0, x - 1)},{max(0, y - 1)}," in found.notes[0].replace("10,10", "9,9")
    else:
        assert found.outside[y : y + 36, x : x + 48].all()
