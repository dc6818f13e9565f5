"""Spans of frames as the command line writes them, A:B."""

import re
from itertools import pairwise

from endogs.errors import InputError
from endogs.plain_text import plain

Span = tuple[int, int]
"""First frame, and the one after the last."""


def read_spans(option: str, texts: tuple[str, ...], frames: int) -> list[Span]:
    """Spans of `option` within a clip of `frames` frames, in order; raises InputError for a text that is none of it."""
    spans = []
    for text in texts:
        found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII)
        if found is None:
            raise InputError(f"{option} {plain(text, 40)}: give two frames A:B, counted from 0, B excluded.")
        first, last = int(found[1]), int(found[2])
        if first >= last:
            raise InputError(f"{option} {text}: holds no frame; B must be larger than A, since it is excluded.")
        if last > frames:
            raise InputError(f"{option} {text}: ends beyond the clip of {frames} frames; raise --frames or lower B.")
        spans.append((first, last))
    spans.sort()
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise InputError(f"{option}: its spans overlap at frame {start}; give them apart.")
    return spans
