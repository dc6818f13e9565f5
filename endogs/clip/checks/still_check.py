"""Whether a camera that is said to stand still moves: then nearly all of the picture does, and as in a rigid world."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.epipolar import smallest_error
from endogs.clip.checks.followed_points import ENOUGH_MOTION, Pair

MOST = 10
"""Percentile of the motion: tissue that is pulled or breathes is held somewhere, and a moving camera moves all."""
LEAST_SHARE = 0.2
"""What these points move, over the median motion: less is a picture of which a good part rests."""


FASTEST_TISSUE = 0.01
"""Width of the picture per frame: a third of it in a second, faster than breathing and heartbeat move all there is."""
RIGID_SHARE = 0.1
"""Of the motion: what a camera's own motion may leave unexplained. Tissue that is pulled leaves a fifth."""
RIGID_MOTION = 0.025
"""Width of the picture: median motion from which that is asked. Breathing fits a camera as well, and moves less."""
RESTS = 1 / 320
"""Width of the picture: what moves less may be at rest."""


@dataclass(frozen=True)
class StillCheck:
    """How far points move in front of a camera that is said to stand still."""

    motion: float
    """Median distance in pixels that points move between two frames."""
    resting: float
    """What nine of ten points move at least, in pixels."""
    frames: int
    """Frames between the two."""
    width: int
    """Width of the picture in pixels."""
    unexplained: float
    """Median distance in pixels from where the best motion of a camera through a rigid world puts the points."""

    @property
    def moves(self) -> bool:
        """Whether that looks as if the camera itself moved."""
        far = self.motion > min(ENOUGH_MOTION, FASTEST_TISSUE * self.frames) * self.width
        return (far and self.resting > LEAST_SHARE * self.motion) or self.as_rigid

    @property
    def as_rigid(self) -> bool:
        """Whether the points move as a camera's motion moves them: what it goes towards hardly, all else a lot."""
        moving = self.motion > RIGID_MOTION * self.width and self.resting > RESTS * self.width
        return moving and self.unexplained < RIGID_SHARE * self.motion

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when nothing is suspicious."""
        if not self.moves:
            return []
        return [
            f"points move {self.motion:.0f} pixels within {self.frames} frames, nine of ten at least "
            f"{self.resting:.0f}, and all but {self.unexplained:.1f} (median) as by a camera's motion, though by the "
            "clip's poses the camera stands still: if they only hold a place, reconstruct --camera track looks for the "
            "camera, and without that depth and motion are wrong."
        ]


def check_still(pairs: list[Pair], width: int, K: NDArray[np.float64]) -> StillCheck | None:
    """How far the followed points of `pairs` move in pictures of `width` and intrinsics `K` (F, 3, 3); None without
    pairs.

    The pair of median motion speaks for the clip: a single sudden movement does not.
    """
    if not pairs:
        return None
    motions = [np.linalg.norm(pair.there - pair.here, axis=1) for pair in pairs]
    middle = int(np.argsort([np.median(motion) for motion in motions])[len(motions) // 2])
    motion, pair = motions[middle], pairs[middle]
    return StillCheck(
        float(np.median(motion)),
        float(np.percentile(motion, MOST)),
        pair.second - pair.first,
        width,
        smallest_error(K, [pair]),
    )
