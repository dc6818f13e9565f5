"""A small scene, a view of something else, and an objective, for comparing the ways to take a step."""

from dataclasses import replace

import torch
from samples.gaussian_scenes import make_scene

from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import DepthAnchor, UnseenPairs
from endogs.fit.objective.objective import Objective
from endogs.fit.objective.term import TermSetup
from endogs.fit.objective.terms import terms_of
from endogs.fit.view import View
from endogs.render import rasterize_packed


def random(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def step_problem(depth_kind: str | None, ssim_weight: float, with_unseen: bool) -> tuple[Objective, View, torch.Tensor]:
    """A small scene, a view of something else, and an objective with every term that was asked for.

    Log depth has an anchor.
    """
    scene = make_scene("ordinary", 60, (50, 31), seed=3).to(torch.float32)
    camera = scene.camera
    rendering = rasterize_packed(scene.packed, camera)
    covered = rendering.alpha > 0.6
    assert 0.8 < covered.float().mean() < 1
    weight = torch.where(random(31, 50, seed=1) > 0, 255, 51).to(torch.uint8)  # 51: the rim of an eroded mask
    weight[:4], weight[:, :3] = 0, 0
    image = random(31, 50, 3, seed=2, low=0, high=255).to(torch.uint8)
    open_tissue = torch.zeros_like(weight)
    open_tissue[20:, 25:] = 1
    view = View(0.0, camera, image, weight, 0, occluded=(weight == 0).to(torch.uint8), surface=open_tissue)
    if depth_kind is not None:
        depth = torch.where(covered, rendering.depth * random(31, 50, seed=4, low=0.9, high=1.1), 0)
        depth_weight = torch.where(covered, random(31, 50, seed=5, low=40, high=255), 0).to(torch.uint8)
        if depth_kind == "logdepth":
            depth = torch.where(covered, depth.clamp_min(0.1).log(), 0).half()
        if depth_kind == "disparity":
            depth = 1 / depth.clamp_min(0.1)
        view = replace(view, depth=depth, depth_weight=depth_weight)
    config = FitConfig(ssim_weight=ssim_weight, unseen_weight=0.3, relative_depth_weight=0.5, depth_anchor=0.1)
    kind = depth_kind or "logdepth"
    anchor = DepthAnchor(1.0, 0.4) if depth_kind == "logdepth" else None
    pairs = UnseenPairs.of(unseen_area()) if with_unseen else None
    return Objective(terms_of(TermSetup(config, kind, anchor, pairs)), config, kind), view, scene.packed


def unseen_area() -> torch.Tensor:
    """What no frame of `step_problem` shows as tissue."""
    unseen = torch.zeros(31, 50, dtype=torch.bool)
    unseen[10:20, 12:30] = True
    return unseen
