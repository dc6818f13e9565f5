"""The poses of a clip's frames as a fit has them now."""

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
    inside = [frame.number - first for frame in window.frames]
    for k in sorted(set(range(len(given))) - set(inside)):
        before, after = [i for i in inside if i < k][-1:], [i for i in inside if i > k][:1]
        near = [(i, corrections.get(i)) for i in (*before, *after)]
        known = [(i, correction) for i, correction in near if correction is not None]
        if len(known) == 2:
            (a, start), (b, end) = known
            found[k] = interpolate_rigid(start, end, (k - a) / (b - a)) @ given[k]
        elif known:
            found[k] = known[0][1] @ given[k]
    return found
