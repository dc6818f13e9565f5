"""What a chain of segments shows in a part of its time: which Gaussians, how much each adds, in which colours."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.export.html.importance import ever_visible
from endogs.export.html.part_of_time import part_of_time
from endogs.export.segment_colors import gain_to
from endogs.render.blending import blending_weights
from endogs.scene import Knots, Scene
from endogs.scene.appearance import Exposure
from endogs.scene.appearance.bake import color_knots
from endogs.scene.chain import SceneChain, identity_of, shared_rows

LOOKS = 4
"""Frames of each segment that are looked at for what its Gaussians add."""
FADING = 2
"""Frames per knot where segments go over into each other: what fades needs knots of its own."""


@dataclass(frozen=True)
class Look:
    """What Gaussians add to the picture of a frame."""

    frame: int
    """Of the clip."""
    rows: NDArray[np.int64]
    """(M,) which of the part's identities are there."""
    added: NDArray[np.float32]
    """(M,) their blending weights, in pixels."""


@dataclass(frozen=True)
class ChainPart:
    """A chain in a range of its frames, evenly exposed."""

    chain: SceneChain
    """With the Gaussians that can be seen in the range, in colours that fit each other from segment to segment."""
    frames: range
    """Of the clip."""
    numbers: range
    """Of the segments that the range shows."""
    held: int
    """Gaussians of these segments, seen or not."""
    identity: NDArray[np.int64]
    """(N,) ascending: by what the visible ones are known."""
    weights: NDArray[np.float32]
    """(N,) blending weight in an image, in pixels, averaged over the frames that were looked at."""
    segment_weights: dict[int, NDArray[np.float32]]
    """Of each segment the same of its rows, summed over its own frames."""
    knots: Knots
    """Over the range: those of the segments, each where it shows most."""
    looked: tuple["Look", ...]
    """Frames that were looked at, ascending."""


def numbers_shown(chain: SceneChain, frames: range) -> range:
    """Numbers of the segments that some of the frames show."""
    places = [chain.at(float(chain.times[frame])) for frame in (frames[0], frames[-1])]
    return range(places[0][0], places[1][0] + (places[1][1] > 0) + 1)


def only_segment(chain: SceneChain, frames: range) -> Scene | None:
    """The segment that alone is shown in these frames, and of it what they need; None where there are more."""
    numbers = numbers_shown(chain, frames)
    if len(numbers) > 1:
        return None
    first = chain.segments[numbers[0]].first
    return part_of_time(chain.segment(numbers[0]), range(frames.start - first, frames.stop - first))


def seam_frames(chain: SceneChain, frames: range) -> list[int]:
    """Those frames in the middle of overlaps."""
    middles = [(after.first + before.last) // 2 for before, after in pairwise(chain.segments)]
    return [frame for frame in middles if frame in frames]


def part_of_chain(chain: SceneChain, frames: range) -> ChainPart:
    """Looks at a chain in a range of its frames, with no more than two segments in memory. Raises InputError."""
    numbers = numbers_shown(chain, frames)
    gains, known, breakpoints, before = [np.ones(3)], [], [], None
    checked = replace(chain, _loaded=OrderedDict())
    for number in numbers:
        segment = checked.segment(number)
        if before is not None:
            gains.append(gains[-1] * gain_to(before, segment))
        known.append(identity_of(segment).numpy())
        breakpoints.append(_breakpoints(segment))
        before = segment
    del before, segment, checked
    held = len(np.unique(np.concatenate(known)))
    even = np.exp(np.log(gains) - np.log(gains).mean(0))
    aligned = replace(
        chain, read=lambda number: _seen(chain, number, frames, even[number - numbers.start]), _loaded=OrderedDict()
    )
    seen = [identity_of(aligned.segment(number)).numpy() for number in numbers]
    own = {number: np.zeros(len(one), np.float32) for number, one in zip(numbers, seen, strict=True)}
    identity = np.unique(np.concatenate(seen))
    knots = _merged(chain, numbers, frames, breakpoints)
    looked, weights = _looked_at(aligned, frames, identity, own), np.zeros(len(identity), np.float32)
    for look in looked:
        weights[look.rows] += look.added / len(looked)
    return ChainPart(aligned, frames, numbers, held, identity, weights, own, knots, tuple(looked))


def _seen(chain: SceneChain, number: int, frames: range, gain: NDArray[np.float64]) -> Scene:
    """A segment without changes of exposure, its colours times `gain` (3,), without what these frames never show."""
    segment = chain.read(number).steady()
    own = chain.segments[number]
    shared = range(max(frames.start, own.first) - own.first, min(frames.stop, own.last + 1) - own.first)
    segment = segment.select(ever_visible(part_of_time(segment, shared)))
    if (gain == 1).all():
        return segment
    value = torch.from_numpy(np.stack([np.log(gain), np.zeros(3)])[None].astype(np.float32))
    return replace(segment, appearance=replace(segment.appearance, exposure=Exposure(segment.times[:1], value)))


def _breakpoints(segment: Scene) -> NDArray[np.float64]:
    """Knots of a segment: its splines' own; where it rests those of its colours, or its ends; or else all frames."""
    if segment.deformation.spline_knots is not None:
        return np.array(segment.deformation.spline_knots.breakpoints)
    if segment.deformation.tensors():
        return np.unique(segment.times)
    colors = color_knots(segment)
    return np.unique(segment.times[[0, -1]]) if colors is None else np.array(colors.breakpoints)


def _merged(chain: SceneChain, numbers: range, frames: range, breakpoints: list[NDArray[np.float64]]) -> Knots:
    """Knots over the range: those of the segments, and every FADING frames, or less, where two overlap; nowhere
    closer than in one of these."""
    times = chain.times
    first, last = float(times[frames[0]]), float(times[frames[-1]])
    if first == last:
        return Knots((first, first + 1.0))
    wanted, closest, begin = [], min(float(np.diff(ends).min(initial=np.inf)) for ends in breakpoints), -np.inf
    for number, ends in zip(numbers, breakpoints, strict=True):
        until, fading = np.inf, np.zeros(0)
        if number + 1 < len(chain.segments):
            begins, ends_at = chain.segments[number + 1].first, chain.segments[number].last
            step = max(1, min(FADING, (ends_at - begins + 1) // 4))
            around = range(begins - step, ends_at + 2 * step, step)
            fading = times[[frame for frame in around if 0 <= frame < len(times)]]
            until = fading[0]
            closest = min(closest, float(np.diff(fading).min(initial=np.inf)))
        wanted += [*ends[(ends > begin) & (ends < until)], *fading]
        begin = fading[-1] if len(fading) else until
    found = [first]
    for time in wanted:
        if time - found[-1] >= 0.99 * closest and last - time >= 0.99 * closest:
            found.append(float(time))
    return Knots((*found, last))


def _looked_at(
    chain: SceneChain, frames: range, identity: NDArray[np.int64], own: dict[int, NDArray[np.float32]]
) -> list[Look]:
    """What each identity (N,) adds to some frames; the same is added to each segment's `own` rows."""
    looked = []
    for frame in np.unique(np.linspace(frames[0], frames[-1], LOOKS * max(2, len(own))).round().astype(int)):
        time, camera = float(chain.times[frame]), chain.camera(int(frame)).to("cpu")
        added = blending_weights(chain.packed_at(time).cpu(), camera)[:, 1].numpy()
        shown = chain.identity_at(time)
        number, share = chain.at(time)
        for part in range(number, number + (share > 0) + 1):
            rows, others = shared_rows(identity_of(chain.segment(part)), shown)
            own[part][rows] += added[others]
        looked.append(Look(int(frame), rows_of(identity, shown), added))
    return looked


def rows_of(identity: NDArray[np.int64], shown: Tensor) -> NDArray[np.int64]:
    """Rows (M,) of `identity` (N,), ascending, where the numbers `shown` (M,), all of them among it, stand."""
    return np.searchsorted(identity, shown.numpy())
