"""Whether the views of a pair are rectified, in the right order, and of one size with the given depth and the poses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.epipolar import inverse_depth, relative, with_parallax
from endogs.clip.followed_points import LookingView, Pair
from endogs.clip.matched_points import even_contrast, matched_points

Array = NDArray[np.float64]

FEW = 30
"""Fewer matches over all frames looked at say nothing."""
ROWS_OFF = 1.0
"""Median distance between the rows of matching points, in pixels of the looking view, from which a pair is not
rectified: three times what SIFT's places are unsure of, and as much as a matcher along rows can bear."""
SWAPPED = 0.8
"""Share of matches with negative disparity from which the views are the wrong way round."""
SAME_LENGTH = 0.03
"""Relative difference of two depths that are still called equal: disparities of a third of a pixel in ten."""
NEAR = 6.0
"""Pixels of the looking view within which a followed point has the depth of a matched one."""
LEAST_TURN = np.radians(0.25)
"""Parallax from which the depth that poses give a point is known well enough to compare."""
LOOKED_AT = 3
"""Frames whose views are matched, of those where points are followed from."""


@dataclass(frozen=True)
class PairCheck:
    """What matching points of the two views say."""

    points: int
    """Matches over all frames looked at."""
    rows: float
    """Median distance between their rows, in pixels of the original."""
    rows_bound: float
    """What that may be, in pixels of the original."""
    negative: float
    """Share of the matches on one row whose disparity is negative."""
    disparity: float
    """Their median disparity in pixels of the original."""
    over_given: float | None
    """Median stereo depth over the depth in the files, None without either or with too few points."""
    poses_over: float | None
    """Median depth by the poses' motion over stereo depth, None for a still camera or with too few points."""

    @property
    def not_rectified(self) -> bool:
        """Whether matching points lie on different rows."""
        return self.rows > self.rows_bound

    @property
    def swapped(self) -> bool:
        """Whether the views are the wrong way round."""
        return self.negative > SWAPPED

    @property
    def fault(self) -> str | None:
        """Why stereo depth of this pair would be wrong, None when nothing speaks against it."""
        if self.not_rectified:
            return (
                f"matching points of the left and right views lie {self.rows:.1f} rows apart (up to "
                f"{self.rows_bound:.1f} is fine), so the pair is not rectified"
            )
        if self.swapped:
            return (
                f"the disparity between the views is negative (median {self.disparity:.1f} pixels), so left and right "
                "are swapped"
            )
        return None

    @property
    def disagrees_with_given(self) -> bool:
        """Whether stereo depth and the depth files differ by more than noise."""
        return self.over_given is not None and abs(self.over_given - 1) > SAME_LENGTH

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when all is well."""
        if self.fault is not None:
            return [f"stereo: {self.fault}: reconstruct --depth stereo and --split novel-view refuse it."]
        if self.disagrees_with_given:
            return [
                f"stereo: by the right view tissue is {self.over_given:.3f} times as far as the depth files say (up to "
                f"{100 * SAME_LENGTH:.0f} % is fine): the distance between the cameras, the focal length or the "
                "depth's unit is off."
            ]
        return []


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
    return PairCheck(
        len(points),
        float(np.median(rows)) if len(points) >= FEW else 0.0,
        bound,
        float(np.mean(disparity[on_one_row] < -0.5)) if len(points) >= FEW and on_one_row.any() else 0.0,
        float(np.median(disparity[on_one_row])) if on_one_row.any() else 0.0,
        _median(np.concatenate(given)),
        _median(np.concatenate(by_poses)),
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
