"""Numbers of the deformations beside the spline, and of how they are stepped. No torch here."""

from dataclasses import dataclass, field
from typing import Literal

Channels = Literal["motion", "all"]
"""What a deformation changes: position, quaternion and log-scale, or these with opacity and colour."""
Kernel = Literal["quartic", "gaussian"]
HexplaneSize = Literal["light", "endo4dgs", "endogaussian"]
MotionStart = Literal["tracks", "rest"]
"""Where motion starts: from tracks of the optical flow, or at rest."""


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
SCENE_UNITS = OutputUnits(5.69, 1.0, 1.0, 1.0, 1.0)
"""The peers' outputs are plain offsets in EndoNeRF's units, whose tissue lies at a depth of about 100 with a focal
length of 569 pixels (the bounds in its poses_bounds.npy): one unit is 5.69 pixel footprints."""


@dataclass(frozen=True)
class BasesConfig:
    """Deform3DGS's and ColorGS's bases over time, of each Gaussian and channel."""

    count: int = 17
    """Bases per channel, evenly spaced at first."""
    kernel: Kernel = "quartic"
    """As Deform3DGS computes it, or as its paper writes it."""
    constant: bool = False
    """ColorGS's learnable time-independent term beside the bases."""
    channels: Channels = "all"
    """What changes over time; Deform3DGS: motion."""
    width: float = 1.1
    """First width s, in distances of neighbouring centres: sums of quartic bases then follow smooth motion to 3 %,
    Gaussian ones to 1 %. Deform3DGS takes 0.16, with which neighbours do not overlap and 70 % of it are left over."""
    units: OutputUnits = TRACKED_UNITS
    weight_rate: Rate = Rate(4e-3, 0.1)
    """Also of the time-independent term."""
    shape_rate: Rate = Rate(2e-4, 0.1)
    """Of centres and widths; time of a clip that lasts 1."""


@dataclass(frozen=True)
class HexplaneConfig:
    """EndoGaussian's and Endo-4DGS's six planes and small heads."""

    spatial: int = 48
    """Cells along x, y and z at the first scale."""
    temporal: int = 32
    """Cells along time, at every scale."""
    scales: tuple[int, ...] = (1, 2)
    """Multiples of `spatial`."""
    features: int = 16
    """Per plane."""
    hidden: int = 32
    """Width of the heads."""
    plane_start: tuple[float, float] = (0.5, 1.5)
    """Range of the spatial planes' first values. EndoGaussian takes .1 to .5, as K-planes does, whose products of three
    are so small that the heads learn slowly."""
    channels: Channels = "all"
    """What changes over time; EndoGaussian: position, quaternion and log-scale, as its code drops the opacity head."""
    units: OutputUnits = BALANCED_UNITS
    plane_rate: Rate = Rate(2e-2, 0.1)
    network_rate: Rate = Rate(5e-3, 0.1)
    plane_tv_weight: float = 2e-4
    """Of the planes' total variation along space."""
    time_smoothness_weight: float = 1e-3
    """Of the planes' squared second difference along time."""


HEXPLANE_SIZES: dict[HexplaneSize, dict[str, int | tuple[int, ...]]] = {
    "light": {"spatial": 48, "temporal": 32, "scales": (1, 2), "features": 16},
    "endo4dgs": {"spatial": 64, "temporal": 38, "scales": (1, 2), "features": 32},
    "endogaussian": {"spatial": 64, "temporal": 50, "scales": (1, 2, 4, 8), "features": 64},
}
"""0.8, 2.7 and 76 million numbers in the planes. Theirs have twice the cells in time, of which a clip uses half."""


@dataclass(frozen=True)
class MlpConfig:
    """SurgicalGaussian's network."""

    layers: int = 8
    width: int = 256
    position_frequencies: int = 10
    time_frequencies: int = 4
    channels: Channels = "all"
    """What changes over time; SurgicalGaussian: motion."""
    units: OutputUnits = BALANCED_UNITS
    rate: Rate = Rate(1e-3, 0.1)


@dataclass(frozen=True)
class LowrankConfig:
    """Trajectories that all Gaussians share."""

    trajectories: int = 16
    """Shared functions of time per channel."""
    channels: Channels = "all"
    """What changes over time."""
    units: OutputUnits = TRACKED_UNITS
    coefficient_rate: Rate = Rate(0.02, 0.2)
    """Of all coefficients of a channel together: each steps at this over the number of trajectories, which add up."""
    trajectory_rate: Rate = Rate(1e-3, 0.1)
    """Their mean square is 1 at first."""


@dataclass(frozen=True)
class DeformationConfig:
    """How deformations other than the spline are shaped and stepped."""

    bases: BasesConfig = field(default_factory=BasesConfig)
    hexplane: HexplaneConfig = field(default_factory=HexplaneConfig)
    mlp: MlpConfig = field(default_factory=MlpConfig)
    lowrank: LowrankConfig = field(default_factory=LowrankConfig)
    epsilon: float = 1e-8
    """Adam's, also for their canonical Gaussians."""
    only_positions_decay: bool = False
    """Of the canonical Gaussians' step sizes; 3DGS and its kin leave the others as they are."""
    still_share: float = 0.0
    """Share of the steps, at the beginning, in which nothing deforms; then every step size starts again."""
