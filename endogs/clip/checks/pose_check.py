"""Whether the poses of a moving camera fit its images: points are followed between frames and their positions compared.

Tissue that deforms moves off the lines that the poses allow (`endogs.clip.checks.epipolar`), but not as far as wrong
poses do, and not everywhere: the median over many points tells, beside what the best camera motion would leave over.
"""

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.pose_conventions import candidates, poses_in_file, read_as
from endogs.clip.checks.epipolar import inverse_depth, median_error, relative, smallest_error, with_parallax
from endogs.clip.checks.followed_points import LEAST_POINTS, LookingView, Pair
from endogs.clip.checks.verdicts import PoseCheck
from endogs.clip.clip import Clip
from endogs.clip.recording import Recording

Array = NDArray[np.float64]

TIMES_NOISE = 3.0
"""How many times the error of the best camera motion the error of poses may be."""
LEAST_BOUND = 1.0
"""Pixels of the looking view, at most 640 wide, that poses may be off whatever the noise is: of 1280 pixels two."""
CLEARLY_BETTER = 3.0
"""How many times smaller another reading's error must be to be believed when the error is acceptable, or when its own
is not."""
BETTER = 0.6
"""Another reading's error over the error, from which it is believed when the error is not acceptable."""
LATEST = 10
"""Frames by which the rows of poses may have slipped against the images."""
LEAST_TURN = np.radians(0.25)
"""Parallax from which a point's depth is known well enough to compare."""


def check_poses(clip: Clip, recording: Recording, view: LookingView, pairs: list[Pair]) -> PoseCheck | None:
    """Compare the clip's poses, and all other readings of those in the files of its `recording`, with its images.

    `pairs` are the points followed in `view`, which must be one of the originals. None for a camera that stands still,
    and when too little moves in the images or too few points could be followed to say anything.
    """
    if clip.static_camera or not pairs:
        return None
    K = clip.original_K
    error, noise = median_error(K, clip.world_to_camera, pairs), smallest_error(K, pairs)
    bound = max(TIMES_NOISE * noise, LEAST_BOUND / view.scale)
    convention = poses_in_file(recording)[1]
    others = {
        name: median_error(K, read_as(recording, name), pairs) for name in candidates(recording) if name != convention
    }
    # Conventions may agree on these frames: the plainest of those that are as good is named.
    smallest = min(others.values())
    closest = next(name for name, found in others.items() if found <= 1.02 * smallest + 0.01)
    late, late_error = _slip(K, clip.world_to_camera, pairs, error)
    best: str | None = closest
    if error <= bound:
        wrong = error > noise + 0.5 / view.scale and CLEARLY_BETTER * others[closest] < error
        late = 0
    else:
        fits = others[closest] <= bound and others[closest] < BETTER * error
        # One that fits no better than noise allows may be the lesser evil of two where tissue breathes.
        wrong = fits or (others[closest] <= TIMES_NOISE * bound and CLEARLY_BETTER * others[closest] < error)
        if late and (late_error > bound or (wrong and others[closest] <= late_error)):
            late = 0
        wrong = wrong and not late
    in_front, ratio, depth = _depths(clip, pairs)
    return PoseCheck(
        points=sum(len(pair.here) for pair in pairs),
        pairs=len(pairs),
        error=error,
        noise=noise,
        bound=bound,
        in_front=in_front,
        best=best if wrong else None,
        closest=closest,
        best_error=others[closest],
        late=late,
        late_error=late_error,
        depth_ratio=ratio,
        depth=depth,
    )


def _slip(K: Array, poses: Array, pairs: list[Pair], error: float) -> tuple[int, float]:
    """By how many frames the poses fit best when moved, and their error then; 0 when as they are.

    Pairs whose frames would lie beyond the first or last pose are left out, of both errors.
    """
    best, smallest = 0, error
    for late in sorted((k for k in range(-LATEST, LATEST + 1) if k), key=abs):
        inside = [p for p in pairs if p.first + late >= 0 and p.second + late < len(poses)]
        if 2 * len(inside) < len(pairs):
            continue
        moved = np.roll(poses, -late, 0)
        found = median_error(K, moved, inside)
        if found < 0.8 * smallest and found < BETTER * median_error(K, poses, inside):
            best, smallest = late, found
    return best, smallest


def _depths(clip: Clip, pairs: list[Pair]) -> tuple[float, float | None, float | None]:
    """The share of points with parallax in front of both cameras, their depth by motion over the files' depth, and that
    depth itself (medians).
    """
    positive, ratios, depths = [], [], []
    for pair in pairs:
        turned, moved, target, _ = relative(clip.original_K, clip.world_to_camera, pair)
        parallax = with_parallax(turned, target, LEAST_TURN)
        inverse = inverse_depth(turned, moved, target)
        positive.append((inverse > 0)[parallax])
        depths.append(1 / inverse[parallax & (inverse > 0)])
        files = clip.original_depth(pair.first)
        if files is not None:
            column, row = pair.here.astype(int).T
            known = files[row.clip(0, files.shape[0] - 1), column.clip(0, files.shape[1] - 1)]
            use = parallax & (inverse > 0) & (known > 0)
            ratios.append(1 / (inverse[use] * known[use]))
    share = np.concatenate(positive)
    depth = np.concatenate(depths)
    all_ratios = np.concatenate(ratios) if ratios else np.zeros(0)
    return (
        float(share.mean()) if share.size else 1.0,
        float(np.median(all_ratios)) if len(all_ratios) >= LEAST_POINTS else None,
        float(np.median(depth)) if len(depth) >= LEAST_POINTS else None,
    )
