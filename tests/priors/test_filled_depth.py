"""Measured depth before a moving camera, with another prior's guess in its holes."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.filled_depth import FilledDepth
from endogs.priors.depth.hole_filling import FILLED, measured
from endogs.priors.depth.prediction import DepthInput, DepthPrediction
from endogs.priors.depth.stereo import StereoDepth

SHAPE = (64, 80)
TRUTH = (40 + np.linspace(0, 20, SHAPE[1])[None] + np.linspace(0, 5, SHAPE[0])[:, None]).astype(np.float32)
HOLES = np.zeros(SHAPE, bool)
HOLES[:, :12] = True
HOLES[20:30, 40:50] = True


@dataclass
class Told:
    """A prior that says what it is told to."""

    value: np.ndarray
    kind: str
    confidence: np.ndarray
    asked: int = 0
    temporal = False

    def prepare(self, clip, frames, masks):
        return [f"a note of {self.kind}"]

    def predict(self, frame):
        self.asked += 1
        height, width = frame.tissue_mask.shape
        step = SHAPE[0] // height
        assert (height * step, width * step) == SHAPE
        return DepthPrediction(self.value[::step, ::step], self.kind, self.confidence[::step, ::step])

    def about(self):
        return {"prior": self.kind}


def measured_prior(holes=HOLES):
    return Told(np.where(holes, 0, TRUTH), "metric", np.where(holes, 0, 1).astype(np.float32))


def guess():
    """The right shape, at another scale."""
    return Told(np.log(TRUTH / 7), "logdepth", np.ones(SHAPE, np.float32))


def frame(tissue_mask=None):
    tissue = np.ones(SHAPE, bool) if tissue_mask is None else tissue_mask
    return DepthInput(np.full((*SHAPE, 3), 120, np.uint8), tissue, np.diag([90.0, 90.0, 1.0]))


def test_holes_take_the_guess_at_the_scale_around_them_and_little_confidence():
    found = FilledDepth(measured_prior(), guess()).predict(frame())
    np.testing.assert_array_equal(found.value[~HOLES], TRUTH[~HOLES])
    np.testing.assert_array_equal(found.confidence[~HOLES], 1)
    assert found.kind == "metric"
    assert np.abs(found.value[HOLES] / TRUTH[HOLES] - 1).max() < 0.05
    assert 0.5 * FILLED < found.confidence[HOLES].min() <= found.confidence[HOLES].max() <= FILLED


def test_what_is_guessed_is_not_measured():
    found = FilledDepth(measured_prior(), guess()).predict(frame())
    np.testing.assert_array_equal(measured(found) > 0, ~HOLES)


def test_without_holes_nothing_is_guessed_and_nothing_changes():
    fill, whole = guess(), measured_prior(np.zeros(SHAPE, bool))
    found = FilledDepth(whole, fill).predict(frame())
    np.testing.assert_array_equal(found.value, TRUTH)
    assert fill.asked == 0


def test_behind_instruments_nothing_is_believed():
    instrument = np.zeros(SHAPE, bool)
    instrument[:, 60:] = True
    found = FilledDepth(measured_prior(HOLES | instrument), guess()).predict(frame(~instrument))
    assert (found.confidence[instrument] == 0).all()


class GreyClip:
    """Three grey frames, with nothing but their intrinsics."""

    K = np.tile(np.diag([90.0, 90.0, 1.0]), (3, 1, 1))
    baseline = None

    def image(self, i):
        return frame().image

    def depth(self, i):
        return None

    right_image = inverse_depth = doubtful = depth


def test_holes_are_told_only_where_there_are_some():
    clip = GreyClip()
    masks = lambda i: np.ones(SHAPE, bool)
    told = FilledDepth(measured_prior(), guess()).prepare(clip, [0, 1, 2], masks)
    assert told[0] == "a note of metric"
    assert told[1].startswith(f"of the tissue {100 * HOLES.mean():.0f} % has no measured depth")
    assert told[2] == "a note of logdepth"
    whole = FilledDepth(measured_prior(np.zeros(SHAPE, bool)), guess())
    assert whole.prepare(clip, [0, 1, 2], masks) == ["a note of metric"]


@pytest.mark.parametrize("static", [True, False])
def test_only_a_moving_camera_has_its_holes_filled(static):
    @dataclass
    class Clip:
        static_camera: bool
        has_inverse_depth = False

    prior = choose_depth_prior("stereo", Clip(static))
    assert isinstance(prior, StereoDepth if static else FilledDepth)
    assert ("filled_by" in prior.about()) is not static


def test_a_patch_of_wrong_matches_does_not_scale_the_guess_beside_it():
    wrong = measured_prior()
    wrong.value[10:40, 12:20] *= 4
    found = FilledDepth(wrong, guess()).predict(frame())
    assert np.abs(found.value[HOLES] / TRUTH[HOLES] - 1).max() < 0.2


def test_a_frame_that_was_looked_at_is_not_measured_again():
    prior, again = measured_prior(), measured_prior()
    filled = FilledDepth(prior, guess())
    filled.prepare(GreyClip(), [0, 1, 2], lambda i: np.ones(SHAPE, bool))
    looked_at = prior.asked
    assert looked_at == 3
    found = [filled.predict(replace(frame(), number=number)) for number in (0, 1, 2)]
    assert prior.asked == looked_at
    expected = FilledDepth(again, guess()).predict(frame())
    for one in found:
        np.testing.assert_array_equal(one.value, expected.value)
    filled.predict(replace(frame(), number=1))
    assert prior.asked == looked_at + 1, "it is kept until it is asked for"
