"""Whether the views of a pair are rectified, in the right order, and of one size with the given depth and the poses."""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.epipolar import inverse_depth, relative, with_parallax
from endogs.clip.checks.followed_points import LookingView, Pair
from endogs.clip.checks.matched_points import even_contrast, matched_points
from endogs.clip.checks.verdicts import FEW, PairCheck
from endogs.clip.clip import Clip

Array = NDArray[np.float64]

ROWS_OFF = 1.0
"""Median distance between the rows of matching points, in pixels of the looking view, from which a pair is not
rectified: three times what SIFT's places are unsure of, and as much as a matcher along rows can bear."""
SCATTER, PLACED = 0.05, 0.4
"""Relative difference of stereo depth and depth files at a point that is usual, and pixels of the looking view that
disparities are off: good pairs have 0.01."""
NEAR = 6.0
"""Pixels of the looking view within which a followed point has the depth of a matched one."""
LEAST_TURN = np.radians(0.25)
"""Parallax from which the depth that poses give a point is known well enough to compare."""
LOOKED_AT = 3
"""Frames whose views are matched, of those where points are followed from."""


def check_pair(clip: Clip, view: LookingView, pairs: list[Pair]) -> PairCheck | None:
    """Compare the views of a clip with each other, its depth files and, by the followed `pairs`, its poses.

    None for a clip without right views.
    """
    if clip.baseline is None:
        return None
    matches, given, by_poses = [], [], []
    for index in view.starts[:: -(-len(view.starts) // LOOKED_AT)]:
        right = view.right_grey(index)
        assert right is not None
        found = matched_points(even_contrast(view.grey(index)), even_contrast(right))
        left, other = view.to_full(found[:, :2]), view.to_full(found[:, 2:])
        matches.append(np.concatenate([left, other], 1))
        on_one_row = np.abs(left[:, 1] - other[:, 1]) <= ROWS_OFF / view.scale
        ahead = on_one_row & (left[:, 0] - other[:, 0] > 0.5)
        depth = clip.original_K[index, 0, 0] * clip.baseline / (left[ahead, 0] - other[ahead, 0])
        given.append(_over_files(clip, index, left[ahead], depth))
        by_poses.append(_poses_over(clip, view, pairs, index, left[ahead], depth))
    points = np.concatenate(matches)
    rows, disparity = np.abs(points[:, 1] - points[:, 3]), points[:, 0] - points[:, 2]
    bound = ROWS_OFF / view.scale
    on_one_row = rows <= bound
    ratios = np.concatenate(given)
    shift = float(np.median(disparity[on_one_row])) if on_one_row.any() else 0.0
    return PairCheck(
        len(points),
        float(np.median(rows)) if len(points) >= FEW else 0.0,
        bound,
        float(np.mean(disparity[on_one_row] < -0.5)) if len(points) >= FEW and on_one_row.any() else 0.0,
        shift,
        _median(ratios),
        _median(np.concatenate(by_poses)),
        _median(np.abs(np.log(ratios / np.median(ratios)))) if len(ratios) else None,
        SCATTER + PLACED / (view.scale * max(shift, 0.5)),
    )


def check_views(clip: Clip) -> PairCheck | None:
    """`check_pair` of a clip whose points are not followed."""
    return check_pair(clip, LookingView(clip), [])


def _over_files(clip: Clip, index: int, points: Array, depth: Array) -> Array:
    """Depth of points (N, 2) over what the files say there, where they say something."""
    files = clip.original_depth(index)
    if files is None:
        return np.zeros(0)
    column, row = points.astype(int).T
    known = files[row.clip(0, files.shape[0] - 1), column.clip(0, files.shape[1] - 1)]
    return np.asarray(depth[known > 0] / known[known > 0], np.float64)


def _poses_over(clip: Clip, view: LookingView, pairs: list[Pair], index: int, points: Array, depth: Array) -> Array:
    """Depth by the poses' motion over the `depth` of matched `points` (N, 2) in frame `index`."""
    found = []
    for pair in pairs:
        if pair.first != index or clip.static_camera or not len(points):
            continue
        turned, moved, target, _ = relative(clip.original_K, clip.world_to_camera, pair)
        inverse = inverse_depth(turned, moved, target)
        away = np.linalg.norm(pair.here[:, None] - points[None], axis=2)
        nearest = away.argmin(1)
        use = with_parallax(turned, target, LEAST_TURN) & (inverse > 0) & (away.min(1) <= NEAR / view.scale)
        found.append(1 / inverse[use] / depth[nearest[use]])
    return np.concatenate(found) if found else np.zeros(0)


def _median(ratios: Array) -> float | None:
    return float(np.median(ratios)) if len(ratios) >= FEW else None
