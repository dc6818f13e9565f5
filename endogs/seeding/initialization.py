"""Where the first Gaussians go: the best seen frame's tissue, what later frames uncover, and what no frame shows."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.errors import InputError
from endogs.gaussians import CHANNELS
from endogs.priors.pull_push import filled
from endogs.scene.deformation.knots import Knots
from endogs.seeding.observations import DEPTH_JUMP, ColoredTracks, Observations, follow, in_image, pixel_index
from endogs.seeding.placement import Seeds, StartStyle, gaussians_from_seeds

CENTRE_PREFERENCE = 0.5
"""How much less tissue the middle frame may show than the last one and still be the first to be filled: tracks are lost
with time, about one in two over 30 frames of fast motion."""
PROBE_POINTS = 8000
"""Points of the dry run, per image."""
CHECKED_FRAMES = 9
"""Frames looked at for tissue that no Gaussian follows."""
SPARSE = 0.3
"""A neighbourhood with less than this part of its Gaussians left counts as uncovered."""
BACKDROP_SPACING, BACKDROP_DEPTH = 1.5, 1.003
"""Spacing of the Gaussians behind instruments, in spacings of the others, and their depth, in depths of the tissue."""


def lattice(width: int, height: int, spacing: float) -> NDArray[np.float32]:
    """Points (P, 2) of a regular lattice over an image, every other row shifted by half a spacing."""
    rows = np.arange(spacing / 2, height, spacing)
    columns = np.arange(spacing / 4, width, spacing)
    x = columns[None, :] + (np.arange(len(rows)) % 2)[:, None] * (spacing / 2)
    points = np.stack(np.broadcast_arrays(x, rows[:, None]), -1).reshape(-1, 2)
    return points[points[:, 0] < width].astype(np.float32)


def on_mask(points: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The points (P, 2) whose pixel is set in the mask (H, W)."""
    return points[mask[points[:, 1].astype(int), points[:, 0].astype(int)]]


def first_frame(observations: Observations) -> int:
    """The training frame to start from: it shows much tissue and is not far from any other in time."""
    tissue = np.array([np.count_nonzero(mask) for mask in observations.masks], float)
    off_centre = np.abs(np.linspace(-1, 1, len(tissue))) if len(tissue) > 1 else np.zeros(1)
    return int(np.argmax(tissue * (1 - CENTRE_PREFERENCE * off_centre)))


def uncovered_mask(positions: NDArray[np.float32], mask: NDArray[np.bool_], spacing: float) -> NDArray[np.bool_]:
    """Tissue (H, W) around which fewer than SPARSE of the expected points (P, 2) of that spacing are found."""
    height, width = mask.shape
    cell = 2 * spacing
    shape = (int(np.ceil(height / cell)), int(np.ceil(width / cell)))
    column = (positions / cell).astype(np.int64)
    inside = (column >= 0).all(1) & (column[:, 0] < shape[1]) & (column[:, 1] < shape[0])
    flat = column[inside, 1] * shape[1] + column[inside, 0]
    found = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float32) / 4
    tissue = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    around = cv2.blur(np.minimum(found, 2), (3, 3), borderType=cv2.BORDER_REPLICATE)
    expected = cv2.blur(tissue, (3, 3), borderType=cv2.BORDER_REPLICATE)
    sparse = (around < SPARSE * expected) & (tissue > 0.25)
    return cv2.resize(sparse.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).view(bool) & mask


def initialize(
    observations: Observations,
    count: int,
    knots: Knots | None,
    style: StartStyle,
    occluded: NDArray[np.bool_] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """About `count` canonical Gaussians (N, 14), never more, and their control points (Kn, N, 14) or None.

    `occluded` (H, W) marks pixels that a still camera's frames do not all show as tissue: a backdrop is laid there.
    Raises InputError when no training frame shows tissue or depth.
    """
    start = first_frame(observations)
    if not observations.masks[start].any():
        raise InputError("no training frame shows tissue: check the masks, --ignore-rows and --crop")
    # A dry run with few points tells how much tissue there is to cover over all frames, hence the spacing.
    probe = float(np.sqrt(observations.masks[start].size / min(PROBE_POINTS, count)))
    with observations.flows_at_hand():

        def place(spacing: float) -> list[tuple[Seeds, ColoredTracks]]:
            seeded = seed_tissue(observations, spacing)
            if occluded is None:
                return seeded
            return seeded + seed_backdrop(observations, seeded, occluded, spacing, moving=knots is not None)

        area = sum(len(seeds) for seeds, _ in place(probe)) * probe**2
        if not area:
            raise InputError(
                "the training frames show too little tissue of known depth: check masks, borders and depth"
            )
        seeded = place(float(np.sqrt(area / count)))
    return _thinned(observations, seeded, count, knots, style)


def complete(
    observations: Observations,
    carried: ColoredTracks,
    density: int,
    most: int,
    knots: Knots | None,
    style: StartStyle,
    occluded: NDArray[np.bool_] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Up to `most` canonical Gaussians (N, 14) and their control points for what the points `carried` do not cover.

    As close to each other as `density` of them over all tissue of the first frame to be filled. N may be 0.
    """
    tissue = int(np.count_nonzero(observations.masks[first_frame(observations)]))
    spacing = float(np.sqrt(max(tissue, 1) / density))
    with observations.flows_at_hand():
        seeded = seed_tissue(observations, spacing, carried)
        if occluded is not None:
            seen = [*seeded, (Seeds.none(), carried)]
            seeded = seeded + seed_backdrop(observations, seen, occluded, spacing, moving=knots is not None)
    return _thinned(observations, seeded, most, knots, style)


def _thinned(
    observations: Observations,
    seeded: list[tuple[Seeds, ColoredTracks]],
    count: int,
    knots: Knots | None,
    style: StartStyle,
) -> tuple[Tensor, Tensor | None]:
    """Gaussians at the seeds, evenly fewer where there would be more than `count`."""
    parts = [gaussians_from_seeds(observations, seeds, knots, style, tracks) for seeds, tracks in seeded]
    base = torch.cat([torch.zeros(0, CHANNELS), *(base for base, _ in parts)])
    controls = [control for _, control in parts if control is not None]
    if knots is not None:
        controls = [torch.zeros(knots.count, 0, CHANNELS), *controls]
    control = torch.cat(controls, 1) if controls else None
    if len(base) <= count:
        return base, control
    keep = torch.linspace(0, len(base) - 1, count).long()
    return base[keep], None if control is None else control[:, keep]


def seed_tissue(
    observations: Observations, spacing: float, carried: ColoredTracks | None = None
) -> list[tuple[Seeds, ColoredTracks]]:
    """Seeds `spacing` pixels apart, with tracks: the first frame's tissue, then what no track covers in the others.

    Of points `carried` from elsewhere, what they cover is left out in all frames.
    """
    start = first_frame(observations)
    height, width = observations.size
    grid = lattice(width, height, spacing)
    first_depth = filled(np.where(observations.masks[start], observations.depth(start), 0))
    if not (first_depth > 0).all():
        if carried is not None:
            return []
        raise InputError("the first training frame has no depth at any tissue pixel; use --depth photometric")
    placed: list[tuple[Seeds, ColoredTracks]] = []
    known_tracks = [] if carried is None else [carried]

    def place(frame: int, pixels: NDArray[np.float32], depth: NDArray[np.float32]) -> None:
        z = depth[pixel_index(pixels, (height, width))]
        size = len(pixels)
        seeds = Seeds(np.full(size, frame, np.intp), pixels, z, np.full(size, spacing, np.float32))
        placed.append((seeds, follow(observations, seeds.frame, pixels, z)))
        known_tracks.append(placed[-1][1])

    if carried is None:
        place(start, on_mask(grid, observations.masks[start]), first_depth)
    for frame in checked_frames(observations)[0 if carried is not None else 1 :]:
        mask = observations.masks[frame]
        known = np.concatenate([tracks.positions[frame][tracks.valid[frame]] for tracks in known_tracks])
        pixels = on_mask(grid, uncovered_mask(known, mask, spacing))
        if len(pixels) == 0:
            continue
        if observations.metric:
            surface = observations.depth(frame)
        else:
            # Relative depth flickers between frames: continue the surface that the tracks carry.
            surface = np.zeros((height, width), np.float32)
            z = np.concatenate([tracks.depth[frame][tracks.valid[frame]] for tracks in known_tracks])
            surface[pixel_index(known, (height, width))] = z
        surface = filled(np.where(mask, surface, 0))
        place(frame, pixels, surface if (surface > 0).all() else first_depth)
    return placed


def seed_backdrop(
    observations: Observations,
    tissue: list[tuple[Seeds, ColoredTracks]],
    occluded: NDArray[np.bool_],
    spacing: float,
    moving: bool,
) -> list[tuple[Seeds, ColoredTracks]]:
    """Seeds, with tracks, behind the instruments where no tissue seed is carried, so that no instrument leaves a hole.

    `occluded` (H, W) are the pixels that may be filled. Depth and colour continue what is known around them, and they
    move with it, a little behind the surface, so that tissue that is seen at other times covers them. In a scene that
    is not `moving` nothing is carried, and all of the hidden pixels are filled once.
    """
    height, width = observations.size
    wide = BACKDROP_SPACING * spacing
    grid = lattice(width, height, wide)
    placed: list[tuple[Seeds, ColoredTracks]] = []
    for frame in checked_frames(observations)[: None if moving else 1]:
        fillable = occluded & ~observations.masks[frame] if moving else occluded
        empty = fillable
        for seeds, spaced in ((tissue, spacing), (placed, wide)):
            if seeds and moving:
                known = np.concatenate([tracks.positions[frame] for _, tracks in seeds])
                empty = empty & uncovered_mask(known, empty, spaced)
        # Whole cells are looked at; half a spacing more leaves no slit beside them.
        reach = np.ones((2 * round(spacing / 2) + 1,) * 2, np.uint8)
        wider = cv2.dilate(empty.view(np.uint8), reach).view(bool)
        pixels = on_mask(grid, wider & fillable)
        if len(pixels) == 0:
            continue
        depth, image = known_surface(observations, frame, [tracks for _, tracks in tissue])
        depth = filled(depth)
        if not (depth > 0).all():
            continue
        at = pixel_index(pixels, (height, width))
        z = depth[at] * BACKDROP_DEPTH
        colors = np.stack([filled(np.ascontiguousarray(image[..., c]))[at] for c in range(3)], -1)
        size = len(pixels)
        seeds_here = Seeds(np.full(size, frame, np.intp), pixels, z, np.full(size, wide, np.float32))
        placed.append((seeds_here, follow(observations, seeds_here.frame, pixels, z, colors)))
    if moving:
        keep_behind([tracks for _, tracks in placed], observations, [tracks for _, tracks in tissue])
    return placed


def keep_behind(backdrop: list[ColoredTracks], observations: Observations, tissue: list[ColoredTracks]) -> None:
    """Put tracks of the backdrop behind the surface that continues what the checked frames show; in place.

    Carried from frame to frame, depth drifts; what it is off where a checked frame has the point in its image is spread
    linearly over the time between. Depth that jumps (DEPTH_JUMP) is that of something else.
    """
    checked = sorted(checked_frames(observations))
    off = [np.full((len(checked), tracks.depth.shape[1]), np.nan, np.float32) for tracks in backdrop]
    for row, frame in enumerate(checked):
        depth = filled(known_surface(observations, frame, tissue)[0])
        if not (depth > 0).all():
            continue
        for part, tracks in zip(off, backdrop, strict=True):
            position = tracks.positions[frame]
            inside = in_image(position, observations.size)
            behind = depth[pixel_index(position, observations.size)] * BACKDROP_DEPTH
            found = np.log(behind / tracks.depth[frame])
            part[row] = np.where(inside & (np.abs(found) < DEPTH_JUMP), found, np.nan)
    for part, tracks in zip(off, backdrop, strict=True):
        tracks.depth *= np.exp(spread_between(part, checked, len(observations)))


def spread_between(values: NDArray[np.float32], at: list[int], count: int) -> NDArray[np.float32]:
    """Values (A, P) known at ascending frames `at`, linear in between and held at the ends: (count, P).

    NaN is unknown; a column that nothing is known of is 0.
    """
    spread = np.zeros((count, values.shape[1]), np.float32)
    for pattern in np.unique(np.isfinite(values), axis=1).T:
        columns = (np.isfinite(values) == pattern[:, None]).all(0)
        if pattern.any():
            known = np.asarray(at)[pattern]
            weights = np.stack([np.interp(np.arange(count), known, unit) for unit in np.eye(len(known))], -1)
            spread[:, columns] = weights.astype(np.float32) @ values[np.ix_(pattern, columns)]
    return spread


def known_surface(
    observations: Observations, frame: int, carried: list[ColoredTracks]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """z-depth (H, W) and colour (H, W, 3) of what is known of the tissue at a frame, 0 elsewhere.

    What the frame shows, and behind its instruments what is carried there; relative depth, which flickers from frame to
    frame, is that of the tracks everywhere. Colours beside instruments are partly theirs, and count as unknown.
    """
    mask, clean = observations.masks[frame], observations.trusted(frame)
    image = np.where(clean[..., None], np.maximum(observations.images[frame] / np.float32(255), 1e-3), 0)
    depth = np.where(mask, observations.depth(frame), 0) if observations.metric else np.zeros(mask.shape, np.float32)
    for tracks in carried:
        position = tracks.positions[frame]
        inside = in_image(position, observations.size)
        y, x = pixel_index(position[inside], observations.size)
        known, kept = depth[y, x] > 0, clean[y, x] | ~tracks.clean[inside]
        depth[y, x] = np.where(known, depth[y, x], tracks.depth[frame, inside])
        image[y, x] = np.where(kept[:, None], image[y, x], np.maximum(tracks.colors[frame, inside], 1e-3))
    return depth.astype(np.float32), image.astype(np.float32)


def checked_frames(observations: Observations) -> list[int]:
    """Training frames looked at for what no Gaussian covers: the first to be filled, then others in order of time."""
    start = first_frame(observations)
    spread = np.unique(np.linspace(0, len(observations) - 1, CHECKED_FRAMES).round().astype(int)).tolist()
    return [start, *(frame for frame in spread if frame != start)]
