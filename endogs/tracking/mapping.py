"""A keyframe joins the map: older points are found again, new ones placed, and the newest keyframes adjusted.

All keyframes find a point by one patch, that of the keyframe which saw it first, so that its errors do not add up.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.bundle import adjust
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import affine_between, follow, new_corners, settle
from endogs.tracking.landmarks import Keyframe, Observations, SparseMap, joined
from endogs.tracking.locating import Located, Tracks, cell_of
from endogs.tracking.luma import Look
from endogs.tracking.measured_depth import Depths
from endogs.tracking.patch_bending import bending, depth_slopes
from endogs.tracking.patches import light, matched
from endogs.tracking.projection import measured, seen_from
from endogs.tracking.rigid_motion import centre, degrees_between
from endogs.tracking.rigidity import smooth

Array = NDArray[np.float64]
LOOKED_BACK = 12
"""Newest keyframes whose points are looked for again, and that place new ones."""
CLOSER = 1.8
"""How many times larger or smaller a point looks than in its patch at most."""
FEWEST = 8
"""Points of one keyframe whose patches are found, at least."""
ALIKE = 0.6
"""Share of a patch's variation that must be found again."""
AWAY = 2.0
"""Pixels that a patch may be away from where its point was followed to."""


def wants_keyframe(world: SparseMap, look: Look, located: Located, frames_since: int, config: TrackingConfig) -> bool:
    """Whether a frame shows enough that the last keyframe does not."""
    last, pose = world.keyframes[-1], located.pose
    if pose is None:
        return False
    if located.reference != len(world.keyframes) - 1 or frames_since >= config.longest_wait:
        return True
    seen = located.seen.ids[located.inliers]
    depth = float(np.median(seen_from(pose, world.positions[seen])[:, 2]))
    moved = float(np.linalg.norm(centre(pose) - centre(last.world_to_camera)))
    turned = degrees_between(pose, last.world_to_camera)
    if moved > config.parallax * depth or turned > config.turn:
        return True
    if moved < config.steady * depth and turned < config.steady_turn and frames_since < config.steady_wait:
        return False
    if len(located.seen.ids) < config.live * len(last.seen.ids):
        return True
    now = set(cell_of(look, located.seen.pixels).tolist())
    before = set(cell_of(last.look, last.seen.pixels).tolist())
    return len(now & before) < config.covered * len(before)


def insert_keyframe(
    world: SparseMap, look: Look, pose: Array, seen: Observations, depths: Depths, config: TrackingConfig
) -> Tracks:
    """Add a frame of known pose to the map, adjust the newest keyframes, and return what is to be followed on."""
    again = _found_again(world, look, pose, seen.ids, config)
    known, by_patch = _by_first_patches(world, look, pose, joined([seen, again]), config)
    pixels = known.pixels
    corners = new_corners(look, pixels, config, config.corners - len(pixels))
    fresh = Observations(world.add(len(corners)), corners, np.zeros(len(corners)), np.zeros(len(corners)))
    whole = joined([known, fresh])
    first = np.r_[~by_patch, np.ones(len(corners), bool)]
    world.patch_of[whole.ids[first]], world.patch_at[whole.ids[first]] = len(world.keyframes), whole.pixels[first]
    inverse, weight = depths.keyframe(whole.pixels)
    whole = replace(whole, inverse_depth=inverse, inverse_weight=weight)
    world.keyframes.append(Keyframe(look, pose, whole))
    world.place_measured(world.keyframes[-1])
    newest = range(max(0, len(world.keyframes) - LOOKED_BACK), len(world.keyframes))
    world.triangulate(whole.ids, newest, config.triangulated, 1.5)
    adjust_newest(world, config)
    placed = whole.ids[world.placed(whole.ids)]
    smooth(world.log_odds, world.positions, placed)
    return Tracks(whole.ids, whole.pixels, whole.pixels)


def adjust_newest(world: SparseMap, config: TrackingConfig) -> None:
    """Bundle adjustment of the newest keyframes, with the older ones that see the same points held in place."""
    count = len(world.keyframes)
    if count < 2:
        return
    moving = list(range(max(1, count - config.adjusted), count))
    points = np.unique(np.concatenate([world.keyframes[number].seen.ids for number in moving]))
    older = [(int(np.isin(world.keyframes[k].seen.ids, points).sum()), k) for k in range(moving[0])]
    held = [k for shared, k in sorted(older, reverse=True)[: config.held] if shared > 10]
    if not held:
        held = [moving[0] - 1]
    found = world.bundle(moving, held)
    if found is not None:
        bundle, ids, numbers = found
        adjusted = adjust(bundle, config.adjustment, settled=0.002)
        world.take(bundle, adjusted, ids, numbers, max(config.gate, 5 * adjusted.scale))


def _by_first_patches(
    world: SparseMap, look: Look, pose: Array, seen: Observations, config: TrackingConfig
) -> tuple[Observations, NDArray[np.bool_]]:
    """The same points where their first patches are, and which were found there (n,); others stay as they are."""
    pixels, found = seen.pixels.copy(), np.zeros(len(seen.ids), bool)
    points, patch_of = world.positions[seen.ids], world.patch_of[seen.ids]
    here, now = seen_from(pose, points)[:, 2], light(look.luma)
    ahead, slopes = here > 0, np.zeros((len(points), 2))
    slopes[ahead] = depth_slopes(seen.pixels[ahead], 1 / here[ahead])
    for number in np.unique(patch_of[patch_of >= 0]):
        keyframe = world.keyframes[number]
        there = seen_from(keyframe.world_to_camera, points)[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            zoom = there / here
        mine = np.flatnonzero((patch_of == number) & (there > 0) & (zoom > 1 / CLOSER) & (zoom < CLOSER))
        if len(mine) < FEWEST:
            continue
        patches = world.patch_at[seen.ids[mine]]
        affine = affine_between(patches, seen.pixels[mine])[:, :2]
        turn = affine / np.sqrt(max(abs(np.linalg.det(affine)), 1e-6))
        shapes = turn.T / zoom[mine, None, None]
        new = matched(light(keyframe.look.luma), now, patches, seen.pixels[mine], shapes, config.patch)
        motion = keyframe.world_to_camera @ np.linalg.inv(pose)
        bent = bending(look.K, motion, new.pixels, 1 / here[mine], slopes[mine], config.patch)
        places = new.pixels + np.linalg.solve(shapes, bent[..., None])[..., 0]
        good = (new.alike > ALIKE) & (np.linalg.norm(places - seen.pixels[mine], axis=1) < AWAY) & look.inside(places)
        pixels[mine[good]], found[mine[good]] = places[good], True
    return replace(seen, pixels=pixels), found


def _found_again(
    world: SparseMap, look: Look, pose: Array, taken: NDArray[np.intp], config: TrackingConfig
) -> Observations:
    """Points of the newest keyframes that were lost on the way and are in view again."""
    missing = np.ones(len(world), bool)
    missing[taken] = False
    missing &= np.isfinite(world.positions[:, 0])
    parts = []
    for keyframe in world.keyframes[: -LOOKED_BACK - 1 : -1]:
        chosen = missing[keyframe.seen.ids]
        if not chosen.any():
            continue
        seen = keyframe.seen.only(chosen)
        points = world.positions[seen.ids]
        here = seen_from(pose, points)
        there = measured(here, look.K, np.zeros(len(here)))[:, :2]
        zoom = seen_from(keyframe.world_to_camera, points)[:, 2] / np.maximum(here[:, 2], 1e-9)
        possible = (here[:, 2] > 0) & look.inside(there) & (zoom > 0.6) & (zoom < 1.7)
        if possible.sum() < 3:
            continue
        seen, there, zoom = seen.only(possible), there[possible], zoom[possible]
        moved, good = follow(keyframe.look, look, seen.pixels, there, replace(config, levels=1))
        good &= np.linalg.norm(moved - there, axis=1) < config.gate
        settled, alike = settle(keyframe.look, look, seen.pixels, moved, config, zoom)
        good &= alike
        missing[seen.ids[good]] = False
        parts.append(Observations(seen.ids[good], settled[good], np.zeros(good.sum()), np.zeros(good.sum())))
    return joined(parts) if parts else Observations(np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
