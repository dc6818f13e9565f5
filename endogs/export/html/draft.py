"""A whole page in memory, as fine as it has to be, and as small as it may be."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from endogs.errors import InputError
from endogs.export.html.page import assemble
from endogs.export.html.payload import pack_scene, unpack_scene
from endogs.export.html.showable import LEAST_SHARE, Showable, fewest, fidelity
from endogs.scene import Scene

FIDELITY = 56.0
"""PSNR of the coded scene against the scene itself, dB, that the export aims at: it costs a scene of 38 dB 0.07 dB."""
FINEST = 0.2
"""The smallest factor by which all steps shrink to get there."""
TRIALS = 6
"""Pages that are made at most to find one that is small enough."""
CLOSE = 0.98
"""Share of the room that is aimed at: how well Gaussians are packed depends on which they are."""


@dataclass(frozen=True)
class Draft:
    """A page that is not written yet."""

    data: bytes
    """Its bytes."""
    scene: Scene
    """What it shows, before coding."""
    fidelity: float
    """PSNR in dB of the coded scene against `scene`."""
    without: int
    """Bytes of a page with a single one of its Gaussians."""


def draft(made: Showable, title: str, most: int) -> Draft:
    """The page of up to `most` Gaussians. Raises InputError as `Showable.reduced` does."""
    reduced, weights = made.reduced(most)
    about = {"title": title, "original_count": made.original, **made.overview(reduced)}
    if len(reduced) < len(made.weights):
        about["note"] = (
            f"The {len(reduced):,} Gaussians that contribute most of {made.original:,} are shown; images are softer "
            "than the scene's."
        )
    trial = fidelity(reduced, unpack_scene(pack_scene(reduced, weights, about, level=1))[0])
    fineness = float(np.clip(10 ** ((trial - FIDELITY) / 20), FINEST, 1.0))
    payload = pack_scene(reduced, weights, about, fineness)
    coded = fidelity(reduced, unpack_scene(payload)[0])
    alone = pack_scene(reduced.select(torch.tensor([int(weights.argmax())])), weights.max(keepdims=True), about)
    without = len(assemble(title, alone).encode("utf-8"))
    return Draft(assemble(title, payload).encode("utf-8"), reduced, coded, without)


def within_size(made: Showable, title: str, most: int, megabytes: float) -> Draft:
    """The page of as many Gaussians, up to `most`, as `megabytes` hold; each trial is measured.

    Raises InputError, naming a size that works, where those left would show too little.
    """
    limit = megabytes * 1e6
    page = draft(made, title, most)
    least = fewest(made.weights, LEAST_SHARE)
    for _ in range(TRIALS):
        if len(page.data) <= limit:
            return page
        count = len(page.scene)
        each = max(len(page.data) - page.without, 1) / count
        fitting = min(int(CLOSE * (limit - page.without) / each), count - 1)
        if fitting < least:
            needed = math.ceil(10 * 1.15 * (page.without + each * least) / 1e6) / 10
            raise InputError(
                f"a page of {megabytes:g} MB holds {max(fitting, 0):,} of {len(made.weights):,} Gaussians, which add "
                f"less than {100 * LEAST_SHARE:.0f} % of what is seen: give --megabytes {needed:g}, or a shorter part "
                "by --start and --end."
            )
        page = draft(made, title, fitting)
    raise InputError(f"no page of {megabytes:g} MB was found in {TRIALS} trials: give a larger --megabytes.")
