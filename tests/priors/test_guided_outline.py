"""The guided filter against its definition, and what it does to outlines that lie beside the edge, or are thin."""

import numpy as np

from endogs.priors.instruments.components import without_slits
from endogs.priors.instruments.guided_outline import follow_edges, guided

HEIGHT, WIDTH = 60, 160


def scene(bar, color=(120, 128, 140)):
    """A bar on noisy red tissue."""
    rng = np.random.default_rng(0)
    image = np.array([150.0, 84.0, 76.0]) + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
    image[bar] = np.array(color) + rng.normal(0, 4, (np.count_nonzero(bar), 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def test_guided_filter_is_the_mean_of_the_planes_of_all_windows():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (13, 15, 3)).astype(np.uint8)
    values = (image.astype(np.float32) @ np.array([0.5, 0.3, 0.2], np.float32) / 255) ** 2
    reach, noise = 2, 300.0
    planes = np.zeros((13, 15, 4))
    for y in range(2, 11):
        for x in range(2, 13):
            window = slice(y - 2, y + 3), slice(x - 2, x + 3)
            colors, wanted = image[window].reshape(-1, 3).astype(float), values[window].ravel().astype(float)
            covariance = np.cov(colors.T, bias=True) + noise * np.eye(3)
            slope = np.linalg.solve(covariance, (colors * wanted[:, None]).mean(0) - colors.mean(0) * wanted.mean())
            planes[y, x] = [*slope, wanted.mean() - slope @ colors.mean(0)]
    found = guided(image, values, reach, noise)
    for y in range(4, 9):
        for x in range(4, 11):
            mean = planes[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1))
            assert abs(found[y, x] - (mean[:3] @ image[y, x] + mean[3])) < 1e-4


def test_an_outline_beside_the_edge_moves_to_it():
    bar = np.zeros((HEIGHT, WIDTH), bool)
    bar[20:40, :100] = True
    for low, high in ((22, 37), (17, 42)):
        rough = np.zeros_like(bar)
        rough[low:high, :98] = True
        found = follow_edges(scene(bar), rough, np.where(rough, 1.0, -1.0).astype(np.float32))
        assert (found & bar).sum() / (found | bar).sum() > 0.97


def test_a_thin_sure_jaw_keeps_its_place():
    """Two rows high, which no opening leaves; the shaft it hangs on is thick."""
    tool = np.zeros((HEIGHT, WIDTH), bool)
    tool[20:40, :80] = True
    jaw = np.zeros_like(tool)
    jaw[29:31, 80:110] = True
    image, mask = scene(tool | jaw), tool | jaw
    found = follow_edges(image, mask, np.where(mask, 3.0, -3.0).astype(np.float32))
    assert (found & jaw).sum() > 0.9 * jaw.sum()
    unsure = follow_edges(image, mask, np.where(tool, 3.0, 1.0).astype(np.float32))
    assert (unsure & jaw)[:, 90:].sum() == 0


def test_no_mask_and_one_colour_stay_as_they_are():
    nothing, flat = np.zeros((HEIGHT, WIDTH), bool), np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    odds = np.zeros((HEIGHT, WIDTH), np.float32)
    assert not follow_edges(flat, nothing, odds).any()
    block = nothing.copy()
    block[10:50, 40:120] = True
    found = follow_edges(flat, block, odds)
    np.testing.assert_array_equal(found, block)


def test_slits_are_filled_and_wide_windows_and_open_ones_are_not():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:55, 0:150] = True
    slit, window, notch = (np.zeros_like(mask) for _ in range(3))
    slit[10:50, 20:26], window[10:50, 40:80], notch[30:34, 0:15] = True, True, True
    found = without_slits(mask & ~(slit | window | notch), 4)
    np.testing.assert_array_equal(found, mask & ~(window | notch))
