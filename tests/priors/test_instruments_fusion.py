"""Instruments found by network, colour, motion and time together; a stand-in for the network says what a test wants."""

import cv2
import numpy as np
from samples.tool_clip import HEIGHT, WIDTH, overlap, shaft, tissue, tool_frame, write_images, write_tool_clip

from endogs.clip import load_clip
from endogs.priors.instruments.by_fusion import InstrumentSearch, find_by_fusion, patches_of
from endogs.priors.instruments.components import edge_of_view
from endogs.priors.instruments.network import Sight


def write(folder, images):
    return load_clip(write_images(folder, images))


def says(answers, size=(WIDTH // 2, HEIGHT // 2)):
    """A network that answers 4 log odds inside masks (H, W) and -4 outside, one after the other, at half the size."""
    waiting = iter(answers)

    def speak(image):
        assert image.shape == (HEIGHT, WIDTH, 3)
        return cv2.resize(np.where(next(waiting), 4.0, -4.0).astype(np.float32), size, interpolation=cv2.INTER_AREA)

    return StandIn(speak)


class StandIn:
    def __init__(self, speak, clear=lambda image: 1.0):
        self.speak, self.clear = speak, clear

    def look(self, image, view=None):
        return Sight(self.speak(image), {"tissue": self.clear(image)})


unsure = StandIn(lambda image: np.zeros((10, 10), np.float32))


NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def test_the_network_finds_what_has_the_colour_of_tissue(tmp_path):
    """A jaw that mirrors tissue: colour is against it, and is outvoted."""
    images = []
    for i in range(4):
        image = tissue()
        image[shaft(60 + 4 * i)] = (150, 84, 76)
        images.append(image)
    clip = write(tmp_path / "clip", images)
    found = find_by_fusion(clip, network=says([shaft(60 + 4 * i) for i in range(4)]))
    assert "4 of 4 frames" in found.note
    for i in range(4):
        assert overlap(found.masks.instrument(i), shaft(60 + 4 * i)) > 0.8


def test_colour_calls_nothing_tissue_where_the_network_sees_metal(tmp_path):
    """What colour takes off the odds of tissue fades as the network becomes surer of an instrument, to nothing."""
    clip = write(tmp_path / "clip", [tissue() for _ in range(4)])
    against = []
    for odds in (-1.0, 0.0, 1.0, 3.0):
        said = np.full((10, 10), odds, np.float32)
        with_color, smoky = (
            InstrumentSearch(clip, StandIn(lambda image, said=said: said, lambda image, clear=clear: clear))
            for clear in (1.0, 0.0)
        )
        image = with_color.colors.small(0)
        against.append(float((smoky.alone(0, image) - with_color.alone(0, image)).mean()))
    assert against[0] > 1.9 * against[1] > 0.5
    np.testing.assert_allclose(against[2:], 0, atol=1e-6)


def test_colour_finds_what_the_network_does_not_know(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip"))
    found = find_by_fusion(clip, network=unsure)
    assert overlap(found.masks.instrument(3), shaft(72)) > 0.8


def test_grey_pictures_silence_colour_and_not_the_network(tmp_path):
    images = [np.repeat(tool_frame(60 + 4 * i).mean(2, keepdims=True), 3, 2).astype(np.uint8) for i in range(4)]
    clip = write(tmp_path / "clip", images)
    search = InstrumentSearch(clip, unsure)
    assert not search.colors_tell
    found = find_by_fusion(clip, network=says([shaft(60 + 4 * i) for i in range(4)]))
    assert overlap(found.masks.instrument(2), shaft(68)) > 0.8
    assert "tissue is not red" in found.note


def test_smoke_is_no_instrument_though_it_is_grey(tmp_path):
    images = [tissue() for _ in range(6)]
    images[3][:, : int(0.4 * WIDTH)] = 150
    clip = write(tmp_path / "clip", images)
    nothing = StandIn(lambda image: np.full((10, 10), -2, np.float32))
    assert find_by_fusion(clip, network=nothing).masks.instrument(3).mean() > 0.3, "colour finds it"
    smoke = StandIn(nothing.speak, lambda image: 1.0 if image.std() > images[3].std() else 0.1)
    assert find_by_fusion(clip, network=smoke).masks is None


def test_one_frame_that_the_network_misses_is_carried_by_its_neighbours(tmp_path):
    """The shaft is as red as tissue, so that colour cannot help; the first frame has its neighbours after it only."""
    for missed in (0, 3):
        images = []
        for i in range(6):
            image = tissue(color=(150, 84, 76))
            stripes = 25 * np.sin(np.arange(WIDTH) / 3 - 4 * i / 3)[None, :, None] + np.array([150, 84, 76])
            image[shaft(60 + 4 * i)] = np.broadcast_to(stripes, image.shape)[shaft(60 + 4 * i)]
            images.append(image)
        clip = write(tmp_path / f"clip{missed}", images)
        answers = [shaft(60 + 4 * i) for i in range(6)]
        answers[missed] = NOTHING
        whole = find_by_fusion(clip, network=says([shaft(60 + 4 * i) for i in range(6)])).masks
        search = InstrumentSearch(clip, says(answers))
        odds = list(search.spoken())
        inside = shaft(60 + 4 * missed) & ~shaft(20)
        small = cv2.resize(inside.astype(np.uint8), search.view.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        alone = odds[missed].own[small].mean()
        assert odds[missed].odds[small].mean() > alone + 2, "neighbours speak for it"
        assert whole.instrument(missed).any()


def test_nothing_is_found_where_nobody_sees_anything(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip", instrument=False))
    found = find_by_fusion(clip, network=says([NOTHING] * 6))
    assert found.masks is None
    assert "no instruments were found" in found.note


def test_too_much_and_flicker_are_not_believed(tmp_path):
    half = NOTHING.copy()
    half[:70] = True
    # Every frame is another tissue, so that nothing is carried from one to the next.
    clip = write(tmp_path / "half", [tissue(i) for i in range(4)])
    found = find_by_fusion(clip, network=says([half] * 4))
    assert found.masks is None
    assert "more than 45 % of the view in 4 of 4 frames" in found.note
    clip = write(tmp_path / "flicker", [tissue(i) for i in range(12)])
    found = find_by_fusion(clip, network=says([shaft(90), NOTHING] * 6))
    assert found.masks is None
    assert "jumps" in found.note


def test_the_same_masks_twice(tmp_path):
    clip = load_clip(write_tool_clip(tmp_path / "clip"))
    first, second = (find_by_fusion(clip, network=unsure).masks for _ in range(2))
    for i in range(len(clip)):
        np.testing.assert_array_equal(first.read(i), second.read(i))


def test_doubt_beside_an_instrument_is_its_halo(tmp_path):
    """A dark streak along the shaft, of which the network is not sure, is neither instrument nor tissue."""
    clip = load_clip(write_tool_clip(tmp_path / "clip", 3))
    streak = np.roll(shaft(64), 6, 0) & ~shaft(64)

    def speak(image):
        return np.where(shaft(64), 4.0, np.where(streak, 0.0, -4.0)).astype(np.float32)

    found = find_by_fusion(clip, network=StandIn(speak))
    beside = streak.copy()
    beside[:, 50:] = False
    beside &= ~np.roll(shaft(64), 3, 0)
    assert beside.sum() > 50
    assert found.masks.instrument(1)[beside].mean() < 0.1
    assert found.masks.halo(1)[beside].mean() > 0.6


def test_a_patch_must_be_sure_and_either_large_or_rooted():
    odds = np.full((100, 200), -3, np.float32)
    odds[:20, :20] = 3  # rooted
    odds[60:63, 100:110] = 3  # loose and small
    odds[80:92, 150:170] = 3  # loose and large
    odds[40:60, 180:] = 0.5  # rooted, never sure
    odds[24:28, 22:32] = 3  # small, beside what is rooted
    mask = patches_of(odds, edge_of_view(np.ones_like(odds, bool)))
    assert mask[:20, :20].all()
    assert mask[25, 28]
    assert mask[85, 160]
    assert not mask[60:63].any()
    assert not mask[40:60, 180:].any()


def test_a_tip_that_leaves_the_picture_is_kept_until_it_is_gone():
    """Too small to be believed by itself, and at the edge where the frame before had an instrument."""
    view = np.ones((200, 320), bool)
    edge = edge_of_view(view)
    odds = np.full(view.shape, -3, np.float32)
    odds[:6, 100:110] = 3
    before = np.zeros(view.shape, bool)
    assert not patches_of(odds, edge).any()
    assert not patches_of(odds, edge, before).any()
    before[:20, 95:110] = True
    np.testing.assert_array_equal(patches_of(odds, edge, before), odds > 0)
    assert not patches_of(odds, edge, np.roll(before, 60, 1)).any(), "another instrument's edge"
    assert not patches_of(np.roll(odds, 30, 0), edge, before).any(), "not at the edge"
    odds[:6, 100:110] = 1
    assert not patches_of(odds, edge, before).any(), "not sure"
