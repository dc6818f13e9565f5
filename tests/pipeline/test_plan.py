"""What a plan decides by the clip: where the camera moves with known poses, a fit begins and is lit otherwise."""

import cv2
import numpy as np
import pytest
from samples.sliding_clip import sliding_clip

from endogs.cli import main
from endogs.clip import load_clip
from endogs.errors import InputError
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import resolve


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moving") / "clip"
    return load_clip(write_phantom(Phantom(folder, frames=6, width=96, height=80, camera="moving")), look=False)


def numbers(clip, **options):
    return resolve(Reconstruct(clip.source, device="cpu", **options), clip).fit


def test_a_moving_camera_is_placed_by_poses_and_lit_frame_by_frame(moving):
    for deformation in ("none", "spline"):
        found = numbers(moving, deformation=deformation)
        assert found.initialization == "poses"
        assert found.appearance.exposure
        assert found.appearance.colors == ("headlight" if deformation == "none" else "plain")
    assert numbers(moving, colors="lit").appearance.colors == "lit"


def test_an_option_or_a_deformation_without_appearance_keeps_the_exposure_even(moving):
    assert numbers(moving, even_exposure=True).appearance.plain
    assert numbers(moving, deformation="bases").appearance.plain


def test_a_still_camera_is_fitted_as_ever(tmp_path):
    clip = sliding_clip(tmp_path, 6)
    assert numbers(clip).initialization == "tissue"
    assert numbers(clip).appearance.plain
    assert numbers(clip, exposure=True).appearance.exposure


def test_exposures_that_are_asked_for_and_refused_exclude_each_other(moving):
    with pytest.raises(InputError, match="--even-exposure"):
        numbers(moving, exposure=True, even_exposure=True)


def test_frames_too_small_for_flow_are_refused_before_anything_else_is_said(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), np.random.default_rng(i).integers(0, 255, (7, 9, 3)))
    assert main(["reconstruct", str(tmp_path), "--out", str(tmp_path / "scene")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"endogs: {tmp_path}: frames of 9 x 7 pixels are too small")
    assert "note:" not in said
