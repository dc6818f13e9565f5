"""Where Deform3DGS and EndoGaussian put their first Gaussians: random pixels of known depth, without tracks.

Only training frames are looked at; Deform3DGS's own code looks at test frames too.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from endogs.errors import InputError
from endogs.fit.config import FitConfig
from endogs.fit.window import Window
from endogs.scene import Knots
from endogs.seeding.observations import Observations
from endogs.seeding.placement import StartStyle, still_gaussians

SAMPLE = 0.1
"""Deform3DGS keeps this share of what it collects, and collects as much of what later frames add."""
FRAME_SAMPLE = 0.01
"""EndoGaussian keeps this share of each frame's pixels."""
MOVING_PERCENTILE = 95
"""Deform3DGS: pixels of the first frame that differ more than so many per cent from the clip's mean move."""
FEWEST = 50
"""Deform3DGS: a frame that adds no more pixels than this is passed over."""
NEIGHBOURS = 3
"""A Gaussian's standard deviation is the root mean square distance of its nearest neighbours."""

Points = tuple[NDArray[np.float64], NDArray[np.float32]]
"""World points (P, 3) and colours (P, 3)."""
Place = Callable[[Observations, np.random.Generator], Points]


def start_from_first_frame(window: Window, config: FitConfig, knots: Knots | None, seed: int) -> tuple[Tensor, None]:
    """Deform3DGS's first Gaussians, at rest."""
    return first_gaussians(window.observations, first_frame_points, config, seed), None


def start_from_every_frame(window: Window, config: FitConfig, knots: Knots | None, seed: int) -> tuple[Tensor, None]:
    """EndoGaussian's first Gaussians, at rest."""
    return first_gaussians(window.observations, every_frame_points, config, seed), None


def first_gaussians(observations: Observations, place: Place, config: FitConfig, seed: int) -> Tensor:
    """Canonical Gaussians (N, 14) at the points that `place` finds, as many as the configuration starts with at most.

    `config.start_scale` multiplies the distance of their neighbours. Raises InputError when no pixel has depth on
    tissue.
    """
    generator = np.random.default_rng(seed)
    points, colors = place(observations, generator)
    if len(points) <= NEIGHBOURS:
        raise InputError("too few tissue pixels of the training frames have depth for this recipe; leave its row out")
    count = min(config.initial_gaussians, config.gaussians_cap)
    if len(points) > count:
        chosen = np.sort(generator.choice(len(points), count, replace=False))
        points, colors = points[chosen], colors[chosen]
    near = cKDTree(points).query(points, NEIGHBOURS + 1)[0][:, 1:]
    spacing = np.sqrt(np.maximum(np.square(near).mean(1), 1e-7))
    return still_gaussians(points, colors, spacing, StartStyle(config.start_opacity, config.start_scale))


def every_frame_points(observations: Observations, generator: np.random.Generator) -> Points:
    """EndoGaussian's: a hundredth of every training frame's tissue of known depth."""
    parts = []
    for frame in range(len(observations)):
        known = np.flatnonzero(observations.masks[frame] & (observations.depth(frame) > 0))
        chosen = generator.choice(known, int(FRAME_SAMPLE * len(known)), replace=False)
        parts.append(_lifted(observations, frame, chosen))
    return _joined(parts)


def first_frame_points(observations: Observations, generator: np.random.Generator) -> Points:
    """Deform3DGS's: a tenth of the first frame's tissue, and of what later frames show where it was hidden or moves."""
    known = observations.masks[0] & (observations.depth(0) > 0)
    parts = [_lifted(observations, 0, np.flatnonzero(known))]
    moving = _moving(observations)
    covered = known.copy()
    for frame in range(1, len(observations)):
        adds = (~covered | moving) & observations.masks[frame] & (observations.depth(frame) > 0)
        pixels = np.flatnonzero(adds)
        if len(pixels) <= FEWEST:
            continue
        parts.append(_lifted(observations, frame, generator.choice(pixels, int(SAMPLE * len(pixels)), replace=False)))
        covered |= adds
    points, colors = _joined(parts)
    chosen = generator.choice(len(points), int(SAMPLE * len(points)), replace=False)
    return points[chosen], colors[chosen]


def _moving(observations: Observations) -> NDArray[np.bool_]:
    """(H, W) pixels of the first frame whose brightness is unlike the clip's mean."""
    mean = np.zeros(observations.size)
    for image in observations.images:
        mean += image.mean(-1) / len(observations)
    difference = np.abs(observations.images[0].mean(-1) - mean)
    differing = difference[difference > 0]
    return difference > (np.percentile(differing, MOVING_PERCENTILE) if len(differing) else 0)


def _lifted(observations: Observations, frame: int, flat: NDArray[np.intp]) -> Points:
    y, x = np.unravel_index(flat, observations.size)
    depth = observations.depth(frame)[y, x]
    pixels = np.stack([x, y], -1).astype(np.float32) + 0.5
    colors = (observations.images[frame][y, x] / 255).astype(np.float32)
    return observations.unproject(frame, pixels, depth), colors


def _joined(parts: list[Points]) -> Points:
    return np.concatenate([points for points, _ in parts]), np.concatenate([colors for _, colors in parts])
