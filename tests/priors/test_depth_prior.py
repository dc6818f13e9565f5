"""Depth priors, speculars and tissue masks on images whose truth is known."""

import numpy as np
import pytest
from samples.shaded_frames import HEIGHT, WIDTH, K, OneFrame, bump, shaded, slant

from endogs.errors import InputError
from endogs.geometry import pixel_rays
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.given import GivenDepth
from endogs.priors.depth.light_falloff import FIXED, choose_falloff
from endogs.priors.depth.photometric import PhotometricDepth, masked_low_pass, photometric_depth, view_mask
from endogs.priors.depth.prediction import DepthInput, DepthPrediction, to_depth
from endogs.priors.depth.stereo import StereoDepth
from endogs.priors.speculars import bright_mask, large_clipped_mask, specular_mask
from endogs.priors.tissue import erode_tissue_mask


def predict(prior, clip):
    return prior.predict(DepthInput.of(clip, 0))


def prepare(prior, clip):
    return prior.prepare(clip, [0], clip.tissue_mask)


# The prior knows nothing of slopes, whose shading reads as distance: a bump comes out flatter than a slanted plane.
@pytest.mark.parametrize(("surface", "correlation"), [(bump, 0.75), (slant, 0.99)])
def test_photometric_depth_orders_a_shaded_surface(surface, correlation):
    depth = surface()
    log_z, confidence = photometric_depth(shaded(depth), np.ones(depth.shape, bool), K)
    assert log_z.dtype == confidence.dtype == np.float32
    assert abs(np.median(log_z)) < 1e-3
    assert np.corrcoef(log_z.ravel(), np.log(depth).ravel())[0, 1] > correlation
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    assert np.median(confidence) > 0.5


def test_photometric_depth_ignores_instruments_and_guesses_behind_them():
    depth = slant()
    clean = shaded(depth)
    mask = np.ones(depth.shape, bool)
    mask[30:80, 60:90] = False
    dirty = clean.copy()
    dirty[~mask] = 250
    expected, _ = photometric_depth(clean, np.ones_like(mask), K)
    log_z, confidence = photometric_depth(dirty, mask, K)
    assert np.isfinite(log_z).all()
    assert (confidence[~mask] == 0).all()
    assert np.abs(log_z - expected)[mask].max() < 0.1
    assert np.abs(log_z - expected)[~mask].max() < 0.2


def test_photometric_depth_outside_the_view_is_unknown():
    image = shaded(bump())
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    outside = (x - 80) ** 2 + (y - 60) ** 2 > 70**2
    image[outside] = 3
    assert (view_mask(image) == ~outside).all()
    clip = OneFrame(image)
    prediction = predict(PhotometricDepth(), clip)
    assert np.isnan(prediction.value[outside]).all()
    assert (prediction.confidence[outside] == 0).all()
    depth = to_depth(prediction)
    assert (depth[outside] == 0).all()
    assert np.median(depth[~outside & (prediction.confidence > 0)]) == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("image", [np.zeros((40, 50, 3), np.uint8), np.full((40, 50, 3), 255, np.uint8)])
def test_photometric_depth_of_a_hopeless_image_does_not_fail(image):
    mask = np.zeros((40, 50), bool)
    for tissue in (mask, ~mask):
        log_z, confidence = photometric_depth(image, tissue, K)
        assert np.isfinite(confidence).all()
        assert log_z.shape == (40, 50)
        assert np.isfinite(log_z).all() or np.isnan(log_z).all()


def test_masked_low_pass_averages_what_is_seen():
    value = np.full((40, 60), 5, np.float32)
    value[:, 30:] = 999
    weight = (value < 900).astype(np.float32)
    mean, support = masked_low_pass(value, weight, 2)
    np.testing.assert_allclose(mean, 5, atol=1e-3)
    assert support[20, 5] == pytest.approx(1, abs=0.01)
    assert support[20, 55] < 0.01


def test_to_depth_of_each_kind():
    ones = np.ones((1, 3), np.float32)

    def depth(value, kind, median=100.0):
        return to_depth(DepthPrediction(np.array([value], np.float32), kind, ones), median)[0].tolist()

    assert depth([0, 50, 80], "metric") == [0, 50, 80]
    assert depth([1, 2, 4], "depth") == [50, 100, 200]
    assert depth([1, 2, 4], "disparity", 10) == [20, 10, 5]
    assert depth([0, np.log(2), np.nan], "logdepth", 1.5) == pytest.approx([1, 2, 0])
    assert depth([np.nan, np.nan, np.nan], "logdepth") == [0, 0, 0]


def test_given_depth_and_the_choice_of_a_prior():
    depth = np.array([[0, 50, np.nan]], np.float32)
    mask = np.array([[True, False, True]])
    clip = OneFrame(np.zeros((1, 3, 3), np.uint8), mask, depth)
    prediction = predict(GivenDepth(), clip)
    assert prediction.kind == "metric"
    assert prediction.value.tolist() == [[0, 50, 0]]
    assert prediction.confidence.tolist() == [[0, 0, 0]]
    assert isinstance(choose_depth_prior("auto", clip), GivenDepth)
    assert isinstance(choose_depth_prior("photometric", clip), PhotometricDepth)
    without = OneFrame(np.zeros((1, 3, 3), np.uint8))
    assert isinstance(choose_depth_prior("auto", without), PhotometricDepth)
    with pytest.raises(InputError, match="no depth maps"):
        choose_depth_prior("given", without)
    with pytest.raises(InputError, match="no depth maps"):
        predict(GivenDepth(), without)
    with pytest.raises(InputError, match="no depth maps"):
        prepare(GivenDepth(), without)
    both = OneFrame(np.zeros((1, 3, 3), np.uint8), depth=depth, right=np.zeros((1, 3, 3), np.uint8))
    assert isinstance(choose_depth_prior("auto", both), GivenDepth), "given depth goes before a right view"
    right = OneFrame(np.zeros((1, 3, 3), np.uint8), right=np.zeros((1, 3, 3), np.uint8))
    assert isinstance(choose_depth_prior("auto", right), StereoDepth)
    with pytest.raises(InputError, match="--depth-model and --depth-model-output are for --depth learned"):
        choose_depth_prior("stereo", right, "some/model")
    with pytest.raises(InputError, match="no such model folder"):
        choose_depth_prior("auto", both, "./absent")  # a model means learned
    with pytest.raises(InputError, match="no such depth prior"):
        choose_depth_prior("magic", clip)


def tube(centre=(80, 60), radius=10.0):
    """Image of the inside of a cylinder whose axis runs through `centre` (x, y), pixels; and its z-depth."""
    rays = pixel_rays(K, WIDTH, HEIGHT)
    directions = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    axis = np.array([(centre[0] - K[0, 2]) / K[0, 0], (centre[1] - K[1, 2]) / K[1, 1], 1.0])
    sine = np.sqrt(np.maximum(1 - (directions @ (axis / np.linalg.norm(axis))) ** 2, 1e-9))
    distance = np.minimum(radius / sine, 150)
    light = sine / distance**2
    linear = light[..., None] * np.array([0.9, 0.45, 0.35]) / np.percentile(light, 90) * 0.6
    return np.round(255 * linear.clip(0, 1) ** (1 / 2.2)).astype(np.uint8), distance * directions[..., 2]


@pytest.mark.parametrize("centre", [(80, 60), (95, 50)])
def test_a_tube_is_recognized_and_ordered(centre):
    image, depth = tube(centre)
    clip = OneFrame(image)
    prior = PhotometricDepth()
    (note,) = prepare(prior, clip)
    assert "tube" in note
    assert prior.about()["mode"] == "lumen"
    log_z = predict(prior, clip).value
    assert np.corrcoef(np.argsort(np.argsort(log_z.ravel())), np.argsort(np.argsort(depth.ravel())))[0, 1] > 0.97


@pytest.mark.parametrize("surface", [bump, slant])
def test_an_open_field_is_no_tube(surface):
    prior = PhotometricDepth()
    assert prepare(prior, OneFrame(shaded(surface()))) == []
    assert prior.about()["mode"] == "fixed"


def test_one_odd_frame_does_not_change_the_mode():
    whole = np.ones((HEIGHT, WIDTH), bool)
    field, inside = (shaded(bump()), whole, K), (tube()[0], whole, K)
    assert choose_falloff([field, inside, field]) == FIXED
    assert choose_falloff([inside, field, inside]).name == "lumen"


@pytest.mark.parametrize("level", [0, 255])
def test_a_black_or_white_clip_is_refused(level):
    clip = OneFrame(np.full((HEIGHT, WIDTH, 3), level, np.uint8))
    with pytest.raises(InputError, match="black, white or hidden"):
        prepare(PhotometricDepth(), clip)


def test_given_depth_must_be_plausible():
    image = shaded(bump())
    assert prepare(GivenDepth(), OneFrame(image, depth=bump().astype(np.float32))) == []
    metres = OneFrame(image, depth=(bump() / 1000).astype(np.float32))
    with pytest.raises(InputError, match=r"0\.088.* mm away, which no endoscope does.*--depth-unit-mm"):
        prepare(GivenDepth(), metres)
    metres.units = "relative"
    assert prepare(GivenDepth(), metres) == [], "without units every scale is as good"
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[0] = True
    nowhere = np.where(mask, 0, bump()).astype(np.float32)
    with pytest.raises(InputError, match="no depth on tissue"):
        prepare(GivenDepth(), OneFrame(image, mask, nowhere))
    (flat,) = prepare(GivenDepth(), OneFrame(image, depth=np.full((HEIGHT, WIDTH), 80, np.float32)))
    assert "the same depth" in flat
    little = np.zeros((HEIGHT, WIDTH), np.float32)
    little[:3] = bump()[:3]
    assert any("% of the tissue only" in note for note in prepare(GivenDepth(), OneFrame(image, depth=little)))


def test_disparity_given_as_depth_is_told():
    (note,) = prepare(GivenDepth(), OneFrame(shaded(slant()), depth=(7000 / slant()).astype(np.float32)))
    assert "disparity" in note


def test_disparity_that_reaches_zero_becomes_a_finite_depth():
    value = np.linspace(-0.2, 1.0, 101, dtype=np.float32)[None]
    depth = to_depth(DepthPrediction(value, "disparity", np.ones_like(value)))
    assert (np.diff(depth) <= 0).all(), "near is large"
    assert depth.max() <= 600
    assert np.percentile(depth, 98) == pytest.approx(300, rel=0.1), "the farthest hundredth at three medians"
    flat = to_depth(DepthPrediction(np.zeros((4, 5), np.float32), "disparity", np.ones((4, 5), np.float32)))
    assert (flat == 100).all()


def test_speculars_are_small_bright_and_grey():
    image = np.empty((100, 160, 3), np.uint8)
    image[:] = (150, 70, 60)
    image[50:53, 80:84] = 250
    image[20:24, 20:24] = (170, 150, 145)
    image[70:80, 100:110] = (200, 80, 60)
    found = specular_mask(image)
    assert found[50:53, 80:84].all()
    assert found[20:24, 20:24].all(), "a soft highlight"
    assert not found[70:80, 100:110].any(), "bright red tissue"
    assert found.mean() < 0.01
    image[:40] = 255
    assert bright_mask(image)[:38].all()
    assert large_clipped_mask(image)[:40].all()
    assert not specular_mask(image)[:40].any(), "a near wall is no highlight"


def test_erosion_keeps_the_image_border():
    mask = np.ones((20, 30), bool)
    assert erode_tissue_mask(mask, 3).all()
    mask[10, 15] = False
    eroded = erode_tissue_mask(mask, 2)
    assert not eroded[8:13, 15].any()
    assert not eroded[10, 13:18].any()
    assert eroded[10, 12]
    assert eroded[7, 15]
    assert eroded[0].all()
    assert (~eroded).sum() < 25
    np.testing.assert_array_equal(erode_tissue_mask(mask, 0), mask)
