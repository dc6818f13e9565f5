"""Depth tells whose the pixels are that found masks leave open."""

import numpy as np

from endogs.priors.depth.beside_instruments import continuing
from endogs.priors.depth.given import GivenDepth
from endogs.priors.depth.prediction import DepthInput

HEIGHT, WIDTH = 60, 90


def columns(first, last):
    x = np.arange(WIDTH)
    return np.repeat(((x >= first) & (x < last))[None], HEIGHT, 0)


def scene():
    """A shaft of columns 40 to 50, 8 mm in front of a slope; 36 to 43 and 47 to 54 are in doubt."""
    depth = np.repeat(np.linspace(80, 95, WIDTH, dtype=np.float32)[None], HEIGHT, 0)
    depth[columns(40, 50)] -= 8
    doubtful = columns(36, 43) | columns(47, 54)
    return depth, ~columns(36, 54), doubtful


def test_what_continues_the_tissue_is_tissue_and_what_stands_in_front_of_it_is_not():
    depth, tissue, doubtful = scene()
    found = continuing(depth, tissue, doubtful)
    assert found[columns(36, 40) | columns(50, 54)].all()
    assert not found[~doubtful | columns(40, 50)].any()


def test_unknown_depth_continues_nothing():
    depth, tissue, doubtful = scene()
    assert not continuing(np.where(doubtful, 0, depth).astype(np.float32), tissue, doubtful).any()
    assert not continuing(np.where(tissue, 0, depth).astype(np.float32), tissue, doubtful).any()


def test_given_depth_is_trusted_in_a_halo_where_it_is_the_tissues():
    depth, tissue, doubtful = scene()
    image, K = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.eye(3)
    sure = GivenDepth().predict(DepthInput(image, tissue, K, given=depth)).confidence
    np.testing.assert_array_equal(sure > 0, tissue)
    told = GivenDepth().predict(DepthInput(image, tissue, K, given=depth, doubtful=doubtful)).confidence
    np.testing.assert_array_equal(told > 0, tissue | columns(36, 40) | columns(50, 54))
