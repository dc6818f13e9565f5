"""Poses that stand apart from their neighbours: a tracker that lost its way, or a row that was written wrong."""

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


def pose_jumps(world_to_camera: NDArray[np.float64]) -> list[int]:
    """Frames that the camera reaches by a jump, of poses (F, 4, 4)."""
    if len(world_to_camera) < LEAST_FRAMES:
        return []
    rotations, translations = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    centres = -np.einsum("fji,fj->fi", rotations, translations)
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    moving = steps[steps > 1e-9 * max(1.0, float(np.abs(centres).max()))]
    if len(moving) < LEAST_FRAMES - 1:
        return []
    usual = float(np.median(moving))
    far = steps > USUAL * usual
    if not far.any() or steps[far].min() < MOST * steps[~far].max():
        return []
    return [int(step) + 1 for step in np.flatnonzero(far)]


def pose_jump_note(world_to_camera: NDArray[np.float64]) -> list[str]:
    """A sentence when the camera of poses (F, 4, 4) jumps between neighbouring frames."""
    frames = pose_jumps(world_to_camera)
    if not frames:
        return []
    named = ", ".join(f"{frame - 1} to {frame}" for frame in frames[:NAMED])
    more = f" and {len(frames) - NAMED} more" if len(frames) > NAMED else ""
    return [
        f"poses: {len(frames)} times between neighbouring frames ({named}{more}) the camera moves over {USUAL:g} times "
        "as far as usual: the poses there are wrong, or the frames no neighbours; --start and --end keep a part "
        "without that."
    ]
