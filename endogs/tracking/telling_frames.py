"""The part of a long clip that tells most of its camera: where corners are followed and parallax is seen."""

from collections.abc import Sequence

import numpy as np

from endogs.clip.clip import Clip
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import follow, new_corners
from endogs.tracking.locating import unusable
from endogs.tracking.luma import look_at, looking_size
from endogs.tracking.startup import parallax_of

PROBES = 24
"""Places of the clip that are looked at."""
HOP = 4
"""Frames over which corners are followed there."""
ENOUGH = 0.01
"""Parallax over a hop, by the picture's width, from which more says no more."""
AS_GOOD = 0.7
"""Share of the best part's score from which the clip's middle is taken, so that little decides nothing."""


def telling_frames(clip: Clip, most: int, held_out: Sequence[int] = ()) -> list[int]:
    """At most `most` frames in a row of a clip, without those `held_out`: its middle, or a part that shows far more."""
    skipped = set(held_out)
    first = 0 if len(clip) <= most else _first(clip, most, skipped)
    return [i for i in range(first, min(len(clip), first + most)) if i not in skipped]


def _first(clip: Clip, most: int, skipped: set[int]) -> int:
    probes = sorted({round(i) for i in np.linspace(0, len(clip) - 1 - HOP, PROBES)})
    scores = {i: _score(clip, i) for i in probes if not {i, i + HOP} & skipped}
    last = len(clip) - most

    def told(first: int) -> float:
        inside = [score for i, score in scores.items() if first <= i <= first + most - HOP]
        return float(np.mean(inside)) if inside else 0.0

    # Each part lies around a probe, since between the probes nothing is known.
    parts = sorted({int(np.clip(i - most // 2, 0, last)) for i in scores})
    middle = last // 2
    best = max(parts, key=lambda first: (told(first), -abs(first - middle)), default=middle)
    return middle if told(middle) >= AS_GOOD * told(best) else best


def _score(clip: Clip, index: int) -> float:
    """Corners that are followed over a hop from a frame on, each counted by how much parallax they show, up to 1."""
    config = TrackingConfig()
    frame = clip.frame(index)
    size = looking_size(frame.tissue_mask, config.longest)
    here, there = look_at(frame, size, config), look_at(clip.frame(index + HOP), size, config)
    if unusable(here, config) or unusable(there, config):
        return 0.0
    corners = new_corners(here, np.zeros((0, 2)), config, config.corners)
    moved, good = follow(here, there, corners, corners, config)
    parallax = parallax_of(corners[good], moved[good], here.K) / here.width
    return float(good.sum() * min(1.0, parallax / ENOUGH))
