"""Whether the views of a clip are a pair at all: no depth is made of two pictures that only happen to lie side by side.

Matching points tell it (`endogs.clip.checks.pair_check`). Where tissue is too smooth for points, dense matching does:
of a pair the rows agree over large parts, and of a pair whose right view is turned upside down only by chance.
"""

from typing import TYPE_CHECKING

import numpy as np

from endogs.clip.checks.followed_points import LookingView
from endogs.clip.checks.matched_points import even_contrast
from endogs.clip.checks.pair_check import check_views
from endogs.clip.checks.verdicts import PairCheck
from endogs.priors.depth.disparity import agreement

if TYPE_CHECKING:
    from endogs.clip import Clip

LOOKED_AT = 3
"""Frames whose views are matched densely."""
AGREE = 0.4
"""Share of a frame that must find itself in the other view. Of drawn pairs too smooth for points 0.5 to 0.9 do, of
halves of other pictures up to 0.4, and as much by chance."""
CLEARLY = 1.7
"""How many times the share must be that of a view turned upside down."""


def checked_pair(clip: "Clip") -> PairCheck | None:
    """What matching points say, as `load_clip` found it, or found now; None for a clip without right views."""
    if clip.baseline is None:
        return None
    if clip.pair_check is None:
        clip.pair_check = check_views(clip)
    return clip.pair_check


def pair_doubt(clip: "Clip") -> str | None:
    """Why nothing shows that the views of `clip` are a pair, half a sentence; None when they are, or have a fault."""
    check = checked_pair(clip)
    if check is None or check.is_sure:
        return None
    view = LookingView(clip)
    shares = [_shares(view, i) for i in sorted({round(k) for k in np.linspace(0, len(clip) - 1, LOOKED_AT)})]
    share, chance = (float(np.median(column)) for column in np.array(shares).T)
    if share >= AGREE and share >= CLEARLY * chance:
        return None
    packed = "" if clip.packing_check is None else clip.packing_check.other or ""
    other = f" (--stereo {packed} would take the frames apart as they look)" if packed else ""
    return (
        f"only {check.points} points match between the left and right views, and {100 * share:.0f} % of the pixels "
        f"({100 * chance:.0f} % by chance), so nothing shows that they are a pair{other}"
    )


def _shares(view: LookingView, index: int) -> tuple[float, float]:
    """Shares of a frame that agree with its right view, and with the right view upside down, whatever --max-size is."""
    right = view.right_grey(index)
    assert right is not None
    left, other = even_contrast(view.grey(index)), even_contrast(right)
    return agreement(left, other), agreement(left, np.ascontiguousarray(other[::-1]))
