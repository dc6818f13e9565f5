"""Where the first Gaussians go when a camera moves and its poses are known: each surface once, from where it is near.

Nothing is followed along the flow to know what is covered: seeds are moved into every training frame by its pose. The
frames nearest to the tissue come first, since they show it in most pixels; others add what is missing or too sparse for
them.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from endogs.errors import InputError
from endogs.priors.pull_push import filled
from endogs.scene.deformation.knots import Knots
from endogs.seeding.initialization import PROBE_POINTS, lattice, on_mask, uncovered_mask
from endogs.seeding.observations import Observations, in_image, pixel_index
from endogs.seeding.placement import Seeds, StartStyle, gaussians_from_seeds, still_gaussians

SAME_SURFACE = 0.15
"""Part by which a seed's depth may differ from a frame's for it to lie on the surface that the frame shows."""


def initialize_by_poses(
    observations: Observations, count: int, knots: Knots | None, style: StartStyle
) -> tuple[Tensor, Tensor | None]:
    """About `count` canonical Gaussians (N, 14), never more, and with knots their control points (Kn, N, 14).

    Depth must be metric. Raises InputError when no training frame shows tissue of known depth.
    """
    spacing = spacing_for(observations, count)
    if spacing is None:
        raise InputError("the training frames show too little tissue of known depth: check masks, borders and depth")
    return _placed(observations, seeds_by_poses(observations, spacing), count, knots, style)


def complete_by_poses(
    observations: Observations,
    carried: NDArray[np.float32],
    density: int,
    most: int,
    knots: Knots | None,
    style: StartStyle,
) -> tuple[Tensor, Tensor | None]:
    """Up to `most` canonical Gaussians (N, 14) and their control points where canonical points `carried` (P, 3) are
    not; as close to each other as `density` of them over all that the frames show. N may be 0."""
    spacing = spacing_for(observations, density)
    seeds = Seeds.none() if spacing is None else seeds_by_poses(observations, spacing, carried)
    return _placed(observations, seeds, most, knots, style)


def spacing_for(observations: Observations, count: int) -> float | None:
    """Pixels between `count` seeds that cover what the training frames show; None where no depth is known."""
    probe = float(np.sqrt(observations.masks[0].size / min(PROBE_POINTS, count)))
    placed = len(seeds_by_poses(observations, probe))
    return probe * float(np.sqrt(placed / count)) if placed else None


def _placed(
    observations: Observations, seeds: Seeds, count: int, knots: Knots | None, style: StartStyle
) -> tuple[Tensor, Tensor | None]:
    if len(seeds) > count:
        keep = np.linspace(0, len(seeds) - 1, count).astype(np.intp)
        seeds = Seeds(seeds.frame[keep], seeds.pixels[keep], seeds.depth[keep], seeds.spacing[keep])
    if knots is not None:
        with observations.flows_at_hand():
            return gaussians_from_seeds(observations, seeds, knots, style)
    return gaussians_at_rest(observations, seeds, style), None


def gaussians_at_rest(observations: Observations, seeds: Seeds, style: StartStyle) -> Tensor:
    """Canonical Gaussians (P, 14) at the seeds' places, coloured by their frames."""
    means, colors = np.zeros((len(seeds), 3)), np.zeros((len(seeds), 3), np.float32)
    for frame in np.unique(seeds.frame):
        own = seeds.frame == frame
        means[own] = observations.unproject(frame, seeds.pixels[own], seeds.depth[own]) - observations.offsets[frame]
        colors[own] = observations.images[frame][pixel_index(seeds.pixels[own], observations.size)] / np.float32(255)
    return still_gaussians(means, colors, seeds.spacing * seeds.depth / observations.K[seeds.frame, 0, 0], style)


def seeds_by_poses(observations: Observations, spacing: float, carried: NDArray[np.float32] | None = None) -> Seeds:
    """Seeds `spacing` pixels apart in the frame that placed them: in each frame where no earlier seed is around, and
    none of the points `carried` (P, 3), places in the world where tissue that moves as a whole has its mean place."""
    grid = lattice(observations.size[1], observations.size[0], spacing)
    points = np.zeros((0, 3), np.float32) if carried is None else carried
    parts: list[tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]] = []
    for frame in nearest_first(observations):
        depth = observations.depth(frame)
        mask = observations.masks[frame]
        surface = filled(np.where(mask, depth, 0).astype(np.float32))
        offset = observations.offsets[frame].astype(np.float32)
        shown = on_surface(observations, frame, points + offset, surface)
        pixels = on_mask(grid, uncovered_mask(shown, mask, spacing) if len(points) else mask)
        if not len(pixels):
            continue
        z = surface[pixel_index(pixels, observations.size)]
        parts.append((np.full(len(pixels), frame, np.intp), pixels, z))
        points = np.concatenate([points, observations.unproject(frame, pixels, z).astype(np.float32) - offset])
    if not parts:
        return Seeds.none()
    frames, pixels, z = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Seeds(frames, pixels, z, np.full(len(z), spacing, np.float32))


def nearest_first(observations: Observations) -> list[int]:
    """Training frames that show tissue of known depth, those of the smallest median depth first."""
    medians = {}
    for frame in range(len(observations)):
        depth = observations.depth(frame)[::4, ::4]
        known = depth[observations.masks[frame][::4, ::4] & (depth > 0)]
        if known.size:
            medians[frame] = float(np.median(known))
    return sorted(medians, key=lambda frame: medians[frame])


def on_surface(
    observations: Observations, frame: int, points: NDArray[np.float32], surface: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Pixels (P, 2) where a training frame sees those of the world points (N, 3) that lie on its surface (H, W)."""
    pose, K = observations.world_to_camera[frame].astype(np.float32), observations.K[frame].astype(np.float32)
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    z = seen[:, 2]
    pixels = seen[:, :2] / np.maximum(z, 1e-9)[:, None] * K[[0, 1], [0, 1]] + K[:2, 2]
    inside = (z > 0) & in_image(pixels, observations.size)
    pixels, z = pixels[inside], z[inside]
    off = np.abs(z / np.maximum(surface[pixel_index(pixels, observations.size)], 1e-9) - 1)
    return pixels[off < SAME_SURFACE]
