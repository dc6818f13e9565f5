"""What inspect says of frames that show no tissue."""

from types import SimpleNamespace

import numpy as np

from endogs.pipeline.frame_states import frame_states


class Clip:
    ignored = np.zeros((4, 4), bool)

    def __init__(self, levels):
        self.levels = levels

    def __len__(self):
        return len(self.levels)

    def image(self, index):
        return np.full((4, 4, 3), self.levels[index], np.uint8)


class Network:
    def look(self, image, view):
        black = 0.9 if image.max() < 5 else 0.6 if image.max() < 50 else 0.1
        return SimpleNamespace(states={"tissue": 1 - black, "black": black})


def test_black_frames_are_named_and_doubtful_ones_are_not():
    said = frame_states(Clip([100, 0, 0, 100, 30, 100]), Network())
    assert "black in frames 1 to 2, by the look of 6 frames" in said
    assert "4" not in said
    assert frame_states(Clip([100] * 3), Network()) == ""


def test_a_frame_that_was_looked_at_stands_for_those_up_to_the_next():
    levels = [100] * 60 + [0] * 60
    said = frame_states(Clip(levels), Network())
    assert "by the look of 60 frames" in said
    assert "frames 61 to 119" in said
