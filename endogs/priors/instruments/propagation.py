"""What frames say of each other along the flow: evidence spread both ways through a clip."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.motion.flow import Flow, dis_flow, warp

LogOdds = NDArray[np.float32]

MEMORY = 0.45
"""Share of the log odds that comes from the neighbour in time, along the flow."""
SAME = 10.0
"""Grey levels by which a followed surface may change."""
BLOCK, AHEAD = 64, 8
"""Frames that are smoothed together, and how many after them are looked at: MEMORY^8 is .002."""


@dataclass
class SpokenFrame:
    """One frame at the size of the search, and what is known of its instruments."""

    number: int
    image: NDArray[np.uint8]
    """(h, w, 3) RGB."""
    grey: NDArray[np.uint8]
    """(h, w)."""
    own: LogOdds
    """(h, w), what the frame says by itself."""
    to_last: Flow | None = None
    """Flow (h, w, 2) to the frame before; None at the first one, and where frames are too small for flow."""
    to_next: Flow | None = None
    """Flow (h, w, 2) to the frame after."""
    forward: LogOdds | None = field(default=None, repr=False)
    """(h, w), with what comes from the frames before."""
    odds: LogOdds | None = None
    """(h, w), with what the neighbours say: set by `spread_both_ways`."""


def spread_both_ways(frames: Iterable[SpokenFrame]) -> Iterator[SpokenFrame]:
    """The frames, in order, with `odds`: their own and those of the frames before and after, along the flow.

    Evidence from one step away counts MEMORY of what it does at home, from two steps the square of that; where the
    picture along the flow is another one, nothing is carried. BLOCK + AHEAD frames are held at once.
    """
    waiting: list[SpokenFrame] = []
    last: SpokenFrame | None = None
    for frame in frames:
        if last is not None and min(frame.grey.shape) >= 16:
            frame.to_last = dis_flow(frame.grey, last.grey, iterations=0)
            last.to_next = dis_flow(last.grey, frame.grey, iterations=0)
        frame.forward = _carried(frame, last, frame.to_last, last.forward if last is not None else None)
        waiting.append(frame)
        last = frame
        if len(waiting) == BLOCK + AHEAD:
            _look_back(waiting)
            yield from waiting[:BLOCK]
            del waiting[:BLOCK]
    if waiting:
        _look_back(waiting)
        yield from waiting


def _look_back(frames: list[SpokenFrame]) -> None:
    """Set `odds` of frames in order, from what was carried forward to each and what comes back from those after it."""
    after: SpokenFrame | None = None
    backward: LogOdds | None = None
    for frame in reversed(frames):
        backward = _carried(frame, after, frame.to_next, backward)
        after = frame
        assert frame.forward is not None
        # Each way holds the frame itself once; a constant stays what it is.
        odds = (frame.forward + backward - (1 - MEMORY) * frame.own) / (1 + MEMORY)
        frame.odds = odds.astype(np.float32)


def _carried(frame: SpokenFrame, other: SpokenFrame | None, flow: Flow | None, before: LogOdds | None) -> LogOdds:
    """What `frame` and, along `flow`, what was carried to the frame `other` beside it say together (h, w)."""
    if other is None or flow is None or before is None:
        return frame.own
    return with_neighbour(frame.own, frame.grey, before, other.grey, flow)


def with_neighbour(
    own: LogOdds, grey: NDArray[np.uint8], others: LogOdds, other_grey: NDArray[np.uint8], flow: Flow
) -> LogOdds:
    """What a frame says by itself, `own` (h, w), and its neighbour in time, `others`, along the flow to it (h, w, 2).

    Where the grey pictures (h, w) differ along the flow, nothing was followed, and the frame speaks for itself.
    """
    change = cv2.blur(np.abs(warp(other_grey, flow).astype(np.float32) - grey), (5, 5))
    memory = MEMORY * (change < SAME).astype(np.float32)
    return np.asarray((1 - memory) * own + memory * warp(others, flow), np.float32)


def spoken_frames(
    count: int, image: Callable[[int], NDArray[np.uint8]], own: Callable[[int, NDArray[np.uint8]], LogOdds]
) -> Iterator[SpokenFrame]:
    """The frames 0 to `count` - 1: `image(i)` is (h, w, 3) RGB, `own(i, image)` what it says (h, w)."""
    for i in range(count):
        picture = image(i)
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        yield SpokenFrame(i, picture, grey, own(i, picture))
