"""The editor of masks: where a frame lies on a canvas, what presses do, and one click in a browser's words."""

import threading

import numpy as np
import pytest
from samples.live_client import LookingClient, picture, until
from samples.tool_clip import shaft, write_tool_clip

from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.live import edit_masks
from endogs.live.frame_on_canvas import TINT, Placement, draw
from endogs.live.mask_session import MOST_JOBS, MaskSession, Tool
from endogs.priors.instruments.corrections import Corrections


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_clip(write_tool_clip(tmp_path_factory.mktemp("tool") / "clip", 4), look=False)


def fresh(clip):
    return Corrections(clip, lambda i: np.zeros((120, 160), bool))


@pytest.mark.parametrize("canvas", [(400, 200), (200, 400), (33, 27)])
@pytest.mark.parametrize(("zoom", "middle"), [(1.0, (0.5, 0.5)), (4.0, (0.1, 0.9)), (2.0, (0.5, 0.3))])
def test_a_click_means_the_pixel_that_is_drawn_there(canvas, zoom, middle):
    """A white pixel of a black frame is looked for on the canvas, and its place leads back to it."""
    image = np.zeros((12, 16, 3), np.uint8)
    image[9, 2] = 255
    placement = Placement.of(canvas, (16, 12), zoom, middle)
    shown = draw(image, np.zeros((12, 16), bool), [], canvas, placement, tinted=False)
    assert shown.shape == (canvas[1], canvas[0], 3)
    row, column = np.unravel_index(int(shown[..., 0].argmax()), shown.shape[:2])
    place = placement.on_frame(column + 0.5, row + 0.5, (16, 12))
    if shown.max() > 200:  # enlarged elsewhere, it may be out of sight
        assert (int(place[0] * 16), int(place[1] * 12)) == (2, 9)
    assert placement.on_frame(-1, -1, (16, 12)) is None or zoom > 1


def test_masks_are_tinted_where_they_are():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:40] = True
    shown = draw(np.zeros((60, 80, 3), np.uint8), mask, [], (160, 120), Placement.of((160, 120), (80, 60)))
    assert (shown[60, 60] == (0.35 * np.array(TINT)).astype(np.uint8)).all()
    assert not shown[60, 100].any()


def test_presses_do_what_the_tool_does(clip):
    saved = []
    session = MaskSession(fresh(clip), lambda: saved.append(1) or "masks of 4 frames: here")
    session.go(2)
    session.press(40 / 160, 62 / 120, (320, 240))
    assert session.work()
    assert session.told == "added in 4 frames, 0 to 3"
    assert (session.unsaved, session.reached) == (1, None)
    session.tool = Tool(None)
    session.press(40 / 160, 62 / 120, (320, 240))
    assert session.zoom == 2
    assert not session.work()
    session.tool = Tool(False, 0.05)
    session.press(0.5, 0.5, (320, 240))  # the enlarged frame's middle is what was pressed before
    assert session.work()
    click = session.corrections.clicks[-1]
    assert (click.x, click.y, click.brush) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.517, abs=0.01), 0.05)
    session.undo()
    session.save()
    while session.work():
        pass
    assert (saved, session.unsaved, session.told) == ([1], 0, "masks of 4 frames: here")
    session.clear()
    assert session.work()
    assert session.told == "took back 1 click on frame 2"
    session.go(99)
    assert session.frame == 3


def test_a_save_that_fails_is_told_and_loses_nothing(clip):
    def full():
        raise InputError("the disk is full; make room.")

    session = MaskSession(fresh(clip), full)
    session.press(0.25, 0.5, (160, 120))
    session.save()
    while session.work():
        pass
    assert session.told == "⚠ the disk is full; make room."
    assert session.unsaved == 1


def test_presses_that_come_too_fast_are_counted(clip):
    session = MaskSession(fresh(clip), lambda: "saved")
    for _ in range(MOST_JOBS + 3):
        session.undo()
    assert session.work()
    assert session.told.endswith(f"; 3 more came while {MOST_JOBS} waited and were not done: repeat them")
    assert session.work()
    assert session.told == "there is no click to take back"


def test_a_browser_clicks_and_sees_the_mask(clip):
    """Over viser's protocol, behind the gate: the picture of the frame, a click, and the tint that it brings."""
    corrections, done = fresh(clip), threading.Event()
    editor = edit_masks.BrowserEditor("127.0.0.1", 0, done.wait)
    thread = threading.Thread(target=editor.edit, args=(corrections, lambda: "saved"))
    thread.start()
    try:
        client = LookingClient(editor.server.url)
        client.look(size=(320, 240))
        before = picture(client)
        assert before.shape == (240, 320, 3)
        client.click(40 / 160, 62 / 120)
        until(lambda: corrections.edits)
        assert corrections.instrument(0)[shaft(60)].mean() > 0.9

        def tinted():
            after = picture(client).astype(int)
            return after[132, 80, 1] - before[132, 80, 1] > 20 and after[180, 250, 1] - before[180, 250, 1] < 20

        until(tinted)
        client.close()
    finally:
        done.set()
        thread.join()
        editor.stop()
