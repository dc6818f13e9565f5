"""What a curve of costs over focal lengths says: where it is lowest, and what it excludes."""

import numpy as np
import pytest

from endogs.tracking.focal_length import ADMISSIBLE, STEP, lowest

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
