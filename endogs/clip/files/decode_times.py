"""Timestamps of AVI files, which say when frames are decoded and not when they are shown."""

from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import Any

LOOKS = 16
"""Frames whose timestamps are looked at before it is decided which ones to use; they hold memory."""


def with_decode_times(frames: Iterator[Any]) -> Iterator[tuple[int | None, Any]]:
    """(timestamp, frame) of the `av.VideoFrame`s of an AVI: `pts` where they increase, and otherwise `dts`.

    Of a stream with B-frames the container's times belong to packets, and what the decoder makes of them as `pts` jumps
    to and fro; frames come in the order in which they are shown, and their `dts` counts up. FFmpeg's own
    best_effort_timestamp (libavcodec/decode.c, guess_correct_pts) decides the same, but frame by frame.
    """
    first = list(islice(frames, LOOKS))
    stamps = [frame.pts for frame in first]
    increase = None not in stamps and all(one < two for one, two in pairwise(stamps))
    for frame in chain(first, frames):
        yield frame.pts if increase else frame.dts, frame
