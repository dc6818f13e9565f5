"""Our image measures against other people's programs on the same images, and what they do at the edges."""

import cv2
import numpy as np
import pytest
import torch

from endogs.evaluate.flip import flip, flip_map, flip_pair
from endogs.evaluate.ms_ssim import ms_ssim


def pair(height=192, width=208, seed=0):
    """A smooth picture in uint8, and the same with noise, a red patch and a dark line."""
    generator = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(generator.random((height, width, 3)).astype(np.float32), (0, 0), 4)
    target = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    other = np.clip(target.astype(int) + generator.integers(-25, 25, target.shape), 0, 255).astype(np.uint8)
    other[30:60, 40:90] = [255, 20, 30]
    other[100:102] = 0
    return other, target


@pytest.mark.parametrize("seed", [0, 1])
def test_flip_is_the_authors(seed):
    judge = pytest.importorskip("flip_evaluator", reason="the FLIP authors' package is not installed")
    other, target = pair(seed=seed)
    as_floats = [(image / 255).astype(np.float32) for image in (target, other)]
    error, mean, _ = judge.evaluate(*as_floats, "LDR", applyMagma=False)
    assert flip(other, target) == pytest.approx(mean, abs=1e-4)
    np.testing.assert_allclose(flip_map(other, target), error[..., 0], atol=5e-4)


def test_flip_of_equal_images_is_zero_and_instruments_are_perfect():
    other, target = pair()
    assert flip(target, target) == 0
    assert flip(np.zeros_like(target), np.full_like(target, 255)) > 0.9
    mask = np.zeros(target.shape[:2], bool)
    mask[:, :100] = True
    whole, inside = flip_pair(other, target, mask)
    assert 0 < whole < inside, "what is zeroed in both images counts as equal"
    assert np.isnan(flip_pair(other, target, np.zeros_like(mask))[1])
    assert flip(other, target, mask) == whole


@pytest.mark.parametrize("size", [(192, 208), (512, 640)])
def test_ms_ssim_is_pytorch_msssims(size):
    judge = pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is not installed")
    other, target = pair(*size)
    tensors = [torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None] for image in (other, target)]
    assert ms_ssim(other, target) == pytest.approx(float(judge.ms_ssim(*tensors, data_range=1.0)), abs=1e-5)


def test_ms_ssim_needs_room_and_takes_odd_sizes():
    other, target = pair(513, 641)
    assert ms_ssim(target, target) == pytest.approx(1, abs=1e-6)
    even = ms_ssim(other[:512, :640], target[:512, :640])
    assert ms_ssim(other, target) == pytest.approx(even, abs=5e-3)
    assert np.isnan(ms_ssim(other[:160], target[:160]))
    mask = np.ones(target.shape[:2], bool)
    mask[20:70, 30:100] = False
    assert ms_ssim(other, target, mask) > ms_ssim(other, target), "the red patch is hidden"
