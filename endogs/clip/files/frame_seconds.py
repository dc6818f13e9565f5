"""Seconds of frames whose `time` a data set's file states, each in its own way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.frame_folders import DEFAULT_FPS

SHARE_SLACK = 1e-3
"""How far times may miss 0 and 1 and still be shares of the clip."""


def frame_seconds(stated: list[Any], fps: float | None, notes: list[str]) -> NDArray[np.float64]:
    """(F,) seconds since the first of the frames, which are in order; strictly increasing.

    `stated` is each frame's `time`, or None. D-NeRF's run from 0 to 1 over the clip and are spread over as many seconds
    as its frames take at `fps`, or DEFAULT_FPS; whole numbers that mostly count up by 1 are frame numbers; all others
    are seconds, unless `fps` is given. Without a time of its own for every frame, frames are 1 / fps apart. Notes say
    what was assumed.
    """
    rate = fps or DEFAULT_FPS
    even = np.arange(len(stated)) / rate
    numbers = [time for time in stated if isinstance(time, int | float) and not isinstance(time, bool)]
    times = np.array(numbers, np.float64)
    if len(times) != len(stated) or len(times) < 2 or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        if numbers:
            notes.append(
                f"{len(numbers)} of {len(stated)} frames have a time, {len(set(numbers))} of them different: times are "
                "not used, as every frame needs one of its own."
            )
        if fps is None:
            notes.append(f"the frame rate is unknown and taken as {DEFAULT_FPS:g} per second; --fps sets it.")
        return even
    is_share = abs(times[0]) < SHARE_SLACK and abs(times[-1] - 1) < SHARE_SLACK
    if is_share:
        how = "--fps sets it" if fps is None else "as --fps says"
        notes.append(
            f"time runs from 0 to 1 and is taken for the share of a clip of {len(times)} frames at {rate:g} per "
            f"second: {even[-1]:.3f} s; {how}."
        )
        return (times - times[0]) / (times[-1] - times[0]) * even[-1]
    if (times == np.round(times)).all() and np.median(np.diff(times)) == 1:
        notes.append(f"times count 1 from frame to frame and are taken for frame numbers at {rate:g} per second.")
        return (times - times[0]) / rate
    if fps is not None:
        return even
    notes.append(f"times are those of the frames' entries, taken for seconds: {times[-1] - times[0]:.3f} s in all.")
    return times - times[0]
