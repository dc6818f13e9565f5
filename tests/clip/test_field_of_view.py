"""The field of view: round borders and interface strips are found, tissue of any kind is kept."""

import cv2
import numpy as np
import pytest
from samples.tool_clip import tissue

from endogs.clip import ClipOptions, load_clip
from endogs.clip.view.field_of_view import black_surroundings, find_field_of_view
from endogs.errors import InputError

HEIGHT, WIDTH = 240, 320


def frames(count=5, moving=True):
    large = np.hstack([np.vstack([tissue(s), tissue(s + 1)]) for s in (2, 5, 8)])
    return [large[:, 3 * i * moving : 3 * i * moving + WIDTH].copy() for i in range(count)]


def disc(radius=110):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - 160) ** 2 + (y - 120) ** 2 < radius**2


def with_round_view(images):
    for image in images:
        image[~disc()] = 3
        cv2.putText(image, "ID 12", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (220, 220, 220), 1)
    return images


def with_strip(images):
    for i, image in enumerate(images):
        image[226:, 40:200] = (50, 52, 60) if i % 2 else (30, 30, 36)
        cv2.putText(image, "LASER OFF", (60, 236), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (230, 230, 230), 1)
    return images


@pytest.mark.parametrize("moving", [True, False], ids=["moving", "still"])
def test_tissue_is_kept_whole_even_when_it_never_moves(moving):
    found = find_field_of_view(frames(moving=moving))
    assert not found.outside.any()
    assert found.notes == []


def test_a_single_frame_is_kept_whole():
    assert not find_field_of_view(frames(1)).outside.any()
    assert not find_field_of_view(with_strip(frames(2))).outside.any(), "two frames do not show that an edge stays"


def test_a_round_view_is_found_with_the_text_beside_it():
    outside = find_field_of_view(with_round_view(frames())).outside
    assert outside[~disc()].all()
    assert outside[disc(104)].mean() == 0


def test_crescents_of_a_view_that_moves_a_little_are_no_tissue_and_a_shaft_at_its_edge_is():
    images, (y, x) = frames(), np.mgrid[:HEIGHT, :WIDTH]
    for k, (image, shift) in enumerate(zip(images, (0, 6, 0, 5, 0), strict=True)):
        image[(y > 60 + 25 * k) & (y < 80 + 25 * k) & (x < 110)] = 5  # a shaft
        image[(x - 157 - shift) ** 2 + (y - 120) ** 2 > 110**2] = 3
    outside = find_field_of_view(images).outside
    shown_by_all = ((x - 157) ** 2 + (y - 120) ** 2 < 110**2) & ((x - 163) ** 2 + (y - 120) ** 2 < 110**2)
    assert outside[~shown_by_all].mean() > 0.98
    inside = (x - 160) ** 2 + (y - 120) ** 2 < 100**2
    assert not outside[inside].any()


def test_glare_beside_a_bright_wall_is_no_part_of_the_view_and_a_dark_fold_is():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    far = np.hypot(x - 160, y - 120)
    glare = (far >= 113) & (far < 130) & (x > 200) & (y > 120)
    fold = disc() & (np.abs(y - 120) < 8) & (x > 200)
    images = with_round_view(frames(8))
    for k, image in enumerate(images):
        wall = disc() & (x > 180) & ~fold
        image[wall] = 160 + image[wall] // 4
        image[fold] = 40 if k == 3 else 12
        image[glare] = 45 if k == 3 else 8
    outside = black_surroundings(images)
    assert outside[glare].all()
    assert not outside[disc(104)].any()


def test_a_letterbox_is_found():
    images = frames()
    for image in images:
        image[:30] = image[210:] = 0
    outside = find_field_of_view(images).outside
    assert outside[:30].all()
    assert outside[210:].all()
    assert not outside[34:206].any()


def test_dark_corners_that_fade_and_black_instruments_are_no_border():
    fading = [(image * np.clip(np.arange(WIDTH) / 200, 0, 1)[:, None] ** 2).astype(np.uint8) for image in frames()]
    assert not black_surroundings(fading).any()
    shafts = frames()
    for image in shafts:
        cv2.line(image, (330, 250), (240, 170), (4, 4, 5), 30)
    assert not find_field_of_view(shafts).outside.any()


@pytest.mark.parametrize("turns", range(4))
def test_a_strip_is_found_on_every_side_also_when_it_blinks(turns):
    images = [np.ascontiguousarray(np.rot90(image, turns)) for image in with_strip(frames())]
    found = find_field_of_view(images)
    outside = np.rot90(found.outside, -turns)
    assert outside[228:, 44:196].all()
    assert not outside[:220].any()
    assert outside.mean() < 0.05
    assert ["bottom", "right", "top", "left"][turns] in found.notes[0]


@pytest.mark.parametrize("value", [0, 255])
def test_frames_of_one_colour_have_no_view_to_limit(value):
    assert not find_field_of_view([np.full((60, 80, 3), value, np.uint8)] * 4).outside.any()


def write(folder, images):
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i}.png"), image[..., ::-1])
    return folder


def test_a_clip_excludes_what_is_found_and_options_replace_it(tmp_path):
    folder = write(tmp_path / "clip", with_strip(frames()))
    clip = load_clip(folder)
    assert not clip.tissue_mask(0)[230, 100]
    assert any("burnt-in strip at the bottom" in note for note in clip.notes)
    by_hand = load_clip(folder, ClipOptions(ignore_rows=("0:10",)))
    np.testing.assert_array_equal(by_hand.ignored.all(1), np.arange(HEIGHT) < 10)
    assert not load_clip(folder, ClipOptions(borders="keep")).ignored.any()
    assert not load_clip(folder, ClipOptions(crop=(0, 0, WIDTH, 220))).ignored.any()
    with pytest.raises(InputError, match="--crop"):
        load_clip(folder, ClipOptions(crop=(0, 0, WIDTH, HEIGHT + 1)))


@pytest.mark.parametrize("level", [0, 14, 20, 22, 24, 28])
def test_dark_grey_around_the_view_is_found_at_every_level(level):
    """Between what is called black and what is called a panel no level is left out."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:180, :240]
    inside = (x - 120) ** 2 + (y - 90) ** 2 < 80**2
    soft = cv2.GaussianBlur(rng.normal(size=(200, 260, 3)).astype(np.float32), (0, 0), 7)
    images = []
    for k in range(6):
        tissue = np.array([140, 70, 60]) + 200 * soft[2 * k : 2 * k + 180, 3 * k : 3 * k + 240]
        image = np.where(inside[..., None], tissue, level) + rng.normal(0, 1.5, (180, 240, 3))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    outside = find_field_of_view(images).outside
    assert outside[~inside].mean() > 0.9
    assert outside[inside].mean() < 0.1


@pytest.mark.parametrize("ring", [0, 3])
def test_a_bright_ring_along_a_round_view_is_no_tissue(ring):
    """A ring that stays while tissue moves past is the lens's; without one, nothing of the view is lost."""
    y, x = np.mgrid[:200, :240]
    away = np.hypot(x - 120, y - 100)
    rng = np.random.default_rng(0)
    images = []
    for _ in range(4):
        tissue = np.full((200, 240), 100) + rng.normal(0, 15, (200, 240))
        tissue[(away > 90 - ring) & (away <= 90)] += 80
        images.append(np.repeat(np.where(away <= 90, tissue, 5).clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    outside = black_surroundings(images)
    assert not outside[away < 90 - 3 - 1.5 * ring].any()
    assert outside[away > 90 - ring].all()
