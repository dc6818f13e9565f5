"""Screens of processors and editors: panels of any colour, insets and pillars are found, tissue of any kind is kept."""

import cv2
import numpy as np
import pytest
from drawn_screens import compressed, moving_tissue, screen, text, with_inset, with_pillars

from endogs.clip import ClipOptions, load_clip
from endogs.clip.view.field_of_view import find_field_of_view
from endogs.clip.view.panels import even_rest
from endogs.errors import InputError

SCREENS = {
    "grey, left, octagon": ((480, 320), (160, 14, 470, 306), (72, 72, 74), "octagon", 0),
    "blue, left, to the sides": ((480, 320), (160, 0, 480, 320), (20, 30, 110), "rectangle", 0),
    "white, right": ((480, 320), (0, 0, 330, 320), (236, 236, 236), "rectangle", 0),
    "green, both sides": ((560, 320), (150, 0, 410, 320), (30, 90, 50), "rectangle", 0),
    "slate, a high bar on top": ((420, 320), (0, 110, 420, 320), (50, 60, 72), "rectangle", 0),
    "disc on blue": ((420, 320), (60, 4, 372, 316), (20, 40, 120), "disc", 0),
    "disc on a grey gradient": ((420, 320), (100, 20, 380, 300), (100, 100, 110), "disc", 36),
    "gradient, left": ((560, 320), (200, 20, 550, 300), (45, 60, 100), "rectangle", 50),
    "almost black": ((480, 320), (160, 14, 470, 306), (32, 32, 34), "octagon", 0),
    "violet, left, HD": ((1280, 720), (420, 30, 1260, 690), (70, 40, 100), "octagon", 0),
}


def shrunk(mask, pixels=4):
    return cv2.erode(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8), borderValue=1).astype(bool)


@pytest.mark.parametrize("quality", [None, 50], ids=["clean", "jpeg 50"])
@pytest.mark.parametrize("name", SCREENS)
def test_panels_of_any_colour_are_excluded_with_their_text(name, quality):
    size, box, color, shape, gradient = SCREENS[name]
    frames, background = screen(size, box, color, shape, gradient)
    found = find_field_of_view(compressed(frames, quality) if quality else frames)
    assert found.outside[shrunk(background)].mean() > 0.999
    assert not found.outside[shrunk(~background, 8 if size[0] > 960 else 6)].any()
    assert len(found.notes) == 1
    assert "panels of one colour" in found.notes[0]
    assert f"({100 * background.mean():.0f}"[:2] in found.notes[0]
    assert "--borders keep" in found.notes[0]


@pytest.mark.parametrize("level", [12, 18, 21, 23, 26])
def test_a_surround_between_black_and_grey_is_excluded_after_compression(level):
    frames, background = screen((420, 320), (60, 4, 372, 316), (level,) * 3, "disc", seed=level)
    outside = find_field_of_view(compressed(frames, 80)).outside
    assert outside[shrunk(background)].mean() > 0.99
    assert not outside[shrunk(~background, 6)].any()


def test_a_still_picture_beside_a_panel_and_an_instrument_of_its_colour_stay():
    frames, background = screen((480, 320), (160, 14, 470, 306), (72, 72, 74))
    for frame in frames:
        frame[:] = frames[0]
        frame[140:160, 350:470] = (72, 72, 74)
    outside = find_field_of_view(frames).outside
    assert outside[shrunk(background)].all()
    assert not outside[shrunk(~background, 6)].any()


@pytest.mark.parametrize("outline", [None, (240, 240, 240)], ids=["plain", "outlined"])
@pytest.mark.parametrize("box", [(300, 16, 440, 116), (14, 210, 134, 300)], ids=["top right", "bottom left"])
@pytest.mark.parametrize("still", [True, False], ids=["still", "moving"])
def test_a_picture_in_the_picture_is_excluded(box, outline, still):
    frames = [moving_tissue(0 if still else i, 460, 320, seed=3) for i in range(6)]
    found = find_field_of_view(with_inset(frames, box, outline))
    x0, y0, x1, y1 = box
    assert found.outside[y0:y1, x0:x1].all()
    found.outside[y0 - 6 : y1 + 6, x0 - 6 : x1 + 6] = False
    assert not found.outside.any()
    assert "a window drawn over the view (columns" in found.notes[0]


def test_a_frame_drawn_on_tissue_holds_tissue():
    frames = [moving_tissue(i, 460, 320, seed=3) for i in range(6)]
    for frame in frames:
        cv2.rectangle(frame, (150, 100), (300, 220), (0, 255, 0), 1)
    assert not find_field_of_view(frames).outside.any()


@pytest.mark.parametrize("upright", [True, False], ids=["pillars", "bars"])
@pytest.mark.parametrize("inner", [180, 400])
def test_blurred_copies_beside_the_view_are_excluded(inner, upright):
    frames = with_pillars([moving_tissue(i, inner, 300, seed=5) for i in range(6)], 540)
    frames = frames if upright else [np.ascontiguousarray(frame.transpose(1, 0, 2)) for frame in frames]
    found = find_field_of_view(frames)
    outside = found.outside if upright else found.outside.T
    left = (540 - inner) // 2
    assert outside[:, : left - 1].all()
    assert outside[:, left + inner + 1 :].all()
    assert not outside[:, left + 7 : left + inner - 7].any()
    assert len(found.notes) == 2
    assert all("blurred or still picture" in note for note in found.notes)


def test_a_name_that_runs_into_the_view_is_excluded_before_it():
    frames, background = screen((480, 320), (120, 14, 470, 306), (40, 50, 60))
    for frame in frames:
        cv2.putText(frame, "Name: PHANTOM, Synthetic", (6, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 2)
    outside = find_field_of_view(frames).outside
    assert outside[shrunk(background)].all()
    assert not outside[shrunk(~background, 6)].any()


def test_a_corner_of_one_colour_is_excluded():
    frames = [moving_tissue(i, 460, 320, seed=3) for i in range(6)]
    for index, frame in enumerate(frames):
        frame[230:, :260] = (60, 62, 70)
        text(frame, 8, 246, (230, 230, 230), index)
    outside = find_field_of_view(frames).outside
    assert outside[230:, :260].all()
    assert not outside[:222].any()
    assert not outside[:, 268:].any()


def test_half_a_border_is_said_to_be_half():
    frames = [moving_tissue(i, 460, 320, seed=3) for i in range(6)]
    for frame in frames:
        frame[:, :180] = (60, 62, 70)
    strip = np.zeros((320, 460), bool)
    strip[:, :20] = True
    rest = even_rest(frames, strip, strip)
    assert rest is not None
    np.testing.assert_allclose(rest[0], (20, 0, 180, 320), atol=3)
    assert rest[1], "it is the box"
    assert even_rest([moving_tissue(i, 460, 320, seed=3) for i in range(6)], strip, strip) is None


def test_a_panel_with_a_soft_edge_is_excluded():
    frames = [moving_tissue(i, 480, 320, seed=3) for i in range(6)]
    share = np.clip((np.arange(480) - 150) / 14, 0, 1)[:, None]
    for i, frame in enumerate(frames):
        frame[:] = share * frame + (1 - share) * np.array((72, 72, 74))
        text(frame, 6, 20, (225, 225, 225), i)
    outside = find_field_of_view(frames).outside
    assert outside[:, :150].all()
    assert not outside[:, 175:].any()


@pytest.mark.parametrize("kind", ["still", "smooth", "white sheet", "dark side", "shafts", "even tissue"])
def test_tissue_is_kept_whole(kind):
    frames = [moving_tissue(0 if kind == "still" else i, 460, 320, seed=3) for i in range(6)]
    for i, frame in enumerate(frames):
        if kind in ("smooth", "even tissue"):
            frame[:] = cv2.GaussianBlur(frame, (0, 0), 6 if kind == "smooth" else 40)
        if kind == "white sheet":
            y = 220 + 14 * np.sin(np.arange(460) / 30) + 8 * np.sin(np.arange(460) / 11 + i)
            frame[np.arange(320)[:, None] > y] = (252, 250, 249)
        if kind == "dark side":
            fading = np.clip(np.arange(460) / 300, 0.02, 1) ** 1.5
            frame[:] = (32 + (frame.astype(float) - 32).clip(0) * fading[:, None]).astype(np.uint8)
        if kind == "shafts":
            cv2.line(frame, (470, 200), (250, 190), (120, 122, 128), 36)
            frame[:180, 120:150] = (46, 46, 48)
    found = find_field_of_view(frames)
    assert not found.outside.any()
    assert found.notes == []


def write(folder, frames):
    folder.mkdir()
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i}.png"), frame[..., ::-1])
    return folder


def test_places_are_pixels_of_the_original_and_boxes_are_left_out_beside_what_is_found(tmp_path):
    frames = with_inset([moving_tissue(i, 460, 320, seed=3) for i in range(6)], (300, 16, 440, 116))
    folder = write(tmp_path / "clip", frames)
    clip = load_clip(folder, ClipOptions(crop=(100, 0, 460, 320), max_size=180, ignore_box=("110,200,140,240",)))
    note = next(note for note in clip.notes if "window drawn" in note)
    numbers = [int(word.strip(",")) for word in note.replace(",", " ").split() if word.strip(",").isdigit()][:4]
    np.testing.assert_allclose(numbers, (300, 440, 16, 116), atol=6)
    assert clip.ignored[10:55, 102:168].all()
    assert clip.ignored[100:120, 5:20].all()
    assert not clip.ignored[70:95].any()
    kept = load_clip(folder, ClipOptions(borders="keep", ignore_box=("0,0,10,20",)))
    assert kept.ignored.sum() == 200


def test_boxes_that_leave_little_are_told_and_such_that_leave_nothing_are_refused(tmp_path):
    folder = write(tmp_path / "clip", [moving_tissue(i, 460, 320) for i in range(3)])
    notes = load_clip(folder, ClipOptions(ignore_box=("0,0,460,300",))).notes
    told = next(note for note in notes if "is left, in columns" in note)
    assert "93.8 % of every frame" in told
    assert "only 6.2 %" in told
    assert "columns 0 to 460, rows 300 to 320" in told
    for boxes, crop in (
        (("0,0,460,320",), None),
        (("0,0,230,320", "230,0,460,320"), None),
        (("0,0,99,99",), (9, 9, 40, 40)),
    ):
        with pytest.raises(InputError, match="--ignore-box"):
            load_clip(folder, ClipOptions(ignore_box=boxes, crop=crop))
    notes = load_clip(folder, ClipOptions(ignore_box=("0,0,460,280",))).notes
    assert not any("is left, in columns" in note for note in notes)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "5,0,5,9", "0,0,461,10", "0,-1,4,4"])
def test_a_box_that_is_none_is_refused(tmp_path, text):
    folder = write(tmp_path / "clip", [moving_tissue(0, 460, 320)])
    with pytest.raises(InputError, match="--ignore-box"):
        load_clip(folder, ClipOptions(ignore_box=(text,)))
