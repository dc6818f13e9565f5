"""Whether a clip's camera stands still, turns, or moves, by what followed points do in a few places of the clip.

Tissue that is pulled moves fast, but not as a rigid world would; breathing moves all that is seen, slowly and not far.
A hand-held or driven endoscope keeps the whole picture moving, most of the time and faster. Between the two one eye
cannot tell, and the verdict says so. The direction of the motion says nothing, as most endoscopes move along their
axis.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from endogs.clip.checks.epipolar import smallest_error
from endogs.clip.checks.followed_points import HOPS, LookingView, followed_pairs
from endogs.clip.clip import Clip
from endogs.tracking.two_view import turned

Verdict = Literal["still", "turning", "moving", "unclear", "unseen"]

PLACES = 9
"""Places in the clip that are looked at."""
FEWEST_PLACES = 0.4
"""Share of them in which enough points must be followed."""
FAST = 0.035
"""Widths of the picture a second, median of the places, from which the camera moves, if the world seems rigid. Tissue
that two instruments pull reaches 0.06, so that speed alone says nothing."""
SLOW = 0.012
"""Below this the camera stands still, for all that can be told. Breathing reaches 0.009; a moving endoscope of which
every fourth frame is kept falls to 0.018, since fast points are lost first."""
MOVING_PLACES = 2
"""Places at which the picture moves fast, as a rigid world would, from which a camera that rests elsewhere moves.
Before lifted bowel no place of a still camera reaches a sixth of FAST."""
RIGID_PLACE = 0.1
"""Share of the motion at one place that the best camera may leave for that: straight ahead it leaves 0.06 to 0.1."""
CREEPS = 0.03
"""Widths of the picture that points move by in the end, from which a camera that seems still creeps on, if the world
seems rigid. Breathing turns back after 2 seconds, in which it comes to 0.024 at SLOW; pulled bowel comes to 0.006."""
CREEPING_PLACES = 3
"""Places in the clip from which points are followed for long."""
LONG_HOPS = (*HOPS, *(32,) * 31)
"""Frames from one picture to the next there: 1024 in all."""
RIGID = 0.08
"""Share of the motion that the best camera may leave unexplained; above, tissue moves by itself, and the motion may be
all tissue's. Three still cameras leave 0.09 to 0.24 at strides of 1 to 4, eight moving ones 0.02 to 0.07, and 0.14
where the tissue deforms strongly or the motion is slow."""
TURN = 0.05
"""Share of the motion that a mere turn may leave unexplained if the camera only turns..."""
TURN_PIXELS = 0.6
"""... or pixels of the looking view, if that is more."""


@dataclass(frozen=True)
class CameraMotion:
    """What followed points say of a clip's camera; medians over the places."""

    verdict: Verdict
    places: int
    """Places in which points could be followed."""
    speed: float
    """Widths of the picture per second."""
    unexplained: float
    """Share of the motion that the best motion of a camera through a rigid world leaves."""
    by_turning: float
    """Share of the motion that the best turn of the camera leaves."""
    fast: int = 0
    """Places at which the picture moves fast, as a rigid world would."""

    @property
    def may_be_tissue(self) -> bool:
        """Whether tissue that moves by itself is seen, so that a path may be made of its motion alone."""
        return self.unexplained > RIGID

    @property
    def evidence(self) -> str:
        """A sentence with the numbers."""
        if self.verdict == "unseen":
            return "too few points can be followed to tell whether it moves"
        moves = f"the picture moves by {100 * self.speed:.1f} % of its width a second (median of {self.places} places)"
        explained = f"{100 * (1 - self.unexplained):.0f} % of that as a camera through a rigid world would see it"
        turned = f"{100 * (1 - self.by_turning):.0f} % as one that only turns"
        fast = f", and fast at {self.fast} of them" if self.speed < SLOW and self.fast else ""
        return f"{moves}, {explained}, {turned}{fast}"


def camera_motion(clip: Clip) -> CameraMotion:
    """How the clip's camera seems to move, in a second or two, whatever poses the clip has.

    Only tissue is looked at, so instruments count where nothing masks them. Intrinsics that are guessed do.
    """
    view = LookingView(clip, original=False)
    starts = sorted({round(i) for i in np.linspace(0, 0.9 * (len(clip) - 1), PLACES)})
    pairs = followed_pairs(view, starts, least_motion=0.0)
    pairs = [pair for pair in pairs if clip.times[pair.second] > clip.times[pair.first]]
    if len(clip) < 2 or len(pairs) < max(1, FEWEST_PLACES * len(starts)):
        return CameraMotion("unseen", len(pairs), 0.0, 0.0, 0.0)
    width, scale = view.full[0], view.scale
    speeds, unexplained, by_turning, turns = [], [], [], []
    for pair in pairs:
        motion = float(np.median(np.linalg.norm(pair.there - pair.here, axis=1)))
        seconds = float(clip.times[pair.second] - clip.times[pair.first])
        turn = turned(pair.here, pair.there, clip.K[pair.first], clip.K[pair.second])[1]
        speeds.append(motion / width / seconds)
        unexplained.append(min(1.0, smallest_error(clip.K, [pair]) / max(motion, 1e-9)))
        by_turning.append(min(1.0, turn / max(motion, 1e-9)))
        turns.append(turn <= max(TURN * motion, TURN_PIXELS / scale))
    speed, left, turning = (float(np.median(values)) for values in (speeds, unexplained, by_turning))
    verdict = _verdict(speed, left, float(np.mean(turns)))
    fast = sum(one >= FAST and rest <= RIGID_PLACE for one, rest in zip(speeds, unexplained, strict=True))
    if verdict == "still" and (fast >= MOVING_PLACES or _creeps(clip, view)):
        verdict = "unclear"
    return CameraMotion(verdict, len(pairs), speed, left, turning, fast)


def _creeps(clip: Clip, view: LookingView) -> bool:
    """Whether the picture of a camera that seems still moves on, slowly, as a rigid world would."""
    starts = sorted({round(i) for i in np.linspace(0, 0.4 * (len(clip) - 1), CREEPING_PLACES)})
    pairs = followed_pairs(view, starts, CREEPS * view.size[0], LONG_HOPS)
    if 2 * len(pairs) <= len(starts):
        return False
    motions = [float(np.median(np.linalg.norm(pair.there - pair.here, axis=1))) for pair in pairs]
    left = [smallest_error(clip.K, [pair]) / motion for pair, motion in zip(pairs, motions, strict=True)]
    return float(np.median(left)) <= RIGID


def _verdict(speed: float, unexplained: float, turning_share: float) -> Verdict:
    if speed < SLOW:
        return "still"
    if speed < FAST or unexplained > RIGID:
        return "unclear"
    return "turning" if turning_share > 0.5 else "moving"
