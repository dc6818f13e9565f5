"""Frames that show no tissue are left out of a fit: what is learned from smoke or darkness spoils the frames around."""

import numpy as np

from endogs.clip import Clip
from endogs.clip.splits import without
from endogs.errors import InputError
from endogs.pipeline.frame_states import in_words, states_of, without_tissue
from endogs.pipeline.plan import Plan
from endogs.pipeline.prepared_fit import say
from endogs.priors.instruments.network import InstrumentNetwork
from endogs.progress import Progress

CERTAIN, DOUBTED = ("black",), ("smoke", "outside")
"""States whose frames are left out: whatever their number, and while they are few. A smeared lens still shows tissue,
and looks much like tissue out of focus."""
MOST_LEFT_OUT = 0.5
"""Part of the training frames that may look rather like something else than tissue, a smeared lens included: a video
with more of them is unlike what the network knows, and which of its frames it is sure of says nothing."""
RATHER = 0.5
"""Probability of that."""


def without_tissueless(clip: Clip, plan: Plan, network: InstrumentNetwork | None = None) -> tuple[Clip, Plan]:
    """The clip and its plan without the frames that look like no tissue, which are said on standard error.

    Every frame is looked at. With --every-frame all stay, and smoke and the outside of the body stay where more than
    `MOST_LEFT_OUT` of the training frames look rather like anything but tissue. Raises InputError where darkness leaves
    no two frames to learn from.
    """
    if plan.options.every_frame:
        return clip, plan
    looks: dict[int, dict[str, float]] = {}
    with Progress("frame", bar="frames without tissue") as progress:
        found = states_of(clip, np.arange(len(clip)), network, progress, looks=looks)
    states = {name: found[name] for name in (*CERTAIN, *DOUBTED)}
    split = without(plan.split, [i for i, look in looks.items() if without_tissue(look) > RATHER])
    if len(split.train) < max(2, (1 - MOST_LEFT_OUT) * len(plan.split.train)):
        doubted = {name: states[name] for name in DOUBTED}
        if words := in_words(doubted):
            doubt = "as their look may mislead in this kind of video; --start and --end choose another part"
            say([f"many frames do not look like tissue ({words}); they are fitted, {doubt}"])
        states = {name: states[name] for name in CERTAIN}
    frames = tuple(int(i) for i in np.flatnonzero(np.any(list(states.values()), axis=0)))
    if not frames:
        return clip, plan
    split = without(plan.split, frames)
    if len(split.train) < min(2, len(plan.split.train)):
        raise InputError(
            f"{clip.source}: {in_words(states)}, which leaves {len(split.train)} to learn from; choose another part "
            "with --start and --end, or fit them all the same with --every-frame"
        )
    count = f"{len(frames)} frame{'s' * (len(frames) != 1)}"
    say([f"no tissue: {in_words(states)}; {count} neither fitted nor judged; --every-frame takes them too"])
    return clip.with_tissueless(frames), plan.with_split(split)
