"""Stereo depth: right where the views agree, nothing where they do not, and bad pairs told apart."""

import cv2
import numpy as np
import pytest
from samples.stereo_scene import BASELINE, HEIGHT, WIDTH, K, see, write_pair

from endogs.clip import load_clip
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.disparity import matched_disparity, matching_grey
from endogs.priors.depth.prediction import DepthInput
from endogs.priors.depth.stereo import StereoDepth


def prepared(clip):
    prior = StereoDepth()
    return prior, prior.prepare(clip, list(range(len(clip))), clip.tissue_mask)


def test_depth_of_a_plane(tmp_path):
    z = write_pair(tmp_path, baseline_mm=BASELINE)
    clip = load_clip(tmp_path)
    assert isinstance(choose_depth_prior("auto", clip), StereoDepth), "a right view and no depth"
    prior, notes = prepared(clip)
    found = prior.predict(DepthInput.of(clip, 1))
    known = found.confidence > 0
    assert (found.kind, notes) == ("metric", [])
    assert known.mean() > 0.8
    assert np.median(np.abs(found.value / z - 1)[known]) < 0.01
    assert prior.about()["disparities"][0] < K[0, 0] * BASELINE / z.max(), "the range holds all of the plane"
    assert sum(prior.about()["disparities"]) > K[0, 0] * BASELINE / z.min()


def test_a_crop_and_a_smaller_size_keep_the_depth(tmp_path):
    z = write_pair(tmp_path, baseline_mm=BASELINE)
    clip = load_clip(tmp_path, ClipOptions(crop=(20, 10, 190, 140), max_size=136))
    prior, _ = prepared(clip)
    found = prior.predict(DepthInput.of(clip, 0))
    expected = cv2.resize(z[10:140, 20:190].astype(np.float32), (clip.width, clip.height), interpolation=cv2.INTER_AREA)
    known = found.confidence > 0
    assert known.mean() > 0.7
    assert np.median(np.abs(found.value / expected - 1)[known]) < 0.015


def test_what_one_eye_alone_sees_stays_a_hole():
    generator = np.random.default_rng(0)
    left = cv2.GaussianBlur(generator.integers(0, 256, (90, 160), np.uint8), (0, 0), 1)
    right = np.roll(left, -12, 1)
    right[20:60, 60:110] = cv2.GaussianBlur(generator.integers(0, 256, (40, 50), np.uint8), (0, 0), 1)
    disparity = matched_disparity(left, right, 0, 32)
    inside = disparity[28:52, 80:114]  # the patch of the right view lies here in the left one
    assert np.isnan(inside).mean() > 0.6, "noise agrees with itself here and there"
    surrounding = disparity[65:85, 30:150]
    assert np.isfinite(surrounding).mean() > 0.9
    assert np.nanmedian(np.abs(surrounding - 12)) < 0.1
    assert np.isnan(disparity[:, :8]).all(), "their matches lie outside the right image"
    assert np.isfinite(disparity[65:, 14:30]).mean() > 0.8, "the left strip is matched as far as it can be"


def test_instruments_and_highlights_have_no_weight(tmp_path):
    write_pair(tmp_path, baseline_mm=BASELINE)
    clip = load_clip(tmp_path)
    frame = DepthInput.of(clip, 0)
    frame.image[40:44, 100:104] = 255
    frame.tissue_mask[60:80, 50:90] = False
    found = StereoDepth().predict(frame)
    assert (found.confidence[60:80, 50:90] == 0).all()
    assert (found.value[60:80, 50:90] == 0).all(), "or the instrument's depth would be continued behind it"
    assert (found.value[56:84, 60:80] == 0).all(), "tissue beside an instrument gets the instrument's disparity"
    assert (found.value[40:50, 60:80] > 0).mean() > 0.8
    assert (found.confidence[40:44, 100:104] == 0).all()


def test_a_single_view_is_refused(tmp_path):
    write_pair(tmp_path, baseline_mm=BASELINE)
    for file in (tmp_path / "images_right").iterdir():
        file.unlink()
    clip = load_clip(tmp_path)
    with pytest.raises(InputError, match="needs right views"):
        prepared(clip)


def test_swapped_views_are_told(tmp_path):
    write_pair(tmp_path, seen_from={"translation": np.array([BASELINE, 0, 0])}, baseline_mm=BASELINE)
    with pytest.raises(InputError, match=r"negative.*swapped; exchange images/ and images_right/"):
        prepared(load_clip(tmp_path))


def test_a_pair_that_is_not_rectified_is_told(tmp_path):
    tilt = cv2.Rodrigues(np.array([0.03, 0, 0.02]))[0]
    write_pair(tmp_path, seen_from={"rotation": tilt, "translation": np.array([-BASELINE, 0, 0])}, baseline_mm=BASELINE)
    with pytest.raises(InputError, match=r"rows apart.*not rectified"):
        prepared(load_clip(tmp_path))


def test_views_of_different_things_are_told(tmp_path):
    write_pair(tmp_path, baseline_mm=BASELINE)
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for file in (tmp_path / "images_right").iterdir():
        cv2.imwrite(str(file), cv2.GaussianBlur(noise, (0, 0), 1))
    with pytest.raises(InputError, match="nothing in common"):
        prepared(load_clip(tmp_path))


def test_black_views_are_no_pair():
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame = DepthInput(black, np.ones((HEIGHT, WIDTH), bool), K, black, BASELINE)
    found = StereoDepth().predict(frame)
    assert np.isfinite(found.value).all()
    assert matching_grey(see()[0]).shape == (HEIGHT, WIDTH)
