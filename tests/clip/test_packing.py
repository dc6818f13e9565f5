"""Two views taken apart the wrong way become no clip and no metric depth; the way that fits is named."""

import json

import cv2
import numpy as np
import pytest
from layouts import corner
from layouts.stereo_video import BASELINE, views, write_packed, write_video
from samples.stereo_scene import write_pair

from endogs.clip import ClipOptions, load_clip
from endogs.clip.checks.packing import PackingCheck, check_packing, halves
from endogs.errors import InputError
from endogs.pipeline.plan import check_looks
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.pair_doubt import pair_doubt
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.stereo import StereoDepth

WAYS = ("side-by-side", "top-bottom")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A video packed in each way, and calibrations without and with the size of a view."""
    folder = tmp_path_factory.mktemp("packed")
    K = corner.K
    facts = {"fx": K[0, 0], "fy": K[1, 1], "cx": 60.0, "cy": 60.0, "baseline_mm": BASELINE}
    (folder / "any.json").write_text(json.dumps(facts))
    (folder / "sized.json").write_text(json.dumps(facts | {"width": corner.WIDTH, "height": corner.HEIGHT}))
    for way in WAYS:
        write_packed(folder / f"{way}.mp4", way)
    write_video(folder / "single.mp4", views()[0])
    return folder


def options(videos, way, calibration="any"):
    return ClipOptions(stereo=way, calibration=calibration and videos / f"{calibration}.json")


@pytest.mark.parametrize("calibration", ["any", None])
@pytest.mark.parametrize("way", WAYS)
def test_the_right_way_has_no_word(videos, way, calibration):
    clip = load_clip(videos / f"{way}.mp4", options(videos, way, calibration))
    assert clip.contradictions == []
    assert not [note for note in clip.notes if "stereo:" in note]
    assert isinstance(choose_depth_prior("auto", clip), StereoDepth if calibration else PhotometricDepth)


@pytest.mark.parametrize("calibration", ["any", "sized", None])
@pytest.mark.parametrize(("way", "other"), [WAYS, WAYS[::-1]])
def test_the_wrong_way_is_refused_and_the_other_named(videos, way, other, calibration):
    """With a calibration that says its size too, which would else be called wrong."""

    def fit():
        clip = load_clip(videos / f"{other}.mp4", options(videos, way, calibration))
        assert any(f"--stereo {other} takes them apart" in note for note in clip.notes)
        check_looks(clip, judges_right_view=False)

    with pytest.raises(InputError, match=rf"hold two views, but not {way}: .*--stereo {other} takes them apart"):
        fit()


@pytest.mark.parametrize(("way", "other"), [WAYS, WAYS[::-1]])
def test_no_depth_is_made_of_what_is_no_pair(videos, way, other):
    clip = load_clip(videos / f"{other}.mp4", options(videos, way))
    with pytest.raises(InputError, match=rf"nothing shows that they are a pair \(--stereo {other} would take"):
        choose_depth_prior("stereo", clip).prepare(clip, [0, 1, 2], clip.tissue_mask)
    prior = choose_depth_prior("auto", clip)
    assert prior.kind != "metric"
    assert "guessed from brightness instead" in prior.prepare(clip, [0, 1, 2], clip.tissue_mask)[0]


def test_a_single_view_is_told(videos):
    clip = load_clip(videos / "single.mp4", options(videos, "side-by-side", None))
    assert clip.contradictions == []
    assert [note for note in clip.notes if "leave --stereo out" in note]


def test_views_of_other_scenes_are_no_pair(tmp_path):
    write_pair(tmp_path, baseline_mm=6.0)
    for i, file in enumerate(sorted((tmp_path / "images_right").iterdir())):
        other = np.random.default_rng(7).integers(0, 256, (150, 200, 3), np.uint8)
        cv2.imwrite(str(file), np.roll(cv2.GaussianBlur(other, (0, 0), 4), i, 0))
    clip = load_clip(tmp_path)
    assert "nothing shows that they are a pair" in pair_doubt(clip)
    assert pair_doubt(load_clip(tmp_path, ClipOptions(max_size=40))) == pair_doubt(clip), "whatever the fit's size is"
    prior = choose_depth_prior("auto", clip)
    assert isinstance(prior, PhotometricDepth)
    with pytest.raises(InputError, match="nothing shows that they are a pair; use --split standard"):
        check_looks(clip, judges_right_view=True)


def smooth(seed=0, width=320, height=256, disparity=18):
    """A pair without points: waves of 20 pixels and more, noise, and a right view that is shifted."""
    generator = np.random.default_rng(seed)
    waves = cv2.GaussianBlur(generator.normal(size=(height, width + disparity, 3)).astype(np.float32), (0, 0), 14)
    waves = 120 + 22 * waves / waves.std()
    noisy = [part + generator.normal(size=part.shape) for part in (waves[:, :width], waves[:, disparity:])]
    return [part.clip(0, 255).astype(np.uint8) for part in noisy]


def test_smooth_tissue_without_points_is_still_a_pair(tmp_path):
    write_pair(tmp_path, baseline_mm=6.0)
    for name, view in zip(("images", "images_right"), smooth(), strict=True):
        for file in (tmp_path / name).iterdir():
            cv2.imwrite(str(file), view)
    (tmp_path / "calibration.json").write_text('{"fx": 350, "fy": 350, "cx": 160, "cy": 128, "baseline_mm": 4}')
    clip = load_clip(tmp_path)
    assert not clip.pair_check.is_sure
    assert pair_doubt(clip) is None
    assert isinstance(choose_depth_prior("auto", clip), StereoDepth)
    for file in (tmp_path / "images_right").iterdir():
        cv2.imwrite(str(file), smooth(3)[1])
    assert pair_doubt(load_clip(tmp_path)) is not None


class Frames:
    def __init__(self, image):
        self.image = image

    def read(self, index):
        return self.image


@pytest.mark.parametrize("way", WAYS)
def test_the_look_needs_no_rectified_views(way):
    left, right = (view[0] for view in views(rectified=False))
    right = np.roll(right, 5, 0)
    whole = (np.hstack if way == "side-by-side" else np.vstack)([left, right])
    found = check_packing(Frames(whole), 1, way)
    assert found.points > 20
    assert found.other is None
    np.testing.assert_array_equal(halves(whole, way)[1], right)


def test_verdicts():
    assert PackingCheck("side-by-side", 20, 300, True, False).other == "top-bottom"
    assert PackingCheck("side-by-side", 120, 300, True, False).other is None, "both may match; the given one does"
    assert PackingCheck("side-by-side", 3, 9, False, True).other == "top-bottom"
    assert PackingCheck("side-by-side", 3, 9, True, True).notes == []
    assert PackingCheck("side-by-side", 3, 9, False, True).contradiction is None, "looking alike is only a hint"
    assert "--stereo top-bottom takes" in PackingCheck("side-by-side", 3, 9, False, True).notes[0]
