"""Rims, shadows and gleams beside an instrument are stained; tissue there is not, and no given mask is touched."""

import cv2
import numpy as np
from samples.tool_clip import shaft, tissue

from endogs.priors.instruments.masks import InstrumentMasks, grown
from endogs.priors.instruments.rim_colors import unlike_tissue


def test_a_grey_rim_and_a_shadow_are_unlike_the_tissue_and_the_rest_of_the_halo_is_not():
    image, mask = tissue(), shaft(90)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    halo = grown(mask, 8) & ~mask
    rim, shadow = grown(mask, 2) & ~mask, np.roll(mask, 6, 0) & ~grown(mask, 2) & halo
    image[rim] = (120, 118, 122)
    image[shadow] = image[shadow] // 3
    unlike = unlike_tissue(image, halo, ~mask & ~halo)
    assert unlike[rim].mean() > 0.6, "the outermost pixels are mixed with tissue"
    assert unlike[shadow].mean() > 0.9
    clean = halo & ~grown(rim | shadow, 2)
    assert clean.sum() > 200
    assert unlike[clean].mean() < 0.05
    assert not unlike[~halo].any()


def test_nothing_is_unlike_tissue_that_is_not_seen():
    image, nothing = tissue(), np.zeros(tissue().shape[:2], bool)
    assert not unlike_tissue(image, ~nothing, nothing).any()
    assert not unlike_tissue(image, nothing, ~nothing).any()


def test_what_is_stained_is_halo_and_not_in_doubt():
    instrument, halo, stained = (np.zeros((20, 30), bool) for _ in range(3))
    instrument[:, :10], halo[:, 10:15], stained[:, 10:12] = True, True, True
    masks = InstrumentMasks([instrument], [halo], 30, 20, [stained])
    np.testing.assert_array_equal(masks.halo(0), halo)
    np.testing.assert_array_equal(masks.doubtful(0), halo & ~stained)
    np.testing.assert_array_equal(masks.read(0), ~(instrument | halo))
    plain = InstrumentMasks([instrument], [halo], 30, 20)
    np.testing.assert_array_equal(plain.doubtful(0), plain.halo(0))
