"""What a point did between two times it was seen: bent so that it ends where the second one found it."""

import numpy as np
from numpy.typing import NDArray


def gap_ends(seen: NDArray[np.bool_], start: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For every frame and point (F, P): the nearest frame at which it was seen, towards its own frame `start` (P,) and
    away from it; the frame itself where it is seen, -1 where there is none away from it.

    At its own frame a point counts as seen.
    """
    frames, count = seen.shape
    index = np.arange(frames)[:, None]
    anchored = seen.copy()
    anchored[start, np.arange(count)] = True
    before = np.maximum.accumulate(np.where(anchored, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(anchored, index, frames)[::-1], axis=0)[::-1]
    after = np.where(after == frames, -1, after)
    later = index >= start
    return np.where(later, before, after), np.where(later, after, before)


def close_gaps(
    depth: NDArray[np.float32],
    colors: NDArray[np.float32],
    jump: NDArray[np.float32],
    seen: NDArray[np.bool_],
    start: NDArray[np.intp],
) -> None:
    """Spread over the time that a point was hidden what was found when it came out again; in place.

    depth (F, P) was carried; jump (F, P) is log(found / carried) where a point came out of hiding, else 0. Colours
    (F, P, 3) go from the last seen one to the next. Both change linearly with the frame.
    """
    near, far = gap_ends(seen, start)
    index = np.arange(len(seen))[:, None]
    frame, point = np.nonzero((near != index) & (far >= 0))
    if len(frame) == 0:
        return
    near, far = near[frame, point], far[frame, point]
    share = ((frame - near) / (far - near)).astype(np.float32)
    depth[frame, point] *= np.exp(share * jump[far, point])
    first, last = colors[near, point], colors[far, point]
    colors[frame, point] = first + share[:, None] * (last - first)
