"""How a clip is cut into segments, each of which fits into memory, and which share frames with their neighbours."""

import math
from dataclasses import dataclass, replace

from endogs.clip.splits import Split
from endogs.fit.config import FitConfig
from endogs.fit.memory import COMFORTABLE, fit_bytes
from endogs.scene.chain import SegmentFrames

OVERLAP = 8
"""Frames that two segments share: enough for a held-out frame and its neighbours, and to go over without a seam."""
WHOLE_FRAMES = 240
"""Clips up to so many frames stay in one piece, where the memory is there: all of a short clip is fitted at once."""
SEGMENT_BYTES = 2.4e9
"""Peak memory that a segment of a longer clip is made for."""
FEWEST_FRAMES = 3 * OVERLAP
"""Frames of a segment, at least, however large they are."""


@dataclass(frozen=True)
class Pieces:
    """A clip in one piece, or in segments."""

    segments: tuple[SegmentFrames, ...]
    """From the first frame to the last; one where the clip is fitted in one piece."""

    @property
    def one(self) -> bool:
        """Whether the clip stays in one piece, and its scene is no chain."""
        return len(self.segments) == 1

    @property
    def longest(self) -> int:
        """Frames of the longest segment."""
        return max(len(segment) for segment in self.segments)


def cut(frames: int, most: int) -> Pieces:
    """So many frames, at least one, in as few segments of up to `most` > OVERLAP as do, of nearly the same length."""
    if frames <= most:
        return Pieces((SegmentFrames(0, frames - 1),))
    count = math.ceil((frames - OVERLAP) / (most - OVERLAP))
    starts = [round(k * (frames - OVERLAP) / count) for k in range(count)]
    ends = [start + OVERLAP - 1 for start in starts[1:]] + [frames - 1]
    return Pieces(tuple(SegmentFrames(a, b) for a, b in zip(starts, ends, strict=True)))


def pieces_of(frames: int, width: int, height: int, config: FitConfig, room: float, asked: int | None = None) -> Pieces:
    """How a clip of this size is fitted where there is `room`, bytes.

    `asked` are the frames of a segment that somebody wants, at least FEWEST_FRAMES. Otherwise a clip of up to
    WHOLE_FRAMES stays whole where that is comfortable, and longer ones are cut so that a segment needs SEGMENT_BYTES.
    """
    if asked is not None:
        return cut(frames, max(asked, FEWEST_FRAMES))
    if frames <= WHOLE_FRAMES and fit_bytes(frames, width, height, config) <= COMFORTABLE * room:
        return cut(frames, frames)
    wanted = min(SEGMENT_BYTES, COMFORTABLE * room)
    nothing = fit_bytes(0, width, height, config)
    each = fit_bytes(1, width, height, config) - nothing
    return cut(frames, max(FEWEST_FRAMES, int((wanted - nothing) / each)))


def begun_where_seen(pieces: Pieces, train: list[int]) -> Pieces:
    """The pieces, of which the first reaches to the first that has any of the frames `train` to learn from.

    A clip may begin in darkness or out of the body; a segment that rests there needs one before it.
    """
    first = next((k for k, one in enumerate(pieces.segments) if any(i in one.frames for i in train)), 0)
    return Pieces((SegmentFrames(0, pieces.segments[first].last), *pieces.segments[first + 1 :]))


def split_of(split: Split, segment: SegmentFrames) -> Split:
    """The part of a clip's split that lies in a segment, by the clip's indices."""
    inside = set(segment.frames)
    return replace(split, train=[i for i in split.train if i in inside], test=[i for i in split.test if i in inside])


def config_of(config: FitConfig, segment: SegmentFrames, frames: int) -> FitConfig:
    """The numbers of a clip's fit for a segment of it: its share of the steps."""
    return config.with_iterations(math.ceil(config.iterations * len(segment) / frames))
