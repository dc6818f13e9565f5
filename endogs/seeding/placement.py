"""New Gaussians at chosen pixels, with the start of their splines taken from tracks."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY
from endogs.scene.deformation.knots import Knots
from endogs.seeding.observations import ColoredTracks, Observations, Pixels, follow
from endogs.seeding.rigid_tracks import track_points
from endogs.seeding.spline_fit import fit_control


@dataclass(frozen=True)
class Seeds:
    """Pixels of training frames that become Gaussians."""

    frame: NDArray[np.intp]
    """(P,) indices into the training frames."""
    pixels: Pixels
    """(P, 2) x, y; pixel centres at +0.5."""
    depth: NDArray[np.float32]
    """(P,) z-depth > 0, world units."""
    spacing: NDArray[np.float32]
    """(P,) pixels between neighbours."""

    def __len__(self) -> int:
        return len(self.pixels)

    @staticmethod
    def none() -> "Seeds":
        """No seeds at all."""
        return Seeds(np.zeros(0, np.intp), np.zeros((0, 2), np.float32), *np.zeros((2, 0), np.float32))


@dataclass(frozen=True)
class StartStyle:
    """How new Gaussians start."""

    opacity: float
    """In (0, 1)."""
    scale: float
    """Standard deviation in spacings of the seeds."""


def gaussians_from_seeds(
    observations: Observations,
    seeds: Seeds,
    knots: Knots | None,
    style: StartStyle,
    tracks: ColoredTracks | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Canonical Gaussians (P, 14) and control points (Kn, P, 14), or None without knots.

    Isotropic with standard deviation `style.scale` spacings times the pixel footprint z/f, identity orientation.
    Position and colour control points follow the tracks by least squares; the other channels start at rest.
    """
    if tracks is None:
        tracks = follow(observations, seeds.frame, seeds.pixels, seeds.depth)
    own = np.arange(len(seeds))
    points = track_points(observations, tracks, seeds.frame)
    # Canonical is the mean place of tissue that moves as a whole.
    means = points[seeds.frame, own] - observations.offsets[seeds.frame]
    colors = tracks.colors[seeds.frame, own]
    base = still_gaussians(means, colors, seeds.spacing * seeds.depth / observations.K[seeds.frame, 0, 0], style)
    if knots is None:
        return base, None
    offsets = np.concatenate([points - means, tracks.colors - colors], -1).astype(np.float32)
    fitted = torch.from_numpy(fit_control(knots, observations.times, offsets))
    control = torch.zeros(knots.count, len(seeds), CHANNELS)
    control[..., MEANS] = fitted[..., :3]
    control[..., COLORS] = fitted[..., 3:]
    return base, control


def still_gaussians(means: NDArray, colors: NDArray, spacing: NDArray, style: StartStyle) -> Tensor:
    """Canonical Gaussians (P, 14) at world points (P, 3) with colours (P, 3) and neighbours `spacing` (P,) away."""
    base = torch.zeros(len(means), CHANNELS)
    base[:, MEANS] = torch.from_numpy(np.asarray(means, np.float32))
    base[:, 3] = 1
    base[:, LOG_SCALES] = torch.from_numpy(np.log(style.scale * spacing).astype(np.float32))[:, None]
    base[:, OPACITY] = float(np.log(style.opacity / (1 - style.opacity)))
    base[:, COLORS] = torch.from_numpy(np.ascontiguousarray(colors, np.float32))
    return base
