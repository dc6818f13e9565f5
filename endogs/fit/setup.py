"""From a clip's training views to a fit that can start."""

from typing import Any

import numpy as np
import torch

from endogs.clip import Clip
from endogs.fit.config import FitConfig
from endogs.fit.knots import clip_knots
from endogs.fit.optimizer import SplineAdam
from endogs.fit.views import TrainingViews
from endogs.gaussians import CHANNELS
from endogs.scene import Scene, SplineDeformation, StaticDeformation
from endogs.scene.initialization import initialize
from endogs.scene.placement import Look


def new_optimizer(
    clip: Clip, views: TrainingViews, config: FitConfig, deformation: str, device: torch.device, empty: bool = False
) -> SplineAdam:
    """The initialized scene and its optimizer; `empty` leaves out the Gaussians, for a checkpoint to bring them."""
    knots = clip_knots(clip, views.observations, config.knot_frames) if deformation == "spline" else None
    if empty:
        base = torch.zeros(0, CHANNELS)
        control = None if knots is None else torch.zeros(knots.count, 0, CHANNELS)
    else:
        look = Look(config.start_opacity, config.start_scale)
        count = min(config.initial_gaussians, config.gaussians_cap)
        base, control = initialize(views.observations, count, knots, look, views.hidden)
    shape = StaticDeformation() if knots is None or control is None else SplineDeformation(control.to(device), knots)
    return SplineAdam(base.to(device), shape, config, pixel_footprint(views))


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


def finished_scene(optimizer: SplineAdam, clip: Clip, metric: bool, metadata: dict[str, Any]) -> Scene:
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
