"""Two camera paths pose by pose: what belongs together by time, and what is lost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.metrics.pose_association import match_times
from endogs.evaluate.metrics.trajectory import never_moves
from endogs.evaluate.pose_files import CameraPath
from endogs.plain_text import plain

FEWEST = 3
"""Matched poses: two centres lie over each other after any alignment."""
OTHER_RHYTHM = 1.5
"""How much longer the estimate's usual interval must be for it to have a rhythm of its own."""
CLOCKS = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}
FEW_SHARE, OTHER_CLOCK = 0.5, 1.5
"""When less than this share of the poses belongs together and clocks run at rates that differ by more, as of frames'
numbers beside seconds, what does belong together does so by chance."""
SAME_SPAN = 0.1
"""By how much the length of one clock may miss another's."""


@dataclass(frozen=True)
class MatchedPaths:
    """Poses that belong together, in the order of time."""

    times: NDArray[np.float64]
    """(n,) seconds of the reference."""
    estimated: Poses
    """(n, 4, 4) T_world_camera."""
    true: Poses
    """(n, 4, 4) T_world_camera."""
    frames: NDArray[np.intp]
    """(n,) which poses of the reference, or of the estimate's own rhythm, these are."""
    expected: int
    """Poses that an estimate without losses would have had."""
    notes: list[str]
    """Sentences a user should read."""

    @property
    def lost(self) -> int:
        """Frames without an estimate."""
        return max(0, self.expected - len(self.times))


def match_paths(
    estimate: CameraPath,
    reference: CameraPath,
    most: float,
    clock_advice: str | None = None,
    estimate_is_whole: bool = False,
) -> MatchedPaths:
    """The poses of both at most `most` seconds apart; `clock_advice` is what helps with clocks that differ, where
    compare-poses' options do not. Of an estimate that is whole nothing is lost, whatever else the reference covers.

    Raises InputError for a reference that never moves, where alignment would find it perfect whatever the estimate
    does, and where fewer than FEWEST poses belong together, with what the two clocks say.
    """
    if len(reference) < 2 or never_moves(reference.poses):
        raise InputError(
            f"{reference.source}: its camera never moves ({len(reference)} poses, path length 0), so there is no path "
            "to compare with; give a reference of a camera that moves."
        )
    ours, theirs = match_times(estimate.times, reference.times, most)
    if len(ours) < FEWEST:
        raise _no_match(estimate, reference, most, len(ours), clock_advice)
    if len(ours) < FEW_SHARE * min(len(estimate), len(reference)) and (clocks := _other_clocks(estimate, reference)):
        raise InputError(f"{clocks}: {len(ours)} belong together within {most:g} s, by chance; give seconds in both.")
    true = reference.poses[theirs]
    if never_moves(true):
        raise InputError(
            f"{reference.source}: its camera never moves in the {len(theirs)} poses that {plain(estimate.source)} has "
            "too (path length 0); give an estimate of the frames where it moves."
        )
    frames, expected, notes = ours, len(ours), list[str]()
    if not estimate_is_whole:
        frames, expected, notes = _frames(estimate, reference, ours, theirs)
    unused = len(estimate) - len(np.unique(ours))
    if unused:
        notes.append(
            f"{unused} of the estimate's {len(estimate)} poses have no time of the reference's and are not compared"
        )
    if estimate.lost:
        notes.append(f"{estimate.lost} lines of the estimate hold NaN for the pose and count as lost")
    return MatchedPaths(reference.times[theirs], estimate.poses[ours], true, frames, expected, notes)


def _frames(
    estimate: CameraPath, reference: CameraPath, ours: NDArray[np.intp], theirs: NDArray[np.intp]
) -> tuple[NDArray[np.intp], int, list[str]]:
    """Numbers of the frames that were matched, how many there would be without losses, and notes."""
    interval, usual = (float(np.median(np.diff(path.times))) for path in (estimate, reference))
    if interval <= OTHER_RHYTHM * usual or len(estimate) >= len(reference):
        return theirs, len(reference), []
    # The reference is denser, as kinematics or a motion tracker are: frames are the estimate's own.
    first, last = reference.times[0], reference.times[-1]
    numbers = np.rint((estimate.times[ours] - estimate.times[ours[0]]) / interval).astype(np.intp)
    expected = max(len(ours), int(np.floor((last - first) / interval + 1e-6)) + 1)
    note = (
        f"the estimate has a pose every {interval:.4g} s and the reference every {usual:.4g} s: what is lost is "
        f"counted in the estimate's rhythm, {expected} poses in the reference's {last - first:.4g} s"
    )
    return numbers, expected, [note]


def _no_match(estimate: CameraPath, reference: CameraPath, most: float, found: int, advice: str | None) -> InputError:
    a, b = (path.times for path in (estimate, reference))
    few = "none belong together" if not found else f"only {found} of them belong{'s' * (found == 1)} together"
    start = (
        f"{estimate.source} covers {covered(a)}, and {plain(reference.source)} {covered(b)}: {few} within {most:g} s"
    )
    if min(len(a), len(b)) < FEWEST:
        return InputError(f"{start}; give {FEWEST} poses or more of both.")
    spans = float(np.ptp(a)), float(np.ptp(b))
    for factor, unit in CLOCKS.items():
        for more, less, path in ((*spans, estimate), (spans[1], spans[0], reference)):
            if abs(more / less / factor - 1) < SAME_SPAN:
                return InputError(f"{start}; the times of {plain(path.source)} seem to be {unit}: give seconds.")
    if found and (clocks := _other_clocks(estimate, reference)):
        return InputError(f"{clocks}: {found} belong together within {most:g} s, by chance; give seconds in both.")
    if advice is not None:
        return InputError(f"{start}; {advice}.")
    if a[-1] < b[0] - most or b[-1] < a[0] - most:
        if abs(spans[0] / spans[1] - 1) < SAME_SPAN:
            shift = seconds_text(b[0] - a[0])
            return InputError(f"{start}; if both begin with the same frame, give --time-offset {shift}.")
        return InputError(f"{start}; they do not overlap: give two trajectories of the same time.")
    return InputError(
        f"{start}; give --max-difference for a larger difference, or --time-offset where the clocks differ."
    )


def _other_clocks(estimate: CameraPath, reference: CameraPath) -> str | None:
    """What both cover, where as many poses last several times as long in one as in the other."""
    a, b = (path.times for path in (estimate, reference))
    spans = np.ptp(a) / np.ptp(b)
    if 1 / OTHER_CLOCK < spans < OTHER_CLOCK or abs(len(a) / len(b) - 1) > SAME_SPAN:
        return None
    return f"{estimate.source} covers {covered(a)}, and {plain(reference.source)} {covered(b)}"


def covered(times: NDArray[np.float64]) -> str:
    """In words, how many poses there are and from when to when."""
    return f"{seconds_text(times[0])} to {seconds_text(times[-1])} s in {len(times)} poses"


def seconds_text(seconds: float) -> str:
    """Microseconds of a clock that may count from 1970."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
