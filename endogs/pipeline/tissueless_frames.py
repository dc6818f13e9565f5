"""Frames that show no tissue are left out of a fit: what is learned from smoke or darkness spoils the frames around."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.clip.splits import without
from endogs.pipeline.frame_states import in_words, states_of
from endogs.pipeline.plan import Plan
from endogs.pipeline.prepared_fit import say
from endogs.priors.instruments.network import InstrumentNetwork

LOOK_SECONDS = 0.2
"""Time between frames that are looked at; what is shorter may be missed."""
LEFT_OUT = "black", "smoke", "outside"
"""States whose frames are left out. A smeared lens still shows tissue, and looks much like tissue out of focus."""
MOST_LEFT_OUT = 0.5
"""Part of the training frames that may be left out: a video with more of them is unlike what the network knows."""


def without_tissueless(clip: Clip, plan: Plan, network: InstrumentNetwork | None = None) -> tuple[Clip, Plan]:
    """The clip and its plan without the frames that look like no tissue, which are said on standard error.

    With --every-frame they stay, and where more than `MOST_LEFT_OUT` of the training frames are of that kind.
    """
    if plan.options.every_frame:
        return clip, plan
    found = states_of(clip, looks(clip.times), network)
    states = {name: frames for name, frames in found.items() if name in LEFT_OUT}
    frames = tuple(int(i) for i in np.flatnonzero(np.any(list(states.values()), axis=0)))
    if not frames:
        return clip, plan
    split = without(plan.split, frames)
    if len(split.train) < max(2, (1 - MOST_LEFT_OUT) * len(plan.split.train)):
        if len(split.train) < 2:
            say([f"no tissue: {in_words(states)}; all frames are fitted, as too few would be left"])
            return clip, plan
        doubt = "as their look may mislead in this kind of video; --start and --end choose another part"
        say([f"most frames do not look like tissue ({in_words(states)}); all are fitted, {doubt}"])
        return clip, plan
    count = f"{len(frames)} frame{'s' * (len(frames) != 1)}"
    say([f"no tissue: {in_words(states)}; {count} neither fitted nor judged; --every-frame takes them too"])
    return clip.with_tissueless(frames), replace(plan, split=split)


def looks(times: NDArray[np.float64]) -> NDArray[np.int_]:
    """Indices of the frames at `times` (F,), seconds, ascending, that are looked at: the first, the last, and those
    between that come `LOOK_SECONDS` after the one before."""
    chosen = [0]
    for index in range(1, len(times)):
        if times[index] - times[chosen[-1]] >= LOOK_SECONDS - 1e-6 or index == len(times) - 1:
            chosen.append(index)
    return np.array(chosen)
