"""Whether depth from a camera's motion runs against the light that travels with the camera.

From one eye a path that is found under a focal length that is far off may be inside out: what is far comes out near,
and all points agree with it. Light falls off with the distance, so brightness knows which way round it is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.rank_correlation import rank_correlation

AGAINST = -0.5
"""Median rank correlation with depth by brightness below which depth is inside out: of right ones it is 0.4 to 0.97,
and of one that was inside out -0.83."""
FEWEST = 50
"""Pixels of a frame that are compared, at least."""


def correlation_where_known(depth: NDArray[np.float32], guess: NDArray[np.float32]) -> float | None:
    """Spearman's, of two depths (h, w) where both are known (above 0); None where these are too few."""
    both = (depth > 0) & (guess > 0)
    return rank_correlation(depth[both], guess[both]) if np.count_nonzero(both) >= FEWEST else None


def inside_out_note(correlations: Sequence[float | None]) -> str | None:
    """What to say of frames whose depths correlate so with those by brightness; None where there is no doubt."""
    known = [one for one in correlations if one is not None]
    if not known or (middle := float(np.median(known))) > AGAINST:
        return None
    return (
        f"depth from the camera's motion runs against the light: what is bright comes out far (rank correlation "
        f"{middle:.2f} with depth by brightness), as where the focal length is far off and the path is inside out. "
        "Do not trust the scene's shape; give --focal or --calibration"
    )
