"""Pictures of frames without a pose or tissue say so; all others are as they are."""

from dataclasses import replace

import numpy as np
import pytest

from endogs.pictures.beside_clip import beside_clip
from endogs.pictures.film import film
from endogs.pictures.left_out_label import labelled
from endogs.scene.origin import Origin

GREY = np.full((60, 200, 3), 128, np.uint8)


def lacking(scene, unplaced=None, tissueless=None):
    return replace(scene, origin=replace(scene.origin, unplaced_frames=unplaced, tissueless_frames=tissueless))


def test_a_frame_lacks_what_its_origin_says():
    origin = Origin(unplaced_frames=(1, 2), tissueless_frames=(2, 3))
    assert [origin.lacks(i) for i in range(5)] == ["", "no pose", "no pose, no tissue", "no tissue", ""]
    assert Origin().lacks(0) == ""


def test_only_frames_that_lack_something_are_labelled(scene):
    some = lacking(scene, (1,))
    for frame, time in enumerate(scene.times[:3]):
        shown = labelled(GREY, some, float(time))
        assert np.array_equal(shown, GREY) is (frame != 1)
    shown = labelled(GREY, some, float(scene.times[1]))
    assert (GREY == 128).all(), "what was handed over stays"
    np.testing.assert_array_equal(shown[:30], 128)
    assert (shown[30:] > 200).any(), "letters"
    assert (shown[30:] < 20).any(), "on a dark ground"


@pytest.mark.parametrize("size", [(8, 6), (40, 30), (1920, 1080)])
def test_a_label_is_put_into_pictures_of_any_size(scene, size):
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    shown = labelled(image, lacking(scene, None, (0,)), 0.0)
    assert shown.shape == image.shape
    assert not np.array_equal(shown, image)


@pytest.mark.parametrize("what", ["color", "depth", "side-by-side"])
def test_a_film_labels_what_is_guessed(scene, what):
    times = [float(time) for time in scene.times[:3]]
    plain, told = (list(film(one, times, what)[0]) for one in (scene, lacking(scene, None, (1,))))
    assert [np.array_equal(a, b) for a, b in zip(plain, told, strict=True)] == [True, False, True]
    lower = plain[1].shape[0] // 2
    np.testing.assert_array_equal(plain[1][:lower], told[1][:lower])


def test_beside_the_clip_the_rendering_is_labelled_and_the_clip_is_not(scene):
    class Seen:
        def image(self, i):
            return np.full((scene.height, scene.width, 3), 60, np.uint8)

    plain, told = (beside_clip(one, Seen(), 0.0, 1.0, (50, 70)) for one in (scene, lacking(scene, (0,))))
    changed = (plain != told).any(axis=(0, 2))
    assert changed[scene.width : 2 * scene.width].any()
    assert not changed[: scene.width].any()
    assert not changed[2 * scene.width :].any()
