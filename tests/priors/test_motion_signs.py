"""What moves with the instrument is told from what moves with the tissue, and nothing is said where both move alike."""

import numpy as np

from endogs.priors.instruments.motion_signs import MOST, motion_log_odds

VIEW = np.ones((120, 160), bool)


def moving(tool, by, tissue_by):
    flow = np.empty((120, 160, 2), np.float32)
    flow[:] = tissue_by
    flow[tool] = by
    return flow


def known(sure, tip):
    odds = np.full((120, 160), -4, np.float32)
    odds[sure] = 4
    odds[tip] = -0.5
    return odds


def places():
    tool = np.zeros((120, 160), bool)
    tool[50:70, :90] = True
    tip = tool.copy()
    tip[:, :78] = False
    return tool, tip, tool & ~tip


def test_a_tip_that_moves_with_its_shaft_is_instrument_and_tissue_beside_it_is_not():
    tool, tip, sure = places()
    said = motion_log_odds(known(sure, tip), moving(tool, (3, 0), (0, -1)), VIEW)
    assert said[tip].min() > 1
    assert said[75:80, 40:80].max() < -1
    assert not said[:20].any(), "far from the instrument"
    assert np.abs(said).max() <= MOST


def test_an_instrument_that_holds_the_tissue_says_nothing():
    tool, tip, sure = places()
    assert not motion_log_odds(known(sure, tip), moving(tool, (2, 1), (2, 1)), VIEW).any()


def test_little_teaches_nothing():
    tool = np.zeros((120, 160), bool)
    tool[50:55, :5] = True
    assert not motion_log_odds(known(tool, tool & False), moving(tool, (3, 0), (0, 0)), VIEW).any()


def test_the_tissue_may_stretch_and_turn():
    """An affine motion of the tissue is no motion against it."""
    tool, tip, sure = places()
    y, x = np.mgrid[:120, :160].astype(np.float32)
    flow = np.stack([0.02 * (x - 80) - 0.03 * (y - 60), 0.03 * (x - 80)], -1)
    flow[tool] = (6, 0)
    said = motion_log_odds(known(sure, tip), flow, VIEW)
    assert said[tip].min() > 0.5
    assert said[76:80, 20:80].max() < -1
