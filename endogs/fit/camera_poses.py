"""The poses of a clip's frames as a fit has them now."""

import numpy as np

from endogs.fit.window import Window
from endogs.geometry import Array, interpolate_rigid, invert_rigid


def current_poses(window: Window, given: Array, first: int = 0) -> Array:
    """World to camera (F, 4, 4) of a clip's frames from `first` on, whose poses were `given` (F, 4, 4).

    Frames of the window have theirs. One between two of them, as one that is held out, is corrected like these, in
    proportion to how near it is, and one before or behind all of them like the next. Given poses that nobody corrected
    stay as they are, to the bit.
    """
    found = given.copy()
    corrections = {}
    for frame in window.frames:
        k = frame.number - first
        found[k] = frame.world_to_camera
        if (found[k] != given[k]).any():
            corrections[k] = found[k] @ invert_rigid(given[k])
    if not corrections:
        return found
    inside = np.array([frame.number - first for frame in window.frames])
    for k in np.setdiff1d(np.arange(len(given)), inside):
        at = int(np.searchsorted(inside, k))
        near = inside[max(at - 1, 0) : at + 1].tolist()
        if not any(i in corrections for i in near):
            continue
        ends = [corrections.get(i, np.eye(4)) for i in near]
        correction = ends[0]
        if len(ends) == 2:
            correction = interpolate_rigid(ends[0], ends[1], (k - near[0]) / (near[1] - near[0]))
        found[k] = correction @ given[k]
    return found
