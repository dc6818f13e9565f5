"""What the deformations' own numbers are made of: step sizes, units of their outputs, and what a fit starts from."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY, QUATS
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.knots import Knots, Tracks

Channels = Literal["motion", "all"]
"""What a deformation changes: position, quaternion and log-scale, or these with opacity and colour."""
MOTION_CHANNELS = 10
"""Position, quaternion and log-scale: the first columns of a packed Gaussian."""


@dataclass(frozen=True)
class Rate:
    """A step size of Adam that decays exponentially."""

    start: float
    """Per step, in the tensor's own unit."""
    final: float
    """It ends at this fraction of its start, in (0, 1]."""


@dataclass(frozen=True)
class OutputUnits:
    """What 1 in a deformation's output means per channel, so that one step size serves them all."""

    position: float
    """Pixel footprints: widths z/f of a pixel at the scene's median depth."""
    quat: float
    """Unitless."""
    log_scale: float
    """Natural logarithm."""
    opacity: float
    """Logit."""
    color: float
    """Of the range [0, 1]."""


TRACKED_UNITS = OutputUnits(5.0, 0.25, 0.5, 6.0, 1.0)
"""In the ratio of the spline's step sizes: at a rate of 0.02, every channel steps as a control point does."""
BALANCED_UNITS = OutputUnits(15.0, 0.25, 0.5, 6.0, 1.0)
"""The same, but positions step three times as far: from rest they have all the way to go."""


@dataclass(frozen=True)
class Form:
    """Numbers of a deformation that has none of its own, and what those of the others begin with."""

    channels: Channels = "all"
    """What changes over time."""
    units: OutputUnits = BALANCED_UNITS
    """Scale of the outputs."""


@dataclass(frozen=True)
class Start:
    """What a deformation starts from."""

    config: Any
    """Its own numbers, of its `Config`."""
    motion: Tracks | None
    """Splines through the tracks of its Gaussians; None where it starts at rest."""
    knots: Knots | None
    """Knots for its splines, or of those through tracks; None for kinds without."""
    span: ClipTime
    """The clip."""
    pixel_footprint: float
    """Width of a pixel at the median depth, world units."""
    tracked: bool
    """Whether new Gaussians follow tracks."""
    seed: int

    @property
    def units(self) -> Tensor:
        """(10,) or (14,) what an output of 1 means per channel, in the packed Gaussians' own units.

        From rest, positions have all the way to go.
        """
        wanted = self.config.units
        units = BALANCED_UNITS if wanted == TRACKED_UNITS and not self.tracked else wanted
        scale = torch.empty(CHANNELS)
        scale[MEANS] = units.position * self.pixel_footprint
        scale[QUATS] = units.quat
        scale[LOG_SCALES] = units.log_scale
        scale[OPACITY] = units.opacity
        scale[COLORS] = units.color
        return scale[: MOTION_CHANNELS if self.config.channels == "motion" else CHANNELS]

    @property
    def generator(self) -> torch.Generator:
        """Random numbers of the fit's seed."""
        return torch.Generator().manual_seed(self.seed)
