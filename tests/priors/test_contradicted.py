"""Patches that colour finds count by what the network says of each as a whole."""

import numpy as np
import pytest

from endogs.priors.instruments.contradicted import CONTRADICTED, uncontradicted

LOW, HIGH = CONTRADICTED


@pytest.fixture
def two_patches():
    """Two squares of 10 x 10 pixels that do not touch."""
    patches = np.zeros((40, 60), bool)
    patches[5:15, 5:15] = patches[5:15, 30:40] = True
    return patches


def test_a_patch_that_the_network_is_sure_is_none_counts_for_nothing_and_its_neighbour_fully(two_patches):
    odds = np.full(two_patches.shape, LOW - 1, np.float32)
    odds[:, 25:] = HIGH + 0.5
    weight = uncontradicted(two_patches, odds)
    assert (weight[5:15, 5:15] == 0).all()
    assert (weight[5:15, 30:40] == 1).all()
    assert (weight[~two_patches] == 0).all()


def test_between_the_two_a_patch_counts_in_part(two_patches):
    weight = uncontradicted(two_patches, np.full(two_patches.shape, (LOW + HIGH) / 2, np.float32))
    np.testing.assert_allclose(weight[two_patches], 0.5)


def test_no_small_part_of_a_patch_speaks_for_it(two_patches):
    odds = np.full(two_patches.shape, 1.0, np.float32)
    odds[5:8, 5:15] = -1000
    assert (uncontradicted(two_patches, odds)[5:15, 5:15] == 1).all()
    odds[5:15, 5:15], odds[5:6, 5:15] = LOW - 2, 1000
    assert (uncontradicted(two_patches, odds)[5:15, 5:15] == 0).all()


def test_without_patches_nothing_counts():
    assert not uncontradicted(np.zeros((8, 8), bool), np.zeros((8, 8), np.float32)).any()
