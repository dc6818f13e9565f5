"""What all frames together say of pixels beside and behind instruments, where none says it by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.fit.missed_rim import missed_rim, rings_around
from endogs.fit.view import View
from endogs.priors.tissue import PackedMask
from endogs.seeding.coarse_frames import CoarseFrames
from endogs.seeding.continued_colors import continued_colors
from endogs.seeding.observations import Observations
from endogs.seeding.remembered_tissue import Verdict, verdicts

Mask = NDArray[np.bool_]


def weighed(views: Sequence[View], observations: Observations, sure: Sequence[Mask]) -> list[View]:
    """The views of training frames with other colour weights where found masks leave open what a pixel shows.

    Full weight where it agrees with what other frames show of its tissue, none where it contradicts them, or where they
    do not know it and the masks turn out too narrow by so much. `sure` (H, W) of each frame is True where it surely
    shows tissue. Frames whose masks leave nothing open stay as they are.
    """
    told = [(PackedMask.of(v.tissue), PackedMask.of(v.other)) for v in verdicts(observations, sure)]
    known = (Verdict(tissue.unpacked(), other.unpacked()) for tissue, other in told)
    missed = _missed(views, observations, sure, known)
    found = []
    for view, frame, (tissue, other) in zip(views, observations.frames, told, strict=True):
        weight = view.weight.cpu().numpy()
        shown = frame.tissue_mask if frame.doubtful is None else frame.tissue_mask | frame.doubtful
        off = other.unpacked()
        if missed and frame.doubtful is not None:
            rings = rings_around(_instrument(view), frame.doubtful)
            off |= (rings > 0) & (rings <= missed)
        weight = np.where(tissue.unpacked() & shown, np.uint8(255), np.where(off, np.uint8(0), weight))
        found.append(replace(view, weight=_on(view, weight)))
    return found


def _missed(views: Sequence[View], observations: Observations, sure: Sequence[Mask], known: Iterable[Verdict]) -> int:
    """By how many pixels the masks are too narrow, from what is `known` of each frame, or of smaller ones."""
    small = CoarseFrames(observations)
    if small.pitch > 1:
        known = verdicts(small, [small.coarse(mask, least=1) for mask in sure])
    rings = (
        rings_around(small.coarse(_instrument(view)), small.coarse(frame.doubtful))
        if frame.doubtful is not None
        else np.zeros(small.size, np.uint8)
        for view, frame in zip(views, observations.frames, strict=True)
    )
    return small.pitch * missed_rim(zip(rings, known, strict=True))


def _instrument(view: View) -> Mask:
    return np.zeros(view.weight.shape, bool) if view.occluded is None else view.occluded.cpu().numpy() > 0


def tinted(views: Sequence[View], observations: Observations, hidden: Mask, share: float) -> list[View]:
    """The views of training frames that ask, with the weight `share` (0..1), for continued colours at `hidden` (H, W).

    Where no frame shows any tissue, colours would otherwise be those of the instrument's rim: smoothness alone carries
    them in from there. What is continued begins away from the instruments.
    """
    found = []
    for k, view in enumerate(views):
        around = continued_colors(observations.frames[k].image, observations.trusted(k))
        if around is None:
            found.append(view)
            continue
        image = np.where(hidden[..., None], around, observations.frames[k].image)
        weight = np.where(hidden, np.uint8(round(255 * share)), view.weight.cpu().numpy())
        found.append(replace(view, image=_on(view, image), weight=_on(view, weight)))
    return found


def _on(view: View, values: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(view.weight.device)
