"""Which frames of the input are read: --start, --end, --stride."""

import math
from collections.abc import Iterable

from endogs.clip.config import ClipOptions
from endogs.errors import InputError


class Selection:
    """Decides frame by frame, in order of time, whether a frame is kept."""

    def __init__(self, options: ClipOptions) -> None:
        """Raises InputError for a stride below 1, a negative start, or an end before the start."""
        self.start = 0.0 if options.start is None else options.start
        self.end = float("inf") if options.end is None else options.end
        self.stride = options.stride
        self._seen = 0
        if self.end < self.start:
            raise InputError(
                f"--end {self.end:g} comes before --start {self.start:g}: no frame is left; give an --end after "
                f"{self.start:g}."
            )

    def keeps(self, time: float) -> bool:
        """Whether the next frame, at `time` seconds since the first, is kept; call once per frame, in order."""
        # Timestamps are multiples of 1/90000 s or so; half a microsecond absorbs their rounding to decimals.
        if not self.start - 5e-7 <= time <= self.end + 5e-7:
            return False
        self._seen += 1
        return (self._seen - 1) % self.stride == 0

    def is_past(self, time: float) -> bool:
        """Whether no later frame can be kept."""
        return time > self.end + 5e-7

    def indices(self, times: Iterable[float], source: object) -> list[int]:
        """Indices of the kept times; InputError naming `source` when none is."""
        times = list(times)
        kept = [index for index, time in enumerate(times) if self.keeps(time)]
        if not kept:
            raise self.nothing_left(source, times[-1])
        return kept

    def nothing_left(self, source: object, last: float) -> InputError:
        """The error of a clip whose last frame, at `last` seconds, comes before the start."""
        where = f"at or after --start {self.start:g} s"
        if self.end < float("inf"):
            where = f"between --start {self.start:g} s and --end {self.end:g} s"
        # Rounded down, so that --start with this number keeps that frame.
        at = math.floor(1000 * last + 1e-3) / 1000
        return InputError(f"{source}: no frame {where}; the clip's last frame is at {at:.3f} s.")
