"""Points that keep moving otherwise lose their weight, slowly, and win it back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endogs.tracking.rigidity import gather, log_odds, rigid_weight, smooth

PRIOR = log_odds(0.15)


def after(residual, frames, start=PRIOR):
    odds = np.array([start])
    for _ in range(frames):
        gather(odds, np.array([0]), np.array([residual]), 1.0, PRIOR, 60.0, 0.2)
    return float(rigid_weight(odds)[0])


def test_what_is_off_by_much_deforms_and_what_is_not_is_rigid():
    assert after(5.0, 40) < 0.15
    assert after(0.8, 40) > 0.9
    assert after(0.8, 200, start=log_odds(0.98)) > 0.9


@settings(max_examples=30, deadline=None)
@given(residual=st.floats(0, 1e6), frames=st.integers(1, 80))
def test_no_point_is_ever_certain(residual, frames):
    assert 0.02 - 1e-9 <= after(residual, frames) <= 0.98 + 1e-9


def test_neighbours_share_what_they_know():
    rng = np.random.default_rng(0)
    positions = np.concatenate([rng.normal(0, 1, (30, 3)), rng.normal(0, 1, (30, 3)) + 100])
    odds = np.zeros(60)
    odds[:29] = 3.0
    smooth(odds, positions, np.arange(60))
    assert odds[29] > 0.3
    assert np.abs(odds[30:]).max() == 0


def test_points_that_were_not_seen_keep_their_odds():
    odds = np.array([1.0, 2.0])
    gather(odds, np.array([1]), np.array([0.0]), 1.0, PRIOR, 60.0, 0.2)
    assert odds[0] == 1.0
    assert odds[1] == pytest.approx(2.0 + (PRIOR - 2.0) / 60 - 0.2)
