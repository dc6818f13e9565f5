"""The compiled kernels of depth from parallax against their twin in double precision, for every instruction set."""

import numpy as np
import pytest

from endogs import native
from endogs.geometry import rotation_about
from endogs.priors.depth import parallax_kernels, parallax_reference
from endogs.priors.depth.depth_words import DepthWord, WordRule
from endogs.priors.depth.parallax_kernels import epipolar_matrix

pytestmark = pytest.mark.skipif(not native.available(), reason="needs the compiled kernels")
HEIGHT, WIDTH = 43, 61
K = np.array([[50.0, 0, 31], [0, 48, 20], [0, 0, 1]])
MOVE = np.eye(4)
MOVE[:3, :3], MOVE[:3, 3] = rotation_about(np.array([0.03, -0.02, 0.05])), (2.0, -1.0, 0.7)
EPIPOLAR = epipolar_matrix(K, K, MOVE)


@pytest.fixture(params=native.instruction_sets() if native.available() else [])
def instruction_set(request):
    used = native.instruction_set()
    native.use_instruction_set(request.param)
    yield request.param
    native.use_instruction_set(used)


def planes(seed):
    """Inverse depth, a picture, another, and a mask with holes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inverse = (1 / (60 + 9 * np.sin(x / 9 + seed) + 5 * np.cos(y / 7))).astype(np.float32)
    pictures = random.integers(0, 256, (2, HEIGHT, WIDTH)).astype(np.uint8)
    return inverse, *pictures, random.random((HEIGHT, WIDTH)) > 0.02


def mostly_equal(ours, truth, tolerance):
    """Where a comparison stands on the edge of its threshold float32 may decide otherwise: a handful of pixels."""
    assert np.isclose(ours, truth, rtol=tolerance, atol=tolerance * np.abs(truth).max()).mean() > 0.998
    assert np.isfinite(ours).all()


def test_a_picture_is_warped_as_its_twin_says(instruction_set):
    inverse, image, stand_in, tissue = planes(0)
    warped, shown, places = parallax_kernels.warp_by_depth(inverse, image, tissue, stand_in, EPIPOLAR)
    truth = parallax_reference.warp_by_depth(inverse, image, tissue.view(np.uint8), stand_in, EPIPOLAR)
    assert 0.5 < shown.mean() < 0.95
    assert (np.abs(warped.astype(int) - truth[0]) <= 1).mean() > 0.998
    mostly_equal(shown, truth[1], 0)
    mostly_equal(places, truth[2], 1e-5)


@pytest.mark.parametrize("step", [1, 2, 4])
@pytest.mark.parametrize("warped", [False, True])
def test_a_flow_is_triangulated_as_its_twin_says(instruction_set, step, warped):
    inverse, image, stand_in, tissue = planes(1)
    random = np.random.default_rng(2)
    _, shown, places = parallax_kernels.warp_by_depth(inverse, image, tissue, stand_in, EPIPOLAR)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    flow = (places - np.stack([x, y], -1)).astype(np.float32)
    flow = random.normal(0, 0.4, flow.shape).astype(np.float32) if warped else flow
    back = (-flow + random.normal(0, 0.4, flow.shape)).astype(np.float32)
    given = places if warped else None
    ours = parallax_kernels.triangulate_flow(flow, back, (tissue, shown), EPIPOLAR, step, given, 6.0)
    masks = tissue.view(np.uint8), shown.view(np.uint8)
    truth = parallax_reference.triangulate_flow(flow, back, *masks, given, EPIPOLAR, (0.01, 0.5, 6.0), step)
    assert (truth[0] > 0).mean() > 0.2
    sure = (ours[0] > 0) & (truth[0] > 0) & (truth[1] < 0.1)
    assert ((ours[0] > 0) == (truth[0] > 0)).mean() > 0.99
    np.testing.assert_allclose(ours[:, sure], truth[:, sure], rtol=2e-3, atol=2e-3)


def test_estimates_and_words_agree_as_their_twin_says(instruction_set):
    random = np.random.default_rng(3)

    def told():
        value = planes(0)[0] * random.normal(1, 0.05, (HEIGHT, WIDTH)).astype(np.float32)
        known = random.random((HEIGHT, WIDTH)) > 0.2
        spread = random.uniform(0.005, 0.1, (HEIGHT, WIDTH)).astype(np.float32)
        return np.where(known, value, 0), np.where(known, spread, np.inf).astype(np.float32)

    guess = planes(0)[0]
    own = [(value, spread * guess) for value, spread in (told() for _ in range(3))]
    words = [DepthWord(*told(), EPIPOLAR) for _ in range(5)]
    for some in ([], words[:1], words):
        rule = WordRule(0.5, 0.01, 2.0)
        ours = parallax_kernels.agree_on_depth(*zip(*own, strict=True), some, guess, rule)
        truth = parallax_reference.agree_on_depth(*zip(*own, strict=True), some, guess, rule)
        assert (truth[0] > 0).mean() > 0.3
        for one, other in zip(ours, truth, strict=True):
            mostly_equal(one, other, 1e-4)
