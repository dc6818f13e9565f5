"""The picture of a keyframe near the points of the map, where depth is known well enough to align others with it."""

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

from endogs.tracking.align import Drawn, Grey
from endogs.tracking.landmarks import Keyframe, SparseMap
from endogs.tracking.projection import seen_from
from endogs.tracking.rigidity import rigid_weight

NEAR = 5.0
"""Pixels from a point within which depth is taken from the points around: farther away a fold may lie between them."""
FEWEST = 20
"""Points without which there is no picture."""
STILL = 0.5
"""Least probability of standing still of a point that counts."""


def brightness(keyframe: Keyframe) -> Grey:
    """(h, w) evened luma, 0 to 1: the lamp moves with the camera, and a gain and a bias do not say how."""
    return np.asarray(keyframe.look.grey, np.float32) / np.float32(255)


def drawn_near_points(keyframe: Keyframe, world: SparseMap) -> Drawn | None:
    """What a keyframe sees within `NEAR` pixels of its points that stand still; None where there are few.

    Inverse depth is linear between neighbouring points (Delaunay's triangles), as that of a plane is.
    """
    look, seen = keyframe.look, keyframe.seen.only(world.placed(keyframe.seen.ids))
    z = seen_from(keyframe.world_to_camera, world.positions[seen.ids])[:, 2]
    counts = (z > 0) & (rigid_weight(world.log_odds[seen.ids]) > STILL)
    pixels, z = seen.pixels[counts], z[counts]
    if len(z) < FEWEST:
        return None
    away = np.full((look.height, look.width), 255, np.uint8)
    column, row = (np.clip(pixels[:, k].astype(int), 0, size - 1) for k, size in enumerate((look.width, look.height)))
    away[row, column] = 0
    near = (cv2.distanceTransform(away, cv2.DIST_L2, 5) < NEAR) & (look.usable > 0)
    rows, columns = np.nonzero(near)
    try:
        inverse = LinearNDInterpolator(pixels, 1 / z)(np.c_[columns + 0.5, rows + 0.5])
    except QhullError:  # all points on a line
        return None
    depth, alpha = np.zeros(near.shape, np.float32), np.zeros(near.shape, np.float32)
    known = np.isfinite(inverse)
    depth[rows[known], columns[known]] = 1 / inverse[known]
    alpha[rows[known], columns[known]] = 1
    return Drawn(brightness(keyframe), depth, alpha)
