"""Metrics against hand-computed values, torchmetrics, and the definitions of the masks."""

import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from endogs.evaluate.measures import image_errors
from endogs.evaluate.metrics.depth_errors import aligned_depth, depth_errors
from endogs.evaluate.metrics.metrics import (
    PERFECT_PSNR,
    psnr,
    psnr_masked,
    ssim,
    ssim_map,
    ssim_masked,
    ssim_pair,
)
from endogs.pictures.eight_bit import to_8bit


def pair(height=48, width=64, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 256, (height, width, 3), np.uint8)
    noisy = np.clip(target + rng.normal(0, 20, target.shape), 0, 255).astype(np.uint8)
    return noisy, target


def half_mask(shape):
    mask = np.zeros(shape[:2], bool)
    mask[:, : shape[1] // 2] = True
    return mask


def test_psnr_of_a_hand_computed_case():
    target = np.zeros((2, 2, 3), np.uint8)
    prediction = target.copy()
    prediction[0, 0] = (51, 0, 0)  # 0.2 of the range: a squared error of .04 in one of twelve values
    assert psnr(prediction, target) == pytest.approx(-10 * np.log10(0.04 / 12))
    mask = np.array([[True, False], [False, False]])
    assert psnr(prediction, target, mask) == pytest.approx(-10 * np.log10(0.04 / 12)), "all pixels count"
    assert psnr_masked(prediction, target, mask) == pytest.approx(-10 * np.log10(0.04 / 3)), "tissue alone counts"
    assert psnr(prediction, target, ~mask) == PERFECT_PSNR, "the only error is hidden"
    assert np.isnan(psnr_masked(prediction, target, np.zeros((2, 2), bool)))


def test_zeroed_psnr_exceeds_masked_by_the_share_of_tissue():
    noisy, target = pair()
    mask = half_mask(target.shape)
    gap = psnr(noisy, target, mask) - psnr_masked(noisy, target, mask)
    assert gap == pytest.approx(10 * np.log10(2), abs=1e-6)


def test_a_frame_without_tissue_has_no_number():
    """Zeroed images of nothing agree perfectly; one such frame would lift the mean of all."""
    prediction, target = pair()
    found = image_errors(prediction, target, np.zeros(target.shape[:2], bool), {"psnr", "ssim", "flip"})
    assert {"psnr", "psnr_masked", "ssim"} <= set(found)
    assert np.isnan(list(found.values())).all()


def test_psnr_ignores_what_the_mask_hides_and_is_symmetric():
    noisy, target = pair()
    mask = half_mask(target.shape)
    spoiled = noisy.copy()
    spoiled[~mask] = 0
    for metric in (psnr, psnr_masked, ssim):
        assert metric(spoiled, target, mask) == metric(noisy, target, mask)
        assert metric(target, noisy, mask) == pytest.approx(metric(noisy, target, mask))


def test_float_images_are_rounded_to_8_bits_first():
    np.testing.assert_array_equal(
        to_8bit(np.array([-1, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7])), [0, 0, 0, 1, 255, 255]
    )
    _, target = pair()
    almost = target.astype(np.float32) / 255 + np.float32(0.4 / 255)
    assert psnr(almost, target) == PERFECT_PSNR
    with pytest.raises(ValueError, match="target is"):
        psnr(target[:-1], target)


def test_metrics_equal_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.image")
    torch = pytest.importorskip("torch")
    noisy, target = pair()
    x, y = (torch.from_numpy(i).permute(2, 0, 1)[None].double() / 255 for i in (noisy, target))
    expected = functional.peak_signal_noise_ratio(x, y, data_range=1.0)
    assert psnr(noisy, target) == pytest.approx(float(expected), abs=1e-5)

    # torchmetrics averages over the interior where no padding is looked at, and has its own borders elsewhere.
    _, full = functional.structural_similarity_index_measure(x, y, data_range=1.0, return_full_image=True)
    ours = ssim_map(noisy, target)
    inside = (slice(5, -5), slice(5, -5))
    theirs = full[0].permute(1, 2, 0).numpy()
    if theirs.shape[:2] != ours.shape[:2]:
        np.testing.assert_allclose(ours[inside], theirs, atol=2e-4)
    else:
        np.testing.assert_allclose(ours[inside], theirs[inside], atol=2e-4)


def test_ssim_equals_the_convolution_of_the_splatting_literature():
    """3DGS: conv2d with an 11x11 window, zero padding of 5, mean over everything."""
    torch = pytest.importorskip("torch")
    noisy, target = pair(30, 40, 1)
    mask = half_mask(target.shape)
    x, y = (torch.from_numpy(i * mask[..., None]).permute(2, 0, 1)[None].double() / 255 for i in (noisy, target))
    taps = torch.exp(-((torch.arange(11) - 5.0).double() ** 2) / (2 * 1.5**2))
    window = torch.outer(taps / taps.sum(), taps / taps.sum()).expand(3, 1, 11, 11)
    blur = lambda v: torch.nn.functional.conv2d(v, window, padding=5, groups=3)
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    expected = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim(noisy, target, mask) == pytest.approx(float(expected.mean()), abs=1e-5)


def test_ssim_of_equal_images_is_one_and_masked_ssim_looks_at_tissue_only():
    noisy, target = pair()
    assert ssim(target, target) == pytest.approx(1, abs=1e-6)
    mask = half_mask(target.shape)
    both = ssim_pair(noisy, target, mask)
    assert both == (ssim(noisy, target, mask), ssim_masked(noisy, target, mask))
    assert both[1] < both[0], "zeroed instruments count as perfect"
    unmasked = ssim_map(noisy, target)[:, : 32 - 5].mean()
    assert both[1] == pytest.approx(float(unmasked), abs=1e-6), "eroded by the window, but not at the image border"
    assert np.isnan(ssim_masked(noisy, target, np.zeros_like(mask)))


def test_depth_errors_with_and_without_alignment():
    given = np.array([[10.0, 20, 40, 0, 30]], np.float32)
    depth = np.array([[11.0, 20, 36, 5, 0]], np.float32)
    mask = np.ones_like(given, bool)
    errors = depth_errors(depth, given, mask)
    assert errors.median_abs == pytest.approx(1)
    assert errors.abs_rel == pytest.approx((0.1 + 0 + 0.1) / 3)
    assert errors.rmse == pytest.approx(np.sqrt((1 + 0 + 16) / 3))
    assert errors.within_125 == 1
    assert errors.spearman() == pytest.approx(1)
    mask[0, 2] = False
    assert depth_errors(depth, given, mask).median_abs == pytest.approx(0.5)
    mask[0, 2] = True
    tripled = depth_errors(3 * depth, given, mask)
    assert (tripled.abs_rel > 1, tripled.within_125) == (True, 0)
    aligned = depth_errors(aligned_depth(3 * depth, given, mask, "median scale"), given, mask)
    assert aligned.abs_rel == pytest.approx((0.1 + 0 + 0.1) / 3)
    assert aligned_depth(2 * given, given, mask, "median scale").tolist() == given.tolist()
    nothing = depth_errors(np.zeros_like(depth), given, mask)
    assert np.isnan([nothing.median_abs, nothing.abs_rel, nothing.rmse, nothing.within_125, nothing.spearman()]).all()


def test_spearman_is_scipys_and_sees_order_alone():
    generator = np.random.default_rng(0)
    given = generator.uniform(10, 100, (40, 50)).astype(np.float32)
    depth = given + generator.normal(0, 20, given.shape).astype(np.float32).clip(-9, None)
    mask = np.ones(given.shape, bool)
    found = depth_errors(depth, given, mask).spearman()
    known = depth > 0
    assert found == pytest.approx(spearmanr(depth[known], given[known]).statistic, abs=1e-9)
    assert depth_errors(depth**3, given, mask).spearman() == pytest.approx(found, abs=1e-9)


def test_the_metrics_of_a_frame_are_fast():
    noisy, target = pair(512, 640)
    mask = half_mask(target.shape)
    best = min(_seconds(lambda: (psnr(noisy, target, mask), ssim_pair(noisy, target, mask))) for _ in range(3))
    assert best < 0.4, "40 ms are usual; ten times that on a busy machine means something is wrong"


def _seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
