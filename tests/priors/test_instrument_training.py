"""The drawn pictures that the instrument network is trained on: the same number the same bytes, and masks that fit."""

import sys
from pathlib import Path

import numpy as np
import torch

# Behind what is there already, so that an installed endogs stays the one that is tested.
sys.path.append(str(Path(__file__).parents[2]))

from endogs.priors.instruments.network_layers import STATES, STRIDE
from training.instruments.augment import CROP, Batch, Batches, cropped
from training.instruments.canvas import Canvas, Material, Plate, Rod
from training.instruments.make_bank import SHARD
from training.instruments.samples import SHAPE, SHARED, UNKNOWN, make_sample
from training.instruments.train import loss_of


def test_a_sample_is_decided_by_its_number_and_seed():
    first, again, other = make_sample(5, 0), make_sample(5, 0), make_sample(5, 1)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert (first.image != other.image).any()
    assert SHARD % SHARED == 0, "shards drawn in any order are the same"


def test_samples_are_pictures_with_masks_and_states():
    for number in range(20, 26):
        sample = make_sample(number, 0)
        assert sample.image.shape == (*SHAPE, 3)
        assert sample.image.dtype == np.uint8
        assert set(np.unique(sample.mask)) <= {0, 1, UNKNOWN}
        assert 0 <= sample.state < len(STATES)


def test_what_is_drawn_is_what_is_masked():
    """A rod and a plate with a hole cover exactly the pixels they should, to the half pixel of a slanted edge."""
    canvas = Canvas(np.random.default_rng(0), (64, 80))
    Rod(np.array([10.0, 20.0]), np.array([60.0, 20.0]), 5, 5, Material((0.5, 0.5, 0.5))).draw(canvas)
    assert canvas.alpha.sum() == 500
    assert (canvas.alpha[15:25, 10:60] == 1).all()
    assert np.abs(np.diff(canvas.values[20, 10:60, 7])).max() < 1e-6, "a rod looks the same all along"
    assert canvas.values[15, 30, 7] < 0 < canvas.values[24, 30, 7], "its normals point outwards"

    canvas = Canvas(np.random.default_rng(0), (64, 80))
    square, hole = (np.array([[a, a], [b, a], [b, b], [a, b]], float) for a, b in ((10, 50), (20, 30)))
    Plate(square, Material((0.5, 0.5, 0.5)), [hole]).draw(canvas)
    assert abs(canvas.alpha.sum() - (40 * 40 - 10 * 10)) < 150, "outlines are half a pixel wide"
    assert canvas.alpha[25, 25] == 0
    assert canvas.alpha[40, 40] == 1


def test_crops_keep_picture_and_mask_together():
    """In a picture that is its own mask, cropping, resizing, turning and mirroring must move both alike."""
    rng = np.random.default_rng(2)
    mask = np.zeros(SHAPE, np.uint8)
    mask[60:180, 90:240] = 1
    image = np.repeat(mask[..., None] * 200, 3, 2)
    for _ in range(8):
        crop, cut = cropped(rng, image, mask)
        assert cut.shape == CROP
        assert all(side % STRIDE == 0 for side in CROP)
        assert ((crop[..., 0] > 100) != (cut == 1)).mean() < 0.02


def test_unknown_pixels_teach_nothing_and_right_answers_cost_less(tmp_path):
    mask = torch.zeros(2, 32, 32)
    mask[:, 8:20, 8:20] = 1
    known = torch.ones_like(mask)
    known[:, :, :4] = 0
    batch = Batch(torch.zeros(2, 3, 32, 32), mask, known, torch.tensor([0, 3]))
    right, states = (mask * 2 - 1) * 8, torch.zeros(2, 5)
    disturbed = right.clone()
    disturbed[:, :, :4] = 9
    assert loss_of(right, states, batch) == loss_of(disturbed, states, batch)
    assert (
        loss_of(right, states, batch) < loss_of(torch.zeros_like(right), states, batch) < loss_of(-right, states, batch)
    )

    # The same seed draws the same batches from a bank.
    shard = tmp_path / "shard-0-0000"
    shard.mkdir()
    samples = [make_sample(k, 0) for k in (1, 2)]
    np.save(shard / "images.npy", np.stack([s.image for s in samples]))
    np.save(shard / "masks.npy", np.stack([s.mask for s in samples]))
    np.save(shard / "states.npy", np.array([s.state for s in samples], np.uint8))
    one, two = (Batches(tmp_path, 4, seed=7).next() for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.masks, two.masks)
