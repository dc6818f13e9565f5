"""Poses that stand apart from their neighbours: a tracker that lost its way, or a row that was written wrong."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

USUAL = 30.0
"""Times the median step from which a step is a jump; cameras that stop and go reach ten."""
MOST = 8.0
"""Times the largest step that is no jump, which it must be too."""
LEAST_FRAMES = 6
"""Frames from which steps can be compared."""
NAMED = 3
"""Jumps that a note names before it counts the rest."""
APART = 4.0
"""Times the larger steps of the path that a single pose must be away from both its neighbours to stand apart."""
LARGER = 80.0
"""Percentile of the steps that counts for that."""
BACK = 0.5
"""Of the way to it, how far apart its neighbours may be: the camera was not there, and came back."""
LEAST_TURN = np.radians(5)
"""Angle that a pose must be turned away from both its neighbours to stand apart."""


def pose_jumps(world_to_camera: NDArray[np.float64]) -> list[int]:
    """Frames that the camera reaches by a jump, of poses (F, 4, 4)."""
    if len(world_to_camera) < LEAST_FRAMES:
        return []
    centres = _centres(world_to_camera)
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    moving = steps[steps > 1e-9 * max(1.0, float(np.abs(centres).max()))]
    if len(moving) < LEAST_FRAMES - 1:
        return []
    usual = float(np.median(moving))
    far = steps > USUAL * usual
    if not far.any() or steps[far].min() < MOST * steps[~far].max():
        return []
    return [int(step) + 1 for step in np.flatnonzero(far)]


def poses_apart(world_to_camera: NDArray[np.float64]) -> list[int]:
    """Frames whose poses (F, 4, 4) lie apart from both neighbours, which are near each other, in place or direction."""
    if len(world_to_camera) < LEAST_FRAMES:
        return []
    centres, rotations = _centres(world_to_camera), world_to_camera[:, :3, :3]
    found = np.zeros(len(centres), bool)
    scale = 1e-9 * max(1.0, float(np.abs(centres).max()))
    for steps, across, least in (
        (*(np.linalg.norm(centres[k:] - centres[:-k], axis=1) for k in (1, 2)), scale),
        (_angles(rotations, 1), _angles(rotations, 2), LEAST_TURN),
    ):
        away = np.minimum(steps[:-1], steps[1:])
        larger = max(float(np.percentile(steps, LARGER)), least)
        found[1:-1] |= (away > APART * larger) & (across < BACK * away)
    return np.flatnonzero(found).tolist()


def pose_jump_note(world_to_camera: NDArray[np.float64]) -> list[str]:
    """A sentence when the camera of poses (F, 4, 4) jumps between neighbouring frames."""
    apart = poses_apart(world_to_camera)
    if apart:
        which = f"those of frames {_named(map(str, apart))} lie" if len(apart) > 1 else f"that of frame {apart[0]} lies"
        return [
            f"poses: {which} far from those of the frames before and after, which are close together: correct the "
            "rows, or take the frames out."
        ]
    frames = pose_jumps(world_to_camera)
    if not frames:
        return []
    return [
        f"poses: {len(frames)} times between neighbouring frames ({_named(f'{k - 1} to {k}' for k in frames)}) the "
        f"camera moves over {USUAL:g} times as far as usual: the poses there are wrong, or the frames no neighbours; "
        "--start and --end keep a part without that."
    ]


def _named(frames: Iterable[str]) -> str:
    names = list(frames)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _centres(world_to_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-np.einsum("fji,fj->fi", world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]))


def _angles(rotations: NDArray[np.float64], apart: int) -> NDArray[np.float64]:
    """Radians (F - apart,) between rotations (F, 3, 3) that are so many frames apart."""
    cosine = (np.einsum("fij,fij->f", rotations[apart:], rotations[:-apart]) - 1) / 2
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)))
