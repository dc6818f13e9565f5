"""Which points of a cloud a camera sees, where nothing but the points is known.

S. Katz, A. Tal, R. Basri, "Direct visibility of point sets", 2007: points are reflected in a large sphere around the
camera, and those on the convex hull of the reflections and the camera are seen. No depth that is to be judged takes
part, so what it draws too near or too far hides nothing.
"""

import numpy as np
from numpy.typing import NDArray

SPHERE = 1000.0
"""Radius of the sphere by the distance of the farthest point."""


def visible_points(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True (P,) at the points (P, 3), in the camera's axes, that others do not hide; fewer than four hide nothing."""
    from scipy.spatial import ConvexHull, QhullError

    distance = np.linalg.norm(points, axis=1)
    seen = distance > 0
    if seen.sum() < 4:
        return np.asarray(seen)
    whole = points[seen]
    away = distance[seen][:, None]
    flipped = whole + 2 * (SPHERE * away.max() - away) * whole / away
    try:
        corners = ConvexHull(np.concatenate([flipped / away.max(), np.zeros((1, 3))])).vertices
    except QhullError:  # all in one plane with the camera
        return np.asarray(seen)
    on_hull = np.zeros(len(whole) + 1, bool)
    on_hull[corners] = True
    found = np.zeros(len(points), bool)
    found[seen] = on_hull[:-1]
    return found
