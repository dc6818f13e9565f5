"""What a curve of costs over focal lengths says: where it is lowest, and what it excludes."""

from dataclasses import replace

import numpy as np
import pytest

from endogs.tracking import focal_length
from endogs.tracking.bundle import Adjusted, Bundle
from endogs.tracking.focal_length import ADMISSIBLE, STEP, STEPS, lowest

FACTORS = STEP ** np.arange(-8.0, 9.0)


def costs(best: float, width: float) -> np.ndarray:
    """A parabola in the logarithm that has risen by ADMISSIBLE at `best` times or by `width`."""
    return ADMISSIBLE * np.square(np.log(FACTORS / best) / np.log(width))


def test_the_lowest_point_lies_between_the_factors_that_were_tried():
    found = lowest(FACTORS, costs(1.13, 1.2))
    assert found.factor == pytest.approx(1.13, rel=1e-6)
    assert found.low == pytest.approx(1.13 / 1.2, rel=0.01)
    assert found.high == pytest.approx(1.13 * 1.2, rel=0.01)
    assert found.known
    assert found.left_open(100.0) == f"{100 * found.low:.0f} to {100 * found.high:.0f}"


@pytest.mark.parametrize(("best", "said"), [(0.75, "all up to"), (1.45, "all from")])
def test_what_is_excluded_from_one_side_only_is_not_known(best, said):
    found = lowest(FACTORS, costs(best, 1.3))
    assert not found.known
    assert found.left_open(100.0).startswith(said)


def test_a_flat_curve_excludes_nothing():
    found = lowest(FACTORS, np.ones(len(FACTORS)))
    assert (found.low, found.high) == (0.0, np.inf)
    assert not found.known
    assert found.left_open(100.0) == "all"


@pytest.mark.parametrize("best", [0.5, 1.0, 1.9])
def test_a_curve_goes_on_until_focal_lengths_are_excluded_on_both_sides(best, monkeypatch):
    nothing = np.zeros((1, 3))
    whole = Bundle(np.eye(3), np.eye(4)[None], *([nothing] * 8))
    monkeypatch.setattr(focal_length, "adjust", lambda one, _: Adjusted(one.poses, one.points, nothing, nothing, 1, 0))
    monkeypatch.setattr(
        focal_length, "robust_cost", lambda one, _: ADMISSIBLE * np.log(one.K[0, 0] / best) ** 2 / np.log(1.2) ** 2
    )
    factors, costs = focal_length._curve(whole, 0.2, 2.4)
    found = lowest(factors, costs)
    assert found.factor == pytest.approx(best, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((best / 1.2, best * 1.2), rel=0.01)
    assert len(focal_length._curve(replace(whole))[0]) == 2 * STEPS + 1
    assert focal_length._curve(whole, 0.9, 1.1)[0][0] == pytest.approx(STEP**-STEPS)
