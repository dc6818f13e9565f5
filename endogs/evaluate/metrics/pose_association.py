"""Which pose of one trajectory belongs to which of another, by their times.

The nearest in time belong together (J. Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012,
section IV), looked for from the trajectory that has fewer poses, as evo does.
"""

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Indices = NDArray[np.intp]


def match_times(estimated: Times, true: Times, most: float) -> tuple[Indices, Indices]:
    """Indices (n,) into the sorted times `estimated` (E,) and `true` (T,) of poses at most `most` seconds apart."""
    if len(true) < len(estimated):
        of_true, of_estimated = _nearest(true, estimated, most)
    else:
        of_estimated, of_true = _nearest(estimated, true, most)
    return of_estimated, of_true


def _nearest(few: Times, many: Times, most: float) -> tuple[Indices, Indices]:
    after = np.searchsorted(many, few, side="right").clip(0, len(many) - 1)
    before = (after - 1).clip(0)
    late, early = np.abs(many[after] - few), np.abs(many[before] - few)
    best = np.where(late < early, after, before)
    close = np.flatnonzero(np.minimum(late, early) <= most)
    return close, best[close]
