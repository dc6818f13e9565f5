"""From a clip's training views to a fit that can start."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from endogs.clip import Clip
from endogs.fit.config import FitConfig
from endogs.fit.deformation_setup import TRACKED, new_autograd_optimizer
from endogs.fit.knots import clip_knots
from endogs.fit.optimizer import SplineAdam
from endogs.fit.scene_optimizer import SceneOptimizer
from endogs.fit.views import TrainingViews
from endogs.gaussians import CHANNELS
from endogs.scene import Knots, Scene, SplineDeformation, StaticDeformation
from endogs.scene.initialization import initialize
from endogs.scene.peer_initialization import initialize_as_peer
from endogs.scene.placement import Look


def new_optimizer(
    clip: Clip,
    views: TrainingViews,
    config: FitConfig,
    deformation: str,
    device: torch.device,
    empty: bool = False,
    seed: int = 0,
) -> SceneOptimizer:
    """The initialized scene and its optimizer; `empty` leaves out the Gaussians, for a checkpoint to bring them."""
    knots = clip_knots(clip, views.observations, config.knot_frames) if deformation in TRACKED else None
    tracked = config.motion_start == "tracks"
    base, control = torch.zeros(0, CHANNELS), None
    if not empty:
        base, control = first_gaussians(views, config, knots if tracked else None, seed)
    base, footprint = base.to(device), pixel_footprint(views)
    motion = None if control is None or knots is None else SplineDeformation(control.to(device), knots)
    if deformation == "none":
        return SplineAdam(base, StaticDeformation(), config, footprint)
    if deformation == "spline" and knots is not None:
        shape = SplineDeformation.at_rest(len(base), knots, device) if motion is None else motion
        return SplineAdam(base, shape, config, footprint, follow=tracked)
    return new_autograd_optimizer(base, motion, float(clip.times[-1]), knots, config, deformation, footprint, seed)


def first_gaussians(
    views: TrainingViews, config: FitConfig, knots: Knots | None, seed: int
) -> tuple[Tensor, Tensor | None]:
    """Canonical Gaussians (N, 14) as the configuration places them, and control points (Kn, N, 14) where tracks are."""
    look = Look(config.start_opacity, config.start_scale)
    count = min(config.initial_gaussians, config.gaussians_cap)
    if config.initialization == "tissue":
        return initialize(views.observations, count, knots, look, views.hidden)
    return initialize_as_peer(views.observations, config.initialization, count, look, seed), None


def pixel_footprint(views: TrainingViews) -> float:
    """Width of a pixel, world units, at the median depth of the first frame with depth: the unit of learning rates."""
    k = views.reference
    depth = views.depth(k)
    known = depth[views.observations.masks[k] & (depth > 0)]
    return float(np.median(known)) / float(views.observations.K[k, 0, 0])


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Names of the entries in which two run identities differ."""
    before, now = before | before.get("fit", {}), now | now.get("fit", {})
    keys = sorted((set(before) | set(now)) - {"fit"})
    return ", ".join(key for key in keys if before.get(key) != now.get(key))


def finished_scene(optimizer: SceneOptimizer, clip: Clip, metric: bool, metadata: dict[str, Any]) -> Scene:
    """The scene as it stands, with the clip's cameras, and its units where depth is `metric`."""
    return Scene(
        optimizer.base.detach(),
        optimizer.deformation,
        clip.times,
        clip.K,
        clip.world_to_camera,
        clip.width,
        clip.height,
        clip.units if metric else "relative",
        metadata,
    )
