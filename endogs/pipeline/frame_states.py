"""Frames that show no tissue, or hardly any, as the instrument network sees whole frames."""

import numpy as np

from endogs.clip import Clip
from endogs.pipeline.spans import spans
from endogs.priors.instruments.network import InstrumentNetwork

LOOKED_AT = 60
"""Frames at most that are looked at, evenly spaced; each stands for those up to the next."""
SURE = 0.8
"""Probability from which a state is named."""
WORDS = {
    "outside": "out of the body",
    "black": "black",
    "smoke": "smoke or steam",
    "smeared": "a smeared or wiped lens",
}


def frame_states(clip: Clip, network: InstrumentNetwork | None = None) -> str:
    """Which frames look like something other than tissue, in words; empty where none does."""
    network = network or InstrumentNetwork.load()
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), LOOKED_AT)).round().astype(int))
    found = {name: np.zeros(len(clip), bool) for name in WORDS}
    for k, index in enumerate(chosen):
        states = network.look(clip.image(int(index)), ~clip.ignored).states
        name = max(states, key=lambda one: states[one])
        if name in found and states[name] > SURE:
            found[name][index : chosen[k + 1] if k + 1 < len(chosen) else len(clip)] = True
    parts = [f"{WORDS[name]} in {spans(frames)}" for name, frames in found.items() if frames.any()]
    if not parts:
        return ""
    return f"{'; '.join(parts)}, by the look of {len(chosen)} frames; --start and --end leave them out"
