"""From a clip's training frames to a fit that can start."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.fit.checkpoint import Checkpoint
from endogs.fit.config import FitConfig
from endogs.fit.optimize.appearance_adam import AppearanceAdam
from endogs.fit.optimize.autograd_adam import AutogradAdam, form_of
from endogs.fit.optimize.rest_pull import RestPull
from endogs.fit.optimize.scene_optimizer import SceneOptimizer
from endogs.fit.optimize.spline_adam import SplineAdam
from endogs.fit.settling import settled
from endogs.fit.window import Window
from endogs.gaussians import CHANNELS
from endogs.scene import Knots, Scene, SplineDeformation
from endogs.scene.appearance import PLAIN, Appearance, Exposure, HarmonicColors, HeadlightColors, LitColors
from endogs.scene.appearance.color_model import ColorModel
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.form import Start as DeformationStart
from endogs.scene.deformation.registry import DEFORMATIONS
from endogs.scene.origin import Origin
from endogs.seeding.exposure_estimate import estimate_exposure
from endogs.seeding.initialization import initialize
from endogs.seeding.knots import clip_knots
from endogs.seeding.light_estimate import estimate_light
from endogs.seeding.placement import StartStyle
from endogs.seeding.posed_start import initialize_by_poses
from endogs.seeding.spline_fit import fit_control
from endogs.seeding.unlit_images import take_off

FOOTPRINT_FRAMES = 9
"""Frames of a moving camera by which the width of a pixel is found."""
Start = Callable[[Window, FitConfig, Knots | None, int], tuple[Tensor, Tensor | None]]
"""From a window, numbers, knots of splines through tracks (None for a start at rest) and a seed to the first canonical
Gaussians (N, 14) and their control points (Kn, N, 14), None where they start at rest."""


def new_optimizer(
    clip: Clip,
    window: Window,
    config: FitConfig,
    device: torch.device,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    span: ClipTime | None = None,
    start: Start | None = None,
) -> SceneOptimizer:
    """The initialized scene and its optimizer; for a `checkpoint` without Gaussians, which it brings, and with its
    knots: they were laid by the flow, which another machine or another cache need not find the same.

    `span` is the part of the clip that the window is of, by default all; `start` places the first Gaussians instead
    of the one that the numbers name.

    Raises InputError for exposures of frames at equal times, and a checkpoint whose knots are none.
    """
    kind = DEFORMATIONS[config.deformation]
    knots = None if checkpoint is None else checkpoint.knots()
    if knots is None and kind.tracked:
        knots = clip_knots(clip, window.observations, config.knot_frames, span)
    tracked = config.motion_start == "tracks"
    if config.appearance.exposure and np.any(np.diff(window.observations.times) <= 0):
        raise InputError(
            f"{clip.source}: two frames have the same time, so no exposure can be found for each; leave out "
            "--exposure, or correct the times."
        )
    seen = start_light(window, config, device)
    base, control = torch.zeros(0, CHANNELS), None
    if checkpoint is None:
        start = start or STARTS[config.initialization]
        base, control = start(window, config, knots if tracked else None, seed)
    base, footprint = base.to(device), pixel_footprint(window)
    control = None if control is None else control.to(device)
    appearance = new_appearance(base, window, config, seen)
    if appearance is not None:
        base, control = appearance.encode_start(base, control)
    motion = None if control is None or knots is None else SplineDeformation(control, knots)
    last = float(clip.times[-1])
    span = ClipTime(0.0, last if last > 0 else 1.0) if span is None else span
    follows = tracked and kind.tracked
    moving = DeformationStart(form_of(config), motion, knots, span, footprint, follows, seed)
    deformation = kind.start(base, moving)
    if kind.linear:
        pull = new_rest_pull(window, config, deformation.spline_knots)
        return SplineAdam(base, deformation, config, footprint, tracked, appearance, pull)
    return AutogradAdam(base, deformation, config, footprint, knots if follows else None)


def start_on_tissue(window: Window, config: FitConfig, knots: Knots | None, seed: int) -> tuple[Tensor, Tensor | None]:
    """Over the best frame's tissue and what others uncover, along the tracks of the optical flow."""
    style = StartStyle(config.start_opacity, config.start_scale)
    count = min(config.initial_gaussians, config.gaussians_cap)
    base, control = initialize(window.observations, count, knots, style, window.occluded)
    motion = None if control is None or knots is None else SplineDeformation(control, knots)
    return settled(base, motion, window) if window.metric else base, control


def start_by_poses(window: Window, config: FitConfig, knots: Knots | None, seed: int) -> tuple[Tensor, Tensor | None]:
    """Over the tissue of all training frames, by their poses; as on tissue where depth is not in the poses' units."""
    if not window.metric:
        return start_on_tissue(window, config, knots, seed)
    style = StartStyle(config.start_opacity, config.start_scale)
    count = min(config.initial_gaussians, config.gaussians_cap)
    return initialize_by_poses(window.observations, count, knots, style)


STARTS: dict[str, Start] = {"tissue": start_on_tissue, "poses": start_by_poses}
"""Where the first Gaussians go, by the name in `FitConfig.initialization`."""


def start_light(window: Window, config: FitConfig, device: torch.device) -> Appearance:
    """The headlight and the exposures that a fit starts from, which the images that new Gaussians are coloured by lose;
    each None where the fit has none.

    Lit colours start from neutral exposures: the lamp is to explain as much as it can. A headlight needs depth in the
    poses' units.
    """
    observations = window.observations
    take_off(observations, PLAIN)  # a window may serve several fits
    if not config.appearance.exposure:
        return PLAIN
    if config.appearance.colors == "lit":
        return Appearance(None, Exposure.neutral(observations.times, device))
    if config.appearance.colors == "headlight" and window.metric:
        camera = window.real[window.reference].camera.to("cpu")
        distance = pixel_footprint(window) * float(camera.K[0, 0])
        seen = estimate_light(observations, HeadlightColors.even(distance, camera))
    else:
        seen = Appearance(None, estimate_exposure(observations))
    take_off(observations, seen)
    return seen.to(device)


def new_appearance(base: Tensor, window: Window, config: FitConfig, seen: Appearance) -> AppearanceAdam | None:
    """What is trained between Gaussians that begin as `base` (N, 14) and the picture, from the light and exposures that
    were `seen`; None where colours are plain."""
    appearance = config.appearance
    if appearance.plain:
        return None
    camera = window.real[window.reference].camera
    colors: ColorModel | None = seen.colors
    if appearance.colors == "sh":
        colors = HarmonicColors.at_rest(len(base), appearance.sh_degree, base.device)
    elif appearance.colors == "lit":
        colors = LitColors.start(base, pixel_footprint(window) * float(camera.K[0, 0]))
    return AppearanceAdam(Appearance(colors, seen.exposure), camera, appearance)


def new_rest_pull(window: Window, config: FitConfig, knots: Knots | None) -> RestPull | None:
    """What deformation pays; None where it is free, or nothing deforms."""
    if config.rest_pull == 0 or knots is None:
        return None
    offsets = window.observations.offsets.astype(np.float32)[:, None]
    rest = torch.from_numpy(fit_control(knots, window.observations.times, offsets)[:, 0])
    return RestPull(rest.to(window.real[0].image.device), config.rest_pull)


def pixel_footprint(window: Window) -> float:
    """Width of a pixel, world units, at the median depth of the first frame with depth: the unit of learning rates.

    Where the camera moves, the median of such widths over a few frames: it may begin near the tissue and end far away.
    """
    first = window.reference
    if window.static_camera or not window.metric:
        return frame_footprint(window, first)
    spread = np.unique(np.linspace(0, len(window.real) - 1, FOOTPRINT_FRAMES).round().astype(int)).tolist()
    widths = [frame_footprint(window, k) for k in spread]
    return float(np.median([width for width in widths if width > 0] or [frame_footprint(window, first)]))


def frame_footprint(window: Window, k: int) -> float:
    """Width of a pixel, world units, at the median depth of frame `k`; 0 where nothing is known of its depth."""
    depth = window.depth(k)
    known = depth[window.observations.masks[k] & (depth > 0)]
    return float(np.median(known)) / float(window.observations.K[k, 0, 0]) if known.size else 0.0


def finished_scene(
    optimizer: SceneOptimizer,
    clip: Clip,
    metric: bool,
    origin: Origin,
    metadata: dict[str, Any] | None = None,
    frames: slice = slice(None),
    world_to_camera: NDArray[np.float64] | None = None,
) -> Scene:
    """The scene as it stands, with the clip's cameras of these frames, and its units where depth is `metric`.

    `world_to_camera` (F, 4, 4) are the poses of these frames where they are not the clip's.
    """
    return Scene(
        optimizer.base.detach(),
        optimizer.deformation,
        clip.times[frames],
        clip.K[frames],
        clip.world_to_camera[frames] if world_to_camera is None else world_to_camera,
        clip.width,
        clip.height,
        clip.units if metric else "relative",
        metadata or {},
        appearance=optimizer.shown_appearance,
        origin=origin,
    )
