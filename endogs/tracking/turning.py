"""The path of a camera that only turns, from one eye: directions without places, since there is no parallax.

Corners are followed from keyframe to keyframe, each pair's rotation is Kabsch's on their rays (`two_view.turned`), and
frames that look at the same tissue again are compared with earlier keyframes too. The keyframes' rotations are then
those that agree best with all pairs, by least squares with Cauchy's weights (R. Hartley et al., "Rotation averaging",
2013). The camera rests at the origin.
"""

import time as clock
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.geometry import rotation_about, rotation_vector
from endogs.tracking.config import TrackingConfig
from endogs.tracking.corner_tracks import follow, new_corners, settle
from endogs.tracking.locating import coverage, unusable
from endogs.tracking.luma import Look, look_at, looking_size
from endogs.tracking.trajectory import State, TrackedFrame, Trajectory
from endogs.tracking.two_view import rays, turned

Array = NDArray[np.float64]
NOT_A_TURN = 1.5
"""Pixels of the looking view that a turn leaves of the followed points' motion, from which the camera did more."""
COMPARED = 8
"""Keyframes that each keyframe is compared with, those that look in the most similar direction."""
ALIKE = 25.0
"""Degrees between directions of two such keyframes at most."""
ROUNDS = 6
"""Of the averaging."""


@dataclass(frozen=True)
class _Keyframe:
    frame: int
    look: Look
    corners: Array
    """(n, 2) pixels."""


@dataclass(frozen=True)
class Pair:
    """What two keyframes say of each other."""

    first: int
    second: int
    rotation: Array
    """(3, 3) from the axes of the first camera to those of the second."""
    weight: float
    """Points that say so."""


@dataclass(frozen=True)
class _Turned:
    rotation: Array
    """(3, 3) from the keyframe's axes to the frame's."""
    points: int
    share: float
    """Of the keyframe's corners."""
    left: float
    """Median pixels of the looking view that the turn leaves."""
    there: Array
    """(n, 2) where corners are."""


def turning_path(
    clip: Clip,
    held_out: frozenset[int] = frozenset(),
    progress: Callable[[int, int], None] | None = None,
    config: TrackingConfig | None = None,
) -> Trajectory:
    """Directions of a clip's camera that only turns; the first frame that is not lost looks along the world's axis.

    Frames of `held_out` are compared with the others' keyframes and become none. A frame has no pose where too few
    corners are followed, or where what they do is no turn.
    """
    config = config or TrackingConfig()
    size: tuple[int, int] | None = None
    keyframes: list[_Keyframe] = []
    pairs: list[Pair] = []
    hung: list[tuple[int, _Turned] | str] = []
    spent = []
    last = np.eye(3)
    for index in range(len(clip)):
        began = clock.perf_counter()
        frame = clip.frame(index)
        size = size or looking_size(frame.tissue_mask, config.longest)
        look = look_at(frame, size, config)
        found: tuple[int, _Turned] | str = unusable(look, config)
        if not found and not keyframes:
            found = _first(keyframes, look, index, config) if index not in held_out else "before the first keyframe"
        elif not found:
            found, last = _located(keyframes, pairs, look, index, last, index not in held_out, config)
        hung.append(found)
        spent.append(1000 * (clock.perf_counter() - began))
        if progress is not None:
            progress(index + 1, len(clip))
    rotations = averaged(_chained(len(keyframes), pairs), pairs)
    frames = []
    for index, (found, milliseconds) in enumerate(zip(hung, spent, strict=True)):
        about = (index, float(clip.times[index]))
        if isinstance(found, str):
            frames.append(TrackedFrame(*about, None, State.LOST, found, milliseconds=milliseconds))
            continue
        number, one = found
        pose = np.eye(4)
        pose[:3, :3] = one.rotation @ rotations[number]
        residual = one.left / float(keyframes[number].look.scale.mean())
        is_keyframe = keyframes[number].frame == index
        frames.append(
            TrackedFrame(*about, pose, State.TRACKED, "", one.points, residual, None, milliseconds, is_keyframe)
        )
    return Trajectory(tuple(frames), tuple(frames), "relative", (), {"turn": sum(spent)})


def _first(keyframes: list[_Keyframe], look: Look, index: int, config: TrackingConfig) -> tuple[int, _Turned] | str:
    corners = new_corners(look, np.zeros((0, 2)), config, config.corners)
    if len(corners) < config.start_points:
        return "few points"
    keyframes.append(_Keyframe(index, look, corners))
    return 0, _Turned(np.eye(3), len(corners), 1.0, 0.0, corners)


def _located(
    keyframes: list[_Keyframe],
    pairs: list[Pair],
    look: Look,
    index: int,
    last: Array,
    maps: bool,
    config: TrackingConfig,
) -> tuple[tuple[int, _Turned] | str, Array]:
    """A frame beside the newest keyframe, else beside an older one; and how it is turned from the newest, about which
    the next frame is looked for."""
    rotations = _chained(len(keyframes), pairs)
    newest = len(keyframes) - 1
    order = _nearest(rotations, last @ rotations[-1], range(newest))
    reason = "few points"
    for number in [newest, *order]:
        one = compared(keyframes[number], look, last @ rotations[-1] @ rotations[number].T, config)
        reason = "few points" if one is None else "moves beyond a turn" if one.left > NOT_A_TURN else ""
        if one is None or reason:
            continue
        about = one.rotation @ rotations[number]
        turned_by = np.degrees(np.linalg.norm(rotation_vector(one.rotation)))
        if not maps or (number == newest and turned_by < config.turn and one.share > config.live):
            return (number, one), about @ rotations[-1].T
        corners = new_corners(look, np.zeros((0, 2)), config, config.corners)
        keyframes.append(_Keyframe(index, look, corners))
        pairs.append(Pair(number, newest + 1, one.rotation, one.points))
        for other in _nearest(rotations, about, [k for k in range(newest + 1) if k != number]):
            again = compared(keyframes[other], look, about @ rotations[other].T, config)
            if again is not None and again.left < NOT_A_TURN:
                pairs.append(Pair(other, newest + 1, again.rotation, again.points))
        own = _Turned(np.eye(3), one.points, 1.0, one.left, corners)
        return (newest + 1, own), np.eye(3)
    return reason, last


def compared(keyframe: _Keyframe, look: Look, guess: Array, config: TrackingConfig) -> _Turned | None:
    """How a frame is turned from a keyframe, `guess` (3, 3) being about right; None where too few corners tell."""
    ahead = rays(keyframe.corners, keyframe.look.K) @ guess.T
    there = ahead[:, :2] / np.maximum(ahead[:, 2:], 1e-6) * look.K[[0, 1], [0, 1]] + look.K[:2, 2]
    shown = (ahead[:, 2] > 0) & look.inside(there)
    if shown.sum() < config.fewest:
        return None
    here, there = keyframe.corners[shown], there[shown]
    moved, good = follow(keyframe.look, look, here, there, config)
    here, moved = here[good], moved[good]
    settled, alike = settle(keyframe.look, look, here, moved, config)
    here, settled = here[alike], settled[alike]
    if len(here) < config.inliers or coverage(look, settled) < config.coverage / 2:
        return None
    rotation, left = turned(here, settled, keyframe.look.K, look.K)
    return _Turned(rotation, len(here), len(here) / len(keyframe.corners), left, settled)


def _nearest(rotations: list[Array], about: Array, numbers: "range | list[int]") -> list[int]:
    """Those of the keyframes `numbers` that look about as `about` (3, 3) does, the nearest first."""
    angles = {k: float(np.degrees(np.linalg.norm(rotation_vector(about @ rotations[k].T)))) for k in numbers}
    return [k for k in sorted(angles, key=lambda k: angles[k]) if angles[k] < ALIKE][:COMPARED]


def _chained(count: int, pairs: list[Pair]) -> list[Array]:
    """(3, 3) world to camera of each keyframe, by the first pair that leads to it."""
    found = [np.eye(3)] * min(1, count)
    for pair in pairs:
        if pair.second == len(found):
            found.append(pair.rotation @ found[pair.first])
    return found


def averaged(rotations: list[Array], pairs: list[Pair]) -> list[Array]:
    """The rotations (3, 3) near `rotations` that agree best with all pairs; the first one stays."""
    if not rotations or len(pairs) < len(rotations):  # a chain has nothing to be averaged
        return rotations
    found = np.stack(rotations)
    first, second = (np.array([getattr(pair, name) for pair in pairs]) for name in ("first", "second"))
    for _ in range(ROUNDS):
        # R2 = P R1 but for an error e in the second camera's axes: e = log(P R1 R2^T), changed by d1, d2 as
        # P d1 - d2, where R <- exp(d) R.
        errors = np.stack([rotation_vector(p.rotation @ found[p.first] @ found[p.second].T) for p in pairs])
        size = np.linalg.norm(errors, axis=1)
        scale = max(1.4826 * float(np.median(size)), 1e-6)
        weights = np.array([pair.weight for pair in pairs]) / (1 + np.square(size / (2.385 * scale)))
        system, side = np.zeros((len(found), 3, len(found), 3)), np.zeros((len(found), 3))
        for k, pair in enumerate(pairs):
            a, b, P = first[k], second[k], pair.rotation
            system[a, :, a] += weights[k] * np.eye(3)
            system[b, :, b] += weights[k] * np.eye(3)
            system[a, :, b] -= weights[k] * P.T
            system[b, :, a] -= weights[k] * P
            side[a] -= weights[k] * P.T @ errors[k]
            side[b] += weights[k] * errors[k]
        free = 3 * (len(found) - 1)
        steps = np.linalg.solve(system[1:, :, 1:].reshape(free, free) + 1e-9 * np.eye(free), side[1:].ravel())
        found[1:] = rotation_about(np.asarray(steps.reshape(-1, 3), np.float64)) @ found[1:]
    return list(found)
