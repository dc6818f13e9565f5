"""What all tissue does together while a camera with known poses moves: breathing, a pulse, or poses that are not exact.

Corners followed over many frames see the tissue from places that the poses name; where it moves as a whole, they see
it from elsewhere. With the cameras' rotations known, an offset of the tissue for every frame and the corners' places
are found together by bundle adjustment (B. Triggs et al., "Bundle adjustment: a modern synthesis", 2000, with the
points eliminated by the Schur complement). Offsets in proportion to the cameras' own path only change the scale of the
scene, so pictures cannot tell them from none: breathing has nothing to do with the path, and that decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.priors.motion.long_tracks import FEWEST_FRAMES, CornerTracks

Array = NDArray[np.float64]
ROUNDS = 12
"""Gauss-Newton steps of the bundle adjustment."""
FLOOR = 0.3
"""Pixels that corners are off by at least: there the adjustment gains nothing more."""
EXPLAINED = 0.75
"""What common motion leaves of the corners' distances from where still tissue is seen, at most, to be believed."""
FEWEST_POINTS = 30
"""Corners that must be followed."""
DEPTH_PIXELS = 50.0
"""Pixels that known depth weighs as much as where all of it is off: 2 % are one pixel."""
LONG = 10
"""Frames that must show a corner for its depth to be firm."""
MOST_SCALE = 20.0
"""By which the scene may be larger or smaller than the offsets that are found first say."""


@dataclass(frozen=True)
class CommonMotion:
    """Tissue that moves as a whole, and where corners of it lie."""

    offsets: Array
    """(F, 3) where the tissue is at each frame, from its mean place, in the world."""
    frame: NDArray[np.intp]
    """(M,) the frames that see corners, one for each sighting."""
    pixels: Array
    """(M, 2) where, centres at +0.5."""
    depth: Array
    """(M,) their z-depth there."""
    still: float
    """Median distance, pixels, of the corners from where still tissue would be seen."""
    left: float
    """The same with common motion."""

    def seen_at(self, frame: int) -> tuple[Array, Array]:
        """Pixels (M, 2) and z-depth (M,) of the corners that a frame sees."""
        own = self.frame == frame
        return self.pixels[own], self.depth[own]

    def root_mean_square(self) -> float:
        """Of the offsets' lengths, world units."""
        return float(np.sqrt(np.square(self.offsets).sum(1).mean()))


def common_motion(
    tracks: CornerTracks, K: Array, world_to_camera: Array, depth: Array | None = None
) -> CommonMotion | None:
    """What the tissue does as a whole; None where it stands still as far as the corners can tell, or too few of them
    were followed.

    `K` (F, 3, 3) are intrinsics, `world_to_camera` (F, 4, 4) the poses, `depth` (M,) the corners' z-depth where it is
    known, else 0. Without it the scale is a guess.
    """
    if tracks.count < FEWEST_POINTS or len(K) < FEWEST_FRAMES:
        return None
    problem = _Adjustment(tracks, K, world_to_camera, depth)
    places = problem.guess()
    still = float(np.median(problem.misses(*problem.solved(places, moving=False))))
    if still < FLOOR:
        return None
    places, offsets = problem.solved(places, moving=True)
    if depth is None:
        places, offsets = problem.scaled(places, offsets)
    seen = np.flatnonzero(np.bincount(tracks.frame, minlength=len(K)))
    # Of a frame that shows no corner nothing is known but what is before and after it.
    offsets = np.stack([np.interp(np.arange(len(K)), seen, offsets[seen, axis]) for axis in range(3)], -1)
    mean = offsets.mean(0)
    places, offsets = places + mean, offsets - mean
    misses = problem.misses(places, offsets)
    left = float(np.median(misses))
    if not left < EXPLAINED * still:
        return None
    firm = (misses < 3 * max(left, FLOOR)) & (np.bincount(tracks.point)[tracks.point] >= LONG)
    found = problem.depth(places, offsets)[firm]
    return CommonMotion(offsets, tracks.frame[firm], tracks.pixels[firm], found, still, left)


class _Adjustment:
    """Places of corners (P, 3) and offsets of the tissue (F, 3) by what is seen of them."""

    def __init__(self, tracks: CornerTracks, K: Array, world_to_camera: Array, depth: Array | None = None) -> None:
        self._tracks, self._frames, self._known = tracks, len(K), depth
        self._focal = K[tracks.frame][:, [0, 1], [0, 1]]
        self._middle = K[tracks.frame][:, :2, 2]
        self._turned, self._shift = world_to_camera[tracks.frame, :3, :3], world_to_camera[tracks.frame, :3, 3]
        self._centres = invert_rigid(world_to_camera)[:, :3, 3]

    def guess(self) -> Array:
        """Places (P, 3) by still rays (linear triangulation), at a third to thrice the median distance."""
        t = self._tracks
        rays = np.concatenate([(t.pixels - self._middle) / self._focal, np.ones((len(t.pixels), 1))], 1)
        rays = np.einsum("mji,mj->mi", self._turned, rays)
        unit = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        across = np.eye(3) - unit[:, :, None] * unit[:, None, :]
        known = _summed(across, t.point, t.count) + 1e-6 * np.eye(3)
        eyes = self._centres[t.frame]
        aim = _summed(np.einsum("mij,mj->mi", across, eyes), t.point, t.count)
        place = np.linalg.solve(known, aim[..., None])[..., 0]
        first = np.unique(t.point, return_index=True)[1]
        ahead = np.einsum("pi,pi->p", place - eyes[first], unit[first])
        usual = float(np.median(ahead[ahead > 0])) if (ahead > 0).any() else 1.0
        ahead = np.clip(np.where(ahead > 0, ahead, usual), usual / 3, 3 * usual)
        return eyes[first] + unit[first] * ahead[:, None]

    def solved(self, places: Array, moving: bool) -> tuple[Array, Array]:
        """Places and offsets after ROUNDS of Gauss-Newton; offsets stay 0 unless the tissue is `moving`."""
        offsets = np.zeros((self._frames, 3))
        reach = 0.3 * float(np.median(np.linalg.norm(places - self._centres[self._tracks.frame[0]], axis=1)))
        for _ in range(ROUNDS):
            error, slope = self._errors(places, offsets)
            miss = np.sqrt(np.square(error).sum(1))
            noise = max(FLOOR, float(np.median(miss[np.isfinite(miss)])))
            weight = np.where(np.isfinite(miss), 1 / (1 + np.square(miss / (2 * noise))) ** 2, 0) / noise**2
            error = np.where(np.isfinite(error), error, 0)
            step, shift = self._step(error, slope, weight, offsets, reach if moving else 0.0)
            distance = np.linalg.norm(places - self._centres[self._tracks.frame[0]], axis=1, keepdims=True)
            length = np.linalg.norm(step, axis=1, keepdims=True)
            places = places + step * np.minimum(1, 0.5 * distance / np.maximum(length, 1e-12))
            offsets = offsets + shift
            if moving:
                reach = max(float(np.sqrt(np.square(offsets).mean())), 1e-3 * float(np.median(distance)))
        return places, offsets

    def scaled(self, places: Array, offsets: Array) -> tuple[Array, Array]:
        """The same pictures of a larger or smaller scene: that in which the tissue's motion from frame to frame has
        nothing to do with the cameras', and no mean."""
        eyes = self._centres - offsets
        path, seen = np.diff(self._centres, axis=0), np.diff(eyes, axis=0)
        both = float((path * seen).sum())
        scale = float(np.square(path).sum()) / both if both > 0 else 1.0
        scale = scale if 1 / MOST_SCALE < scale < MOST_SCALE else 1.0
        shift = self._centres.mean(0) - scale * eyes.mean(0)
        return scale * places + shift, self._centres - (scale * eyes + shift)

    def misses(self, places: Array, offsets: Array) -> Array:
        """Distances (M,), pixels, of the corners from where they would be seen; infinite behind the camera."""
        miss = np.sqrt(np.square(self._errors(places, offsets)[0][:, :2]).sum(1))
        return np.where(np.isfinite(miss), miss, np.inf)

    def depth(self, places: Array, offsets: Array) -> Array:
        """Z-depth (M,) of the corners in the frames that see them."""
        t = self._tracks
        point = places[t.point] + offsets[t.frame]
        return np.asarray(np.einsum("mj,mj->m", self._turned[:, 2], point) + self._shift[:, 2])

    def _errors(self, places: Array, offsets: Array) -> tuple[Array, Array]:
        """What is seen less what would be (M, 2), NaN behind the camera, and the slope (M, 2, 3) of the latter; with
        known depth a third row of it."""
        t = self._tracks
        seen = np.einsum("mij,mj->mi", self._turned, places[t.point] + offsets[t.frame]) + self._shift
        z = np.where(seen[:, 2:] > 1e-9, seen[:, 2:], np.nan)
        flat = seen[:, :2] / z
        error = t.pixels - (flat * self._focal + self._middle)
        slope = self._turned[:, :2] - flat[:, :, None] * self._turned[:, 2:]
        slope = slope * (self._focal / z)[:, :, None]
        if self._known is not None:
            row = np.where(self._known[:, None] > 0, DEPTH_PIXELS / np.maximum(self._known[:, None], 1e-9), 0)
            error = np.concatenate([error, row * (self._known[:, None] - z)], 1)
            slope = np.concatenate([slope, row[:, :, None] * self._turned[:, 2:]], 1)
        return error, np.nan_to_num(slope)

    def _step(self, error: Array, slope: Array, weight: Array, offsets: Array, reach: float) -> tuple[Array, Array]:
        """Steps of places (P, 3) and offsets (F, 3); offsets of standard deviation `reach` are expected."""
        from scipy.linalg import solveh_banded
        from scipy.sparse import bsr_array

        t, frames = self._tracks, self._frames
        normal = np.einsum("mki,m,mkj->mij", slope, weight, slope)
        pull = np.einsum("mki,m,mk->mi", slope, weight, error)
        points = _summed(normal, t.point, t.count)
        size = np.trace(points, axis1=1, axis2=2)[:, None, None]
        inverse = np.linalg.inv(points + (1e-4 * size + 1e-12) * np.eye(3))
        at_points = _summed(pull, t.point, t.count)
        if reach == 0:
            return np.einsum("pij,pj->pi", inverse, at_points), np.zeros((frames, 3))
        order = np.lexsort((t.frame, t.point))
        rows = np.concatenate([[0], np.cumsum(np.bincount(t.point, minlength=t.count))])
        shape = (3 * t.count, 3 * frames)
        between = bsr_array((normal[order], t.frame[order], rows), shape=shape)
        carried = bsr_array((inverse[t.point[order]] @ normal[order], t.frame[order], rows), shape=shape)
        diagonal = _summed(normal, t.frame, frames) + np.eye(3) / reach**2
        blocks = bsr_array((diagonal, np.arange(frames), np.arange(frames + 1)), shape=(3 * frames, 3 * frames))
        system = (blocks - between.T @ carried).tocoo()
        # Frames far apart share no corner: the lower half lies in a band.
        below = system.coords[0] - system.coords[1]
        band = np.zeros((int(below.max()) + 1, 3 * frames))
        np.add.at(band, (below[below >= 0], system.coords[1][below >= 0]), system.data[below >= 0])
        wanted = _summed(pull, t.frame, frames) - offsets / reach**2
        wanted = wanted.reshape(-1) - carried.T @ at_points.reshape(-1)
        shift = solveh_banded(band, wanted, lower=True).reshape(frames, 3)
        left = at_points - (between @ shift.reshape(-1)).reshape(-1, 3)
        return np.einsum("pij,pj->pi", inverse, left), shift


def _summed(values: Array, by: NDArray[np.intp], count: int) -> Array:
    """Sums (count, ...) of values (M, ...) of the same number in `by` (M,)."""
    flat = values.reshape(len(values), -1)
    sums = np.stack([np.bincount(by, column, count) for column in flat.T], -1)
    return np.asarray(sums.reshape(count, *values.shape[1:]), np.float64)
