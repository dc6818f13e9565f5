"""Settling: new Gaussians draw the depth they were given, in the frames that show them and behind instruments."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from endogs.clip import load_clip
from endogs.fit import setup
from endogs.fit.config import FitConfig
from endogs.fit.settling import same_surface, settled
from endogs.fit.setup import first_gaussians
from endogs.fit.views import TrainingViews
from endogs.gaussians import MEANS
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.priors.depth import ClipDepth, choose_depth_prior
from endogs.priors.flow import ClipFlows
from endogs.render import rasterize_packed
from endogs.scene import Knots, SplineDeformation

CONFIG = replace(FitConfig(), initial_gaussians=1500, gaussians_cap=1500, insertions=())


def views_of(folder, depth="auto"):
    clip = load_clip(folder)
    flows, frames = ClipFlows(clip.image), list(range(len(clip)))
    prior = ClipDepth(clip, choose_depth_prior(depth, clip), frames, clip.tissue_mask, flows)
    return TrainingViews(clip, frames, flows, clip.tissue_mask, prior, CONFIG, torch.device("cpu"))


def bias(views, base, control, knots):
    """Mean of drawn minus given depth over the frames, mm."""
    found = []
    for k, view in enumerate(views.real):
        packed = base if control is None else SplineDeformation(control, knots).packed_at(base, view.time)
        drawn = rasterize_packed(packed, view.camera)
        known = (views.observations.masks[k]) & (drawn.alpha.numpy() > 0.9)
        found.append((drawn.depth.numpy() - views.depth(k))[known])
    return float(np.concatenate(found).mean())


@pytest.mark.parametrize("camera", ["still", "moving"])
@pytest.mark.parametrize("moves", [True, False])
def test_a_new_scene_draws_the_given_depth(tmp_path, monkeypatch, camera, moves):
    options = {"frames": 4, "width": 96, "height": 80, "noise": 0.0, "instruments": 1, "camera": camera}
    write_phantom(Phantom(tmp_path / "clip", **options, breathing=0.0, peristalsis=0.0, pull=0.0))
    views = views_of(tmp_path / "clip")
    knots = Knots.over(0.0, float(views.observations.times[-1]), 0.1) if moves else None
    after = bias(views, *first_gaussians(views, CONFIG, knots, 0), knots)
    monkeypatch.setattr(setup, "settled", lambda base, motion, views: base)
    before = bias(views, *first_gaussians(views, CONFIG, knots, 0), knots)
    assert before < -0.1  # in front of the surface
    assert abs(after) < 0.35 * abs(before)


def test_gaussians_go_along_their_rays_and_only_where_depth_is_known(tmp_path):
    write_phantom(Phantom(tmp_path / "clip", frames=2, width=96, height=80, noise=0.0, instruments=1))
    views = views_of(tmp_path / "clip")
    knots = Knots.over(0.0, float(views.observations.times[-1]), 0.1)
    base, control = first_gaussians(views, CONFIG, knots, 0)
    base[:20, MEANS] *= 1.1  # of something else, far behind
    moved = settled(base, SplineDeformation(control, knots), views)
    shift = moved[:, MEANS] - base[:, MEANS]
    assert (shift[:20] == 0).all()
    assert (moved[:, 3:] == base[:, 3:]).all()
    far = shift.norm(dim=1) > 0.01
    rays = torch.nn.functional.cosine_similarity(shift[far], base[far][:, MEANS], dim=1).abs()
    assert far.sum() > 100
    assert float(rays.min()) > 0.99  # the camera is at the origin, and the tissue has moved a little since


def test_relative_depth_settles_nothing(tmp_path, monkeypatch):
    write_phantom(Phantom(tmp_path / "clip", frames=2, width=96, height=80, instruments=0))
    views = views_of(tmp_path / "clip", "photometric")
    monkeypatch.setattr(setup, "settled", lambda *_: pytest.fail("there is no depth to settle at"))
    first_gaussians(views, CONFIG, None, 0)


def test_one_surface_is_one_within_two_percent():
    prior = np.array([10, 10, 10, 0, 10], np.float32)
    depth = np.array([10, 9.9, 8, 10, 0], np.float32)
    assert same_surface(prior, depth).tolist() == [True, True, False, False, False]
