"""The sparse map: points of the tissue, and the keyframes that saw them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.bundle import Adjusted, Bundle
from endogs.tracking.luma import Look
from endogs.tracking.projection import seen_from
from endogs.tracking.resection import Sightings
from endogs.tracking.rigid_motion import centre
from endogs.tracking.rigidity import rigid_weight

Array = NDArray[np.float64]
Ids = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Observations:
    """Which points one frame sees, where, and how far away, where that was measured."""

    ids: Ids
    """(n,) of the map's points."""
    pixels: Array
    """(n, 2) of the looking view, centres at +0.5."""
    inverse_depth: Array
    """(n,) measured 1/z."""
    inverse_weight: Array
    """(n,) pixels of noise per unit of it; 0 where it was not measured."""

    def only(self, chosen: Bools) -> "Observations":
        """Those chosen (n,)."""
        return Observations(
            self.ids[chosen], self.pixels[chosen], self.inverse_depth[chosen], self.inverse_weight[chosen]
        )


def joined(parts: Sequence[Observations]) -> Observations:
    """Observations of one frame from several parts."""
    names = ("ids", "pixels", "inverse_depth", "inverse_weight")
    return Observations(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass
class Keyframe:
    """A frame that the map is built on."""

    look: Look
    world_to_camera: Array
    seen: Observations


class SparseMap:
    """Points and keyframes of one connected piece of a clip."""

    def __init__(self, prior_log_odds: float) -> None:
        self._prior = prior_log_odds
        self._count = 0
        self._positions = np.full((1024, 3), np.nan)
        self._log_odds = np.full(1024, prior_log_odds)
        self._patch_of = np.full(1024, -1, np.intp)
        self._patch_at = np.full((1024, 2), np.nan)
        self.keyframes: list[Keyframe] = []

    def __len__(self) -> int:
        return self._count

    @property
    def positions(self) -> Array:
        """(M, 3) world; NaN for points that are not placed yet, or not any more."""
        return self._positions[: self._count]

    @property
    def log_odds(self) -> Array:
        """(M,) logarithm of the odds that a point deforms; changed in place by `rigidity`."""
        return self._log_odds[: self._count]

    @property
    def patch_of(self) -> Ids:
        """(M,) the keyframe whose patch a point is found by, -1 before there is one; changed in place by `mapping`."""
        return self._patch_of[: self._count]

    @property
    def patch_at(self) -> Array:
        """(M, 2) where that patch is, pixels; changed in place."""
        return self._patch_at[: self._count]

    def placed(self, ids: Ids) -> Bools:
        """(n,) whether points have a place."""
        return np.isfinite(self._positions[ids, 0])

    def add(self, count: int) -> Ids:
        """The numbers of so many new points without a place."""
        while self._count + count > len(self._positions):
            self._positions = np.concatenate([self._positions, np.full_like(self._positions, np.nan)])
            self._log_odds = np.concatenate([self._log_odds, np.full_like(self._log_odds, self._prior)])
            self._patch_of = np.concatenate([self._patch_of, np.full_like(self._patch_of, -1)])
            self._patch_at = np.concatenate([self._patch_at, np.full_like(self._patch_at, np.nan)])
        self._count += count
        return np.arange(self._count - count, self._count)

    def sightings(self, seen: Observations) -> Sightings:
        """What observations of placed points say about a pose."""
        return Sightings(
            self._positions[seen.ids],
            seen.pixels,
            seen.inverse_depth,
            seen.inverse_weight,
            rigid_weight(self._log_odds[seen.ids]),
        )

    def place_measured(self, keyframe: Keyframe) -> None:
        """Give those points of a keyframe a place whose depth was measured and that have none."""
        seen = keyframe.seen
        chosen = (seen.inverse_weight > 0) & (seen.inverse_depth > 0) & ~self.placed(seen.ids)
        if not chosen.any():
            return
        K, pose = keyframe.look.K, keyframe.world_to_camera
        rays = np.c_[(seen.pixels[chosen] - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(chosen.sum())]
        there = rays / seen.inverse_depth[chosen][:, None]
        self._positions[seen.ids[chosen]] = (there - pose[:3, 3]) @ pose[:3, :3]

    def triangulate(self, ids: Ids, keyframes: Sequence[int], least_degrees: float, most_error: float) -> None:
        """Place those of some points that the keyframes see under a large enough angle and agree on.

        Linear least squares over all views (R. Hartley and P. Sturm, "Triangulation", 1997); `most_error` is pixels.
        """
        wanted = np.zeros(self._count, bool)
        wanted[ids] = True
        wanted &= ~np.isfinite(self.positions[:, 0])
        rows, poses, pixels = [], [], []
        for number in keyframes:
            keyframe = self.keyframes[number]
            chosen = wanted[keyframe.seen.ids]
            rows.append(keyframe.seen.ids[chosen])
            pixels.append(keyframe.seen.pixels[chosen])
            poses.append(np.full(chosen.sum(), number))
        if not sum(map(len, rows)):
            return
        names, point = np.unique(np.concatenate(rows), return_inverse=True)
        view = np.concatenate(poses)
        every = np.stack([keyframe.world_to_camera for keyframe in self.keyframes])[view]
        K = self.keyframes[-1].look.K
        flat = (np.concatenate(pixels) - K[:2, 2]) / K[[0, 1], [0, 1]]
        found, angle, error = triangulated(every, flat, point, len(names))
        good = (angle > least_degrees) & (error * K[0, 0] < most_error)
        self._positions[names[good]] = found[good]

    def bundle(self, moving: Sequence[int], held: Sequence[int]) -> tuple[Bundle, Ids, list[int]] | None:
        """The adjustment of some keyframes, others held, with the numbers of its points; None where there is nothing.

        Points that only one of them sees are left out.
        """
        numbers = sorted({*moving, *held})
        parts = [self.keyframes[number].seen for number in numbers]
        seen = joined(parts)
        frame = np.repeat(np.arange(len(numbers)), [len(part.ids) for part in parts])
        times = np.bincount(seen.ids, minlength=self._count)
        free = np.isin(np.array(numbers)[frame], list(moving))
        touched = np.zeros(self._count, bool)
        touched[seen.ids[free]] = True
        chosen = self.placed(seen.ids) & (times[seen.ids] > 1) & touched[seen.ids]
        if chosen.sum() < 12:
            return None
        seen, frame = seen.only(chosen), frame[chosen]
        ids, point = np.unique(seen.ids, return_inverse=True)
        still = np.array([number not in set(moving) for number in numbers])
        bundle = Bundle(
            self.keyframes[numbers[0]].look.K,
            np.stack([self.keyframes[number].world_to_camera for number in numbers]),
            still,
            self._positions[ids],
            frame,
            point,
            seen.pixels,
            seen.inverse_depth,
            seen.inverse_weight,
            rigid_weight(self._log_odds[seen.ids]),
        )
        return bundle, ids, numbers

    def take(self, bundle: Bundle, found: Adjusted, ids: Ids, numbers: list[int], gate: float) -> None:
        """What an adjustment found; observations beyond `gate` pixels are forgotten, and points that few agree on."""
        for row, number in enumerate(numbers):
            self.keyframes[number].world_to_camera = found.poses[row]
        self._positions[ids] = found.points
        depth = seen_from(bundle.poses[bundle.keyframe], found.points[bundle.point])[:, 2]
        bad = (found.residual > gate) | (found.depth_residual > 3 * gate) | (depth <= 0)
        for row, number in enumerate(numbers):
            mine = bundle.keyframe == row
            wrong = ids[bundle.point[mine & bad]]
            if len(wrong):
                keyframe = self.keyframes[number]
                keyframe.seen = keyframe.seen.only(~np.isin(keyframe.seen.ids, wrong))
        right = np.bincount(bundle.point[~bad], minlength=len(ids))
        self._positions[ids[right < 2]] = np.nan

    def moved(self, scale: float, rotation: Array, shift: Array) -> None:
        """Carry the whole map by x -> scale R x + shift."""
        self._positions[: self._count] = scale * self.positions @ rotation.T + shift
        for keyframe in self.keyframes:
            keyframe.world_to_camera = carried(keyframe.world_to_camera, scale, rotation, shift)
            seen = keyframe.seen
            keyframe.seen = Observations(seen.ids, seen.pixels, seen.inverse_depth / scale, seen.inverse_weight * scale)


def carried(world_to_camera: Array, scale: float, rotation: Array, shift: Array) -> Array:
    """The pose (4, 4) of a camera after its world moved by x -> scale R x + shift."""
    found = np.eye(4)
    found[:3, :3] = world_to_camera[:3, :3] @ rotation.T
    found[:3, 3] = -found[:3, :3] @ (scale * rotation @ centre(world_to_camera) + shift)
    return found


def triangulated(poses: Array, flat: Array, point: Ids, count: int) -> tuple[Array, Array, Array]:
    """Points (count, 3) from poses (n, 4, 4) that see them at (x/z, y/z) (n, 2); `point` (n,) says which.

    Beside them the largest angle in degrees between the first ray and another (count,), and the root mean square of
    what is left, in units of `flat`; infinite for points behind a camera or seen once.
    """
    rows = flat[:, :, None] * poses[:, 2:3, :3] - poses[:, :2, :3]
    sides = poses[:, :2, 3] - flat * poses[:, 2:3, 3]
    normal, right = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(normal, point, np.einsum("nki,nkj->nij", rows, rows))
    np.add.at(right, point, np.einsum("nki,nk->ni", rows, sides))
    size = np.trace(normal, axis1=1, axis2=2)
    normal[:, [0, 1, 2], [0, 1, 2]] += 1e-9 * size[:, None] + 1e-300
    found = np.asarray(np.linalg.solve(normal, right[..., None])[..., 0], np.float64)
    rays = np.einsum("nji,nj->ni", poses[:, :3, :3], np.c_[flat, np.ones(len(flat))])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    first = np.zeros(count, np.intp)
    first[point[::-1]] = np.arange(len(point))[::-1]
    cosine = np.einsum("ni,ni->n", rays, rays[first[point]])
    angle = np.zeros(count)
    np.maximum.at(angle, point, np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    seen = seen_from(poses, found[point])
    behind = seen[:, 2] <= 1e-6
    drawn = seen[:, :2] / np.where(behind, 1, seen[:, 2])[:, None]
    error = np.where(behind, np.inf, np.square(drawn - flat).sum(1))
    views = np.bincount(point, minlength=count)
    total = np.bincount(point, np.where(np.isfinite(error), error, 1e6), count)
    spread = np.sqrt(total / np.maximum(views, 1))
    return found, angle, np.where((views > 1) & np.isfinite(found).all(1), spread, np.inf)
