"""Settling: the first Gaussians draw the depth they were given, wherever the camera stands."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from endogs.camera import Camera
from endogs.clip import load_clip
from endogs.fit import setup
from endogs.fit.config import FitConfig
from endogs.fit.settling import same_surface, settled, shift_along_rays
from endogs.fit.setup import STARTS
from endogs.fit.window import whole_clip
from endogs.gaussians import CHANNELS, LOG_SCALES, MEANS, OPACITY
from endogs.phantom.config import Phantom
from endogs.phantom.writer import write_phantom
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.motion.flow import ClipFlows
from endogs.render import rasterize_packed
from endogs.scene import Knots, SplineDeformation

CONFIG = replace(FitConfig(), initial_gaussians=1500, gaussians_cap=1500, insertions=())
HEIGHT, WIDTH, FOCAL = 40, 48, 50.0


def views_of(folder, depth="auto"):
    clip = load_clip(folder)
    flows, frames = ClipFlows(clip.image), list(range(len(clip)))
    prior = ClipDepth(clip, choose_depth_prior(depth, clip), frames, clip.tissue_mask, flows)
    return whole_clip(clip, frames, flows, prior, CONFIG, torch.device("cpu"))


def bias(views, base, control, knots):
    """Mean of drawn minus given depth over the frames, mm."""
    found = []
    for k, view in enumerate(views.real):
        packed = base if control is None else SplineDeformation(control, knots).packed_at(base, view.time)
        drawn = rasterize_packed(packed, view.camera)
        known = (views.observations.masks[k]) & (drawn.alpha.numpy() > 0.9)
        found.append((drawn.depth.numpy() - views.depth(k))[known])
    return float(np.concatenate(found).mean())


@pytest.mark.parametrize("moves", [True, False])
def test_a_new_scene_draws_the_given_depth(tmp_path, monkeypatch, moves):
    options = {"frames": 4, "width": 96, "height": 80, "noise": 0.0, "instruments": 1, "camera": "moving"}
    write_phantom(Phantom(tmp_path / "clip", **options, breathing=0.0, peristalsis=0.0, pull=0.0))
    views = views_of(tmp_path / "clip")
    knots = Knots.over(0.0, float(views.observations.times[-1]), 0.1) if moves else None
    after = bias(views, *STARTS["tissue"](views, CONFIG, knots, 0), knots)
    monkeypatch.setattr(setup, "settled", lambda base, motion, views: base)
    before = bias(views, *STARTS["tissue"](views, CONFIG, knots, 0), knots)
    assert before < -0.1  # in front of the surface
    assert abs(after) < 0.2 * abs(before)


def slanted_views(poses, hidden=()):
    """Views of a slanted plane, one per pose (4, 4); `hidden` (row, column) slices are an instrument's."""
    u = np.arange(WIDTH) + 0.5
    depth = np.broadcast_to(100 / (1 - 0.6 * (u - WIDTH / 2) / FOCAL), (HEIGHT, WIDTH)).astype(np.float32)
    mask = np.ones((HEIGHT, WIDTH), bool)
    for part in hidden:
        mask[part] = False
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    weight = torch.from_numpy(mask.astype(np.uint8) * 255)
    real = [
        SimpleNamespace(time=float(k), camera=Camera(K, pose, WIDTH, HEIGHT), weight=weight, depth_weight=weight)
        for k, pose in enumerate(poses)
    ]

    class Observed:
        masks, size = [mask] * len(poses), (HEIGHT, WIDTH)

        def __len__(self):
            return len(poses)

        def depth(self, k):
            return depth

    return SimpleNamespace(real=real, observations=Observed())


def plane_gaussians(pose, spacing=3.0):
    """Gaussians on that plane as the camera with `pose` sees it, in the world, and their places in the camera."""
    y, x = np.mgrid[spacing / 2 : HEIGHT : spacing, spacing / 2 : WIDTH : spacing]
    z = 100 / (1 - 0.6 * (x - WIDTH / 2) / FOCAL)
    seen = torch.from_numpy(np.stack([(x - WIDTH / 2) * z, (y - HEIGHT / 2) * z, FOCAL * z], -1).reshape(-1, 3) / FOCAL)
    base = torch.zeros(len(seen), CHANNELS)
    base[:, MEANS] = ((seen - pose[:3, 3].double()) @ pose[:3, :3].double()).float()
    base[:, 3] = 1
    base[:, LOG_SCALES] = float(np.log(0.6 * spacing * 2))
    base[:, OPACITY] = 1.4
    return base, seen.float()


def turned(degrees, shift=(30.0, -20.0, 10.0)):
    angle = np.radians(degrees)
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], dtype=torch.float32
    )
    pose[:3, 3] = torch.tensor(shift)
    return pose


@pytest.mark.parametrize("degrees", [0.0, 60.0, -100.0])
def test_gaussians_go_along_the_rays_of_a_camera_anywhere(degrees):
    pose = turned(degrees)
    views = slanted_views([pose])
    base, seen = plane_gaussians(pose)
    shift, told = shift_along_rays(base, views, 0)
    assert told.float().mean() > 0.8
    in_camera = shift @ pose[:3, :3].T
    along = in_camera.norm(dim=1) * torch.sign((in_camera * seen).sum(1))
    torch.testing.assert_close(in_camera, along[:, None] * seen / seen.norm(dim=1, keepdim=True), atol=1e-3, rtol=1e-3)
    assert float(along[told].mean()) > 0.1, "they are drawn too near, so they go back"

    def off(gaussians):
        drawn = rasterize_packed(gaussians, views.real[0].camera)
        return float((drawn.depth.numpy() - views.observations.depth(0))[drawn.alpha.numpy() > 0.9].mean())

    assert abs(off(settled(base, None, views))) < 0.25 * abs(off(base))


def test_only_trusted_tissue_of_the_same_surface_tells():
    pose = turned(20.0)
    views = slanted_views([pose], hidden=[np.s_[:, 30:]])
    base, seen = plane_gaussians(pose)
    column = seen[:, 0] / seen[:, 2] * FOCAL + WIDTH / 2
    base[:7, MEANS] += 8 * torch.tensor([0.0, 0.0, 1.0]) @ pose[:3, :3]  # of something far behind
    shift, told = shift_along_rays(base, views, 0)
    assert not told[column > 30].any()
    assert not told[:7].any()
    assert told[(column > 10) & (column < 28)].float().mean() > 0.9
    assert (shift[~told] == 0).all()
    untrusted = SimpleNamespace(**vars(views.real[0]) | {"depth_weight": torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)})
    assert not shift_along_rays(base, SimpleNamespace(real=[untrusted], observations=views.observations), 0)[1].any()


def test_a_frame_that_tells_nothing_does_not_halve_the_shift():
    pose, away = turned(0.0), turned(180.0)
    base, _ = plane_gaussians(pose)
    knots = Knots.evenly(0.0, 1.0, 1)
    still = SplineDeformation.at_rest(len(base), knots)
    alone = settled(base, still, slanted_views([pose]))
    both = settled(base, still, slanted_views([pose, away]))
    torch.testing.assert_close(both, alone)
    assert not torch.equal(alone, base)


def test_relative_depth_settles_nothing(tmp_path, monkeypatch):
    write_phantom(Phantom(tmp_path / "clip", frames=2, width=96, height=80, instruments=0))
    views = views_of(tmp_path / "clip", "photometric")
    monkeypatch.setattr(setup, "settled", lambda *_: pytest.fail("there is no depth to settle at"))
    STARTS["tissue"](views, CONFIG, None, 0)


def test_one_surface_is_one_within_two_percent():
    prior = np.array([10, 10, 10, 0, 10], np.float32)
    depth = np.array([10, 9.9, 8, 10, 0], np.float32)
    assert same_surface(prior, depth).tolist() == [True, True, False, False, False]
