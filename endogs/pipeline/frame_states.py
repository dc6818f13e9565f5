"""Frames that show no tissue, or hardly any, as the instrument network sees whole frames: named."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.pipeline.spans import spans
from endogs.priors.instruments.network import InstrumentNetwork

LOOKED_AT = 60
"""Frames at most that `inspect` looks at, evenly spaced."""
SURE = 0.8
"""Probability that a frame is in one of the states, from which the likeliest is named: thin smoke looks half like a
smeared lens, and no tissue looks like either."""
WORDS = {
    "outside": "out of the body",
    "black": "black",
    "smoke": "smoke or steam",
    "smeared": "a smeared or wiped lens",
}


def without_tissue(states: dict[str, float]) -> float:
    """The probability, 0 to 1, that a frame shows no clear tissue, of the probabilities of its states."""
    return sum(states.get(one, 0.0) for one in WORDS)


def frame_states(clip: Clip, network: InstrumentNetwork | None = None) -> str:
    """Which frames look like something other than tissue, in words; empty where none does."""
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), LOOKED_AT)).round().astype(int))
    said = in_words(states_of(clip, chosen, network))
    left_out = "reconstruct leaves out black ones, and smoke and the outside where most frames look like tissue"
    return said and f"{said}, by the look of {len(chosen)} frames; {left_out}"


def states_of(
    clip: Clip,
    chosen: NDArray[np.int_],
    network: InstrumentNetwork | None = None,
    progress: Callable[[int, int], None] | None = None,
    looks: dict[int, dict[str, float]] | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """By state other than tissue, the frames (F,) that are in it, from the look of the frames `chosen`, ascending.

    Between two that differ the border is looked for by halving; what lies between two that agree is like them.
    `progress` is told how many of the chosen frames of how many have been looked at. `looks` is given what each
    frame that was looked at looks like: the probability of each state.
    """
    network = network or InstrumentNetwork.load()
    looks = {} if looks is None else looks
    known: dict[int, str] = {}

    def state(index: int) -> str:
        if index not in known:
            states = looks[index] = network.look(clip.image(index), ~clip.ignored).states
            name = max(states, key=lambda one: states[one])
            known[index] = name if name in WORDS and without_tissue(states) > SURE else ""
        return known[index]

    for k, index in enumerate(chosen.tolist(), 1):
        state(index)
        if progress is not None:
            progress(k, len(chosen))
    for a, b in pairwise(chosen.tolist()):
        _halve(a, b, state)
    found = {name: np.zeros(len(clip), bool) for name in WORDS}
    looked_at = sorted(known)
    for k, index in enumerate(looked_at):
        if name := state(index):
            found[name][index : looked_at[k + 1] if k + 1 < len(looked_at) else len(clip)] = True
    return found


def _halve(a: int, b: int, state: Callable[[int], str]) -> None:
    """Looks at frames between `a` and `b` until every change lies between two neighbours."""
    if state(a) != state(b) and b - a > 1:
        middle = (a + b) // 2
        _halve(a, middle, state)
        _halve(middle, b, state)


def in_words(states: dict[str, NDArray[np.bool_]]) -> str:
    """Which frames are in which state, as `states_of` returns it; empty where none is."""
    return "; ".join(f"{WORDS[name]} in {spans(frames)}" for name, frames in states.items() if frames.any())
