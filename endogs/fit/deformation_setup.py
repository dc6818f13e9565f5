"""Deformations beside the spline, as a fit starts them: their form, units, step sizes and penalties."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from endogs.fit.autograd_adam import AutogradAdam
from endogs.fit.config import FitConfig, LearningRates
from endogs.fit.deformation_config import (
    BALANCED_UNITS,
    TRACKED_UNITS,
    DeformationConfig,
    HexplaneConfig,
    OutputUnits,
    Rate,
)
from endogs.fit.optimizer import channel_rates
from endogs.gaussians import CHANNELS, MEANS
from endogs.scene import (
    BasesDeformation,
    Deformation,
    HexplaneDeformation,
    Knots,
    LowrankDeformation,
    MlpDeformation,
    SplineDeformation,
)
from endogs.scene.deformation.bases import MOTION_CHANNELS
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.field import box_around

TRACKED = ("spline", "bases", "lowrank")
"""Deformations that can start from tracks."""


def new_autograd_optimizer(
    base: Tensor,
    motion: SplineDeformation | None,
    last: float,
    knots: Knots | None,
    config: FitConfig,
    kind: str,
    pixel_footprint: float,
    seed: int,
) -> AutogradAdam:
    """The optimizer of a deformation of that kind for canonical Gaussians (N, 14), which follows `motion` if it can.

    `last`: time of the clip's last frame, seconds; `knots`: of splines through tracks, for the kinds that are TRACKED.
    """
    forms = config.deformations
    form = getattr(forms, kind)
    tracked = kind in TRACKED and config.motion_start == "tracks"
    # From rest, positions have all the way to go.
    scale = BALANCED_UNITS if form.units == TRACKED_UNITS and not tracked else form.units
    units = output_units(scale, form.channels, pixel_footprint).to(base)
    span = ClipTime(0.0, last if last > 0 else 1.0)
    deformation = new_deformation(kind, base, motion, forms, units, span, knots, seed)
    return AutogradAdam(
        base,
        deformation,
        config,
        pixel_footprint,
        partial(rates, forms),
        knots if tracked else None,
        plane_penalty(forms.hexplane) if kind == "hexplane" else None,
    )


def output_units(units: OutputUnits, channels: str, pixel_footprint: float) -> Tensor:
    """(10,) or (14,) what an output of 1 means per channel, in the packed Gaussians' own units."""
    rates = LearningRates(units.position, units.quat, units.log_scale, units.opacity, units.color, 1.0)
    return channel_rates(rates, pixel_footprint)[: MOTION_CHANNELS if channels == "motion" else CHANNELS]


def new_deformation(
    kind: str,
    base: Tensor,
    motion: SplineDeformation | None,
    forms: DeformationConfig,
    units: Tensor,
    span: ClipTime,
    knots: Knots | None,
    seed: int,
) -> Deformation:
    """A deformation of canonical Gaussians (N, 14): `bases`, `lowrank` (which needs `knots`), `hexplane` or `mlp`."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "bases":
        b = forms.bases
        still = BasesDeformation.at_rest(0, b.count, b.width / (b.count - 1), units, span, b.kernel, b.constant)
        return still.grown(len(base), motion)
    if kind == "lowrank" and knots is not None:
        shared = LowrankDeformation.of(motion, forms.lowrank.trajectories, units, knots)
        return shared.grown(len(base), motion)
    bounds = box_around(base[:, MEANS])
    if kind == "hexplane":
        h = forms.hexplane
        size = (h.spatial, h.temporal, h.scales, h.features, h.hidden, h.plane_start)
        return HexplaneDeformation.new(*size, units, bounds, span, generator)
    m = forms.mlp
    frequencies = (m.position_frequencies, m.time_frequencies)
    return MlpDeformation.new(m.layers, m.width, frequencies, units, bounds, span, generator)


def rates(forms: DeformationConfig, deformation: Deformation) -> dict[str, Rate]:
    """Step sizes of a deformation's tensors, by name or by its part before the first dot."""
    b, h, m, shared = forms.bases, forms.hexplane, forms.mlp, forms.lowrank
    # There are fewer trajectories than configured where the clip has fewer knots.
    rank = len(deformation.coefficients) if isinstance(deformation, LowrankDeformation) else shared.trajectories
    coefficients = Rate(shared.coefficient_rate.start / rank, shared.coefficient_rate.final)
    return {
        "bases": {"weights": b.weight_rate, "constant": b.weight_rate, "centers": b.shape_rate, "widths": b.shape_rate},
        "hexplane": {"planes": h.plane_rate, "trunk": h.network_rate, "heads": h.network_rate},
        "mlp": {"layers": m.rate, "outputs": m.rate},
        "lowrank": {"coefficients": coefficients, "trajectories": shared.trajectory_rate},
    }[deformation.kind]


@dataclass(frozen=True)
class PlanePenalty:
    """Total variation of the planes along space and their roughness along time, weighted."""

    tv_weight: float
    smoothness_weight: float

    def __call__(self, deformation: Deformation) -> Tensor:
        """The loss, ()."""
        assert isinstance(deformation, HexplaneDeformation)
        space, time = deformation.roughness()
        return self.tv_weight * space + self.smoothness_weight * time


def plane_penalty(form: HexplaneConfig) -> PlanePenalty | None:
    """The penalty of a hexplane's configuration; None where nothing is weighted."""
    if form.plane_tv_weight == form.time_smoothness_weight == 0:
        return None
    return PlanePenalty(form.plane_tv_weight, form.time_smoothness_weight)
