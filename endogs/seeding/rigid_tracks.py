"""Tracks of a moving camera: what its motion explains stands still, and what it does not see rests.

A point that is followed through the pictures of a moving camera is triangulated from all of them at once. Where one
place explains the track as well as the flow can tell, the tissue has not moved, and what the single frames' depths say
otherwise is their noise; so deformation begins only where parallax ends. Of tissue that moves as a whole, as it
breathes, all this holds beside that motion.
"""

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid, project
from endogs.seeding.observations import ColoredTracks, Observations

DEPTH_NOISE = 0.05
"""Standard deviation of a frame's depth, as a part of it, beside one pixel across the line of sight."""
STILL, MOVING = 2.0, 5.0
"""Root mean square distance, pixels, of a track from where one place would be seen: up to STILL the tissue stands
still, from MOVING on it goes where its track goes, and in between a part of the way."""
NEAR_FRAMES = 8
"""Training frames before and after a point's own by which that is told: over more, the flow's errors add up."""
NEIGHBOURS = 9
"""Points, itself among them, that decide together."""
CHUNK = 16_384
"""Points that are triangulated at a time."""


def track_points(observations: Observations, tracks: ColoredTracks, start: NDArray[np.intp]) -> NDArray[np.float64]:
    """World points (F, P, 3) of tracks that begin at frames `start` (P,): `explained_by_camera` where the camera moves
    and depth is metric, else where their pixels and depths say."""
    if observations.metric and not observations.static_camera:
        return explained_by_camera(observations, tracks, start)
    each = range(len(observations))
    return np.stack([observations.unproject(k, tracks.positions[k], tracks.depth[k]) for k in each])


def explained_by_camera(
    observations: Observations, tracks: ColoredTracks, start: NDArray[np.intp]
) -> NDArray[np.float64]:
    """World points (F, P, 3) of tracks that begin at frames `start` (P,), at rest where the camera's motion explains
    them, or where they are not followed; at rest in tissue that moves as a whole is what moves with it.

    Depth must be metric. The colours of `tracks` rest too, in place, where these are not followed.
    """
    frames, count = tracks.valid.shape
    followed = _followed(tracks, start)
    points = np.empty((frames, count, 3))
    near = followed & (np.abs(np.arange(frames)[:, None] - start) <= NEAR_FRAMES)
    parts = [slice(begin, min(begin + CHUNK, count)) for begin in range(0, count, CHUNK)]
    place, missed = np.empty((count, 3)), np.empty(count)
    for part in parts:
        points[:, part], place[part], missed[part] = _triangulated(observations, tracks, near, part)
    share = np.clip((_of_neighbours(place, missed) - STILL) / (MOVING - STILL), 0, 1)[:, None]
    for part in parts:
        points[:, part] = place[part] + share[part] * (points[:, part] - place[part])
    _rest(points, tracks, followed, start)
    return points + observations.offsets[:, None]


def _followed(tracks: ColoredTracks, start: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(F, P) every frame from the point's own on shows it; frames that show no tissue at all are passed over."""
    followed = np.empty(tracks.valid.shape, bool)
    for step in (1, -1):
        still = np.ones(len(start), bool)
        for frame in range(len(followed)) if step > 0 else range(len(followed) - 1, -1, -1):
            ahead = (frame - start) * step >= 0
            still &= ~ahead | tracks.valid[frame] | ~tracks.valid[frame].any()
            followed[frame, ahead] = still[ahead] & (tracks.valid[frame, ahead] | (frame == start[ahead]))
    return followed


def _triangulated(
    observations: Observations, tracks: ColoredTracks, followed: NDArray[np.bool_], part: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of some of the tracks: points (F, p, 3) where their pixels and depths say, the one place (p, 3) that explains the
    frames (F, P) in which they are `followed` best, and how far from it they are seen (p,), root mean square pixels."""
    frames = len(followed)
    own = np.empty((frames, part.stop - part.start, 3))
    information = np.zeros((*own.shape[1:], 3))
    weighted = np.zeros((*own.shape[1:], 1))
    offsets = observations.offsets
    eyes = invert_rigid(observations.world_to_camera)[:, :3, 3] - offsets
    for frame in range(frames):
        depth = tracks.depth[frame, part].astype(np.float64)
        own[frame] = observations.unproject(frame, tracks.positions[frame, part], tracks.depth[frame, part])
        own[frame] -= offsets[frame]
        ray = own[frame] - eyes[frame]
        ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-12)
        along = ray[:, :, None] * ray[:, None, :]
        z = np.maximum(depth, 1e-12)[:, None, None]
        focal = observations.K[frame, 0, 0]
        known = (np.eye(3) - along) * (focal / z) ** 2 + along / (DEPTH_NOISE * z) ** 2
        known *= followed[frame, part, None, None]
        information += known
        weighted += known @ own[frame][:, :, None]
    scale = np.maximum(np.trace(information, axis1=1, axis2=2), 1e-30)[:, None, None]
    place = np.linalg.solve(information / scale + 1e-9 * np.eye(3), weighted / scale)[..., 0]
    missed, seen = np.zeros(len(place)), np.zeros(len(place))
    for frame in range(frames):
        pixels, _ = project(place + offsets[frame], observations.K[frame], observations.world_to_camera[frame])
        off = np.square(pixels - tracks.positions[frame, part]).sum(1)
        missed += np.where(followed[frame, part], off, 0)
        seen += followed[frame, part]
    return own, place, np.sqrt(missed / np.maximum(seen, 1))


def _of_neighbours(place: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians (P,) of values (P,) over the NEIGHBOURS nearest of places (P, 3): where tissue deforms neighbours do too,
    and where the flow of one point is wrong they do not."""
    from scipy.spatial import cKDTree

    if len(place) < NEIGHBOURS:
        return values
    return np.asarray(np.median(values[cKDTree(place).query(place, NEIGHBOURS)[1]], axis=1))


def _rest(
    points: NDArray[np.float64], tracks: ColoredTracks, followed: NDArray[np.bool_], start: NDArray[np.intp]
) -> None:
    """Let points (F, P, 3) and colours stay, in place, where they were last followed."""
    own = np.arange(len(start))
    for step in (1, -1):
        at, colors = points[start, own], tracks.colors[start, own]
        for frame in range(len(points)) if step > 0 else range(len(points) - 1, -1, -1):
            ahead = (frame - start) * step > 0
            rests, moves = ahead & ~followed[frame], ahead & followed[frame]
            points[frame, rests], tracks.colors[frame, rests] = at[rests], colors[rests]
            at[moves], colors[moves] = points[frame, moves], tracks.colors[frame, moves]
