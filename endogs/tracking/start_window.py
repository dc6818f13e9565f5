"""The frames before there is a map: corners of one frame are followed until a start is possible."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import follow, new_corners, settle
from endogs.tracking.landmarks import Keyframe, Observations, SparseMap
from endogs.tracking.locating import Tracks
from endogs.tracking.luma import Look
from endogs.tracking.startup import Start, parallax_of, start_from

Array = NDArray[np.float64]
GROWS = 1.15
"""By how much parallax grows before a start is tried again."""

KEPT = 8
"""Frames at most that new corners are followed through when the old ones are gone."""


@dataclass(frozen=True)
class Waiting:
    """What one frame said while there is no map."""

    tracks: Tracks
    seen: Observations


class StartWindow:
    """Corners of the first frame, where they are in those that follow."""

    def __init__(self, world: SparseMap, config: TrackingConfig) -> None:
        self._world, self._config = world, config
        self._looks: list[Look] = []
        self._seen: list[Observations] = []
        self._tracks = Tracks(np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros((0, 2)))
        self._tried_at = 0.0

    def look(self, look: Look) -> Waiting:
        """Where the corners are in a frame; nothing is kept of it."""
        tracks = self._tracks
        if self._looks:
            moved, good = follow(self._looks[-1], look, tracks.pixels, tracks.pixels, self._config)
            tracks = Tracks(tracks.ids, moved, tracks.anchors).only(good)
            settled, alike = settle(self._looks[0], look, tracks.anchors, tracks.pixels, self._config)
            tracks = Tracks(tracks.ids, settled, tracks.anchors).only(alike)
        return Waiting(tracks, _observed(tracks))

    def take(self, look: Look, waiting: Waiting) -> tuple[Observations, str]:
        """Keep a frame; the observations that count for it, and why there is no start yet, or an empty string.

        After an empty string the world has keyframes, the last of which is this frame.
        """
        config = self._config
        wait = config.start_wait
        few = len(waiting.tracks.ids) < 1.3 * config.start_points
        if not self._looks or few or len(self._looks) >= wait:
            waiting = self._begin_again(look)
            return waiting.seen, "few points" if len(waiting.tracks.ids) < config.start_points else "no parallax yet"
        self._looks.append(look)
        self._seen.append(waiting.seen)
        self._tracks = waiting.tracks
        if len(self._looks) < 3:
            return waiting.seen, "no parallax yet"
        parallax = parallax_of(waiting.tracks.anchors, waiting.tracks.pixels, look.K)
        if parallax < max(config.start_parallax * look.width, GROWS * self._tried_at):
            return waiting.seen, "no parallax yet"
        self._tried_at = parallax
        chosen = np.unique(np.linspace(0, len(self._looks) - 1, config.start_window).round().astype(int))
        ids = waiting.tracks.ids
        pixels = np.stack([_pixels_of(self._seen[k], ids) for k in chosen])
        start, reason = start_from(pixels, look.K, config)
        if start is None:
            return waiting.seen, reason
        self._build(start, ids, [int(k) for k in chosen])
        return waiting.seen, ""

    def _begin_again(self, look: Look) -> Waiting:
        """Follow new corners from one of the last frames, so that some parallax is not waited for anew."""
        kept = self._looks[max(len(self._looks) // 2, len(self._looks) - KEPT) :] if len(self._looks) > 2 else []
        for begin in range(len(kept)):
            waiting = self._begin(kept[begin])
            for later in [*kept[begin + 1 :], look]:
                waiting = self.look(later)
                if len(waiting.tracks.ids) < 1.3 * self._config.start_points:
                    break
                self._looks.append(later)
                self._seen.append(waiting.seen)
                self._tracks = waiting.tracks
            else:
                return waiting
        return self._begin(look)

    def _begin(self, look: Look) -> Waiting:
        corners = new_corners(look, np.zeros((0, 2)), self._config, self._config.corners)
        self._tracks = Tracks(self._world.add(len(corners)), corners, corners)
        waiting = Waiting(self._tracks, _observed(self._tracks))
        self._looks, self._seen, self._tried_at = [look], [waiting.seen], 0.0
        return waiting

    @property
    def seen(self) -> dict[int, Observations]:
        """What the frames since the beginning saw, by their numbers."""
        return {look.frame: seen for look, seen in zip(self._looks, self._seen, strict=True)}

    def _build(self, start: Start, ids: NDArray[np.intp], chosen: list[int]) -> None:
        self._world.positions[ids] = start.points
        self._world.patch_of[ids], self._world.patch_at[ids] = 0, _pixels_of(self._seen[chosen[0]], ids)
        for pose, number in zip(start.poses, chosen, strict=True):
            self._world.keyframes.append(Keyframe(self._looks[number], pose, self._seen[number]))


def _observed(tracks: Tracks) -> Observations:
    return Observations(tracks.ids, tracks.pixels, np.zeros(len(tracks.ids)), np.zeros(len(tracks.ids)))


def _pixels_of(seen: Observations, ids: NDArray[np.intp]) -> Array:
    """(n, 2) where `ids` (n,) were seen, all of which were."""
    order = np.argsort(seen.ids)
    return seen.pixels[order[np.searchsorted(seen.ids, ids, sorter=order)]]
