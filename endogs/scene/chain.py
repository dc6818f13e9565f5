"""A scene of any length: a chain of segments in files, of which no more than two are in memory.

Each segment is a scene of its own for some frames of the clip, at the clip's own times. Neighbours share frames, and
Gaussians that go on from one into the next keep their `identity`. Where two segments overlap, their pictures are mixed
(`drawing.py`), so that no seam is seen. As rows, what both know goes from the one's place and look to the other's, and
what only one knows fades: tracks and measurements go through without a jump, but they draw less well than either's.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.errors import InputError
from endogs.gaussians import CHANNELS, MEANS, OPACITY, QUATS, Gaussians
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.scene import Scene

LEAST_SHARE = 1e-4
"""Of the opacity of what fades in or out, at the ends of an overlap: a logit has no zero."""


@dataclass(frozen=True)
class SegmentFrames:
    """Which frames of a clip a segment was fitted to."""

    first: int
    """Index of its first frame."""
    last: int
    """Index of its last frame, which may be the next segment's too."""

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def frames(self) -> range:
        """All of its frames."""
        return range(self.first, self.last + 1)


@dataclass
class SceneChain(Scene):
    """A scene whose Gaussians at a time are those of the segment there, or of two; their number changes over time.

    `base` is empty: what needs canonical rows asks `part_at` for a segment.
    """

    in_memory: ClassVar[int] = 2
    """Segments that are kept."""
    segments: tuple[SegmentFrames, ...] = ()
    """Ascending and overlapping by at least a frame, from the clip's first frame to its last."""
    read: Callable[[int], Scene] = field(default=lambda number: _nothing(number), compare=False)
    """Loads a segment. Raises InputError."""
    gaussians: int = 0
    """All that there are over time, each counted once."""
    on: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where segments are put."""
    _loaded: OrderedDict[int, Scene] = field(default_factory=OrderedDict, compare=False, repr=False)

    @staticmethod
    def of(
        about: Scene, segments: tuple[SegmentFrames, ...], read: Callable[[int], Scene], gaussians: int
    ) -> "SceneChain":
        """The chain of the frames, cameras, masks and origin of `about`. Raises ValueError where none covers them."""
        check_segments(segments, len(about.times))
        return SceneChain(
            torch.zeros(0, CHANNELS),
            StaticDeformation(),
            about.times,
            about.K,
            about.world_to_camera,
            about.width,
            about.height,
            about.units,
            about.metadata,
            origin=about.origin,
            masks=about.masks,
            file=about.file,
            segments=segments,
            read=read,
            gaussians=gaussians,
        )

    def __len__(self) -> int:
        """Number of Gaussians over all of the clip."""
        return self.gaussians

    @property
    def device(self) -> torch.device:
        """Where segments are put."""
        return self.on

    def segment(self, number: int) -> Scene:
        """A segment as a scene of its own. Raises InputError where its file is not as it was written."""
        found = self._loaded.get(number)
        if found is None:
            while len(self._loaded) >= self.in_memory:
                self._loaded.popitem(last=False)
            found = self.read(number).to(self.on)
            self._check(number, found)
            self._loaded[number] = found
        self._loaded.move_to_end(number)
        return self._loaded[number]

    def at(self, time: float) -> tuple[int, float]:
        """Number of the segment at `time`, seconds, and how far it has gone over into the next, in [0, 1)."""
        number = 0
        for k, segment in enumerate(self.segments):
            if time >= self.times[segment.first]:
                number = k
        if number == 0:
            return 0, 0.0
        before = self.segments[number - 1]
        begin, end = float(self.times[self.segments[number].first]), float(self.times[before.last])
        if time >= end or end <= begin:
            return number, 0.0
        share = (time - begin) / (end - begin)
        return number - 1, share * share * (3 - 2 * share)

    def part_at(self, time: float) -> Scene:
        """The segment that shows most at `time`, seconds."""
        number, share = self.at(time)
        return self.segment(number + (share >= 0.5))

    def parts_at(self, time: float) -> tuple[tuple[Scene, float], ...]:
        """The segment at `time`, seconds, or the two of an overlap, and their shares of the picture."""
        number, share = self.at(time)
        here = self.segment(number)
        return ((here, 1.0),) if share == 0 else ((here, 1 - share), (self.segment(number + 1), share))

    def gaussians_at(self, time: float, camera: Camera | None = None) -> Gaussians:
        """Those of `part_at`, in its colours, with unit quaternions."""
        return self.part_at(time).gaussians_at(time, camera)

    @torch.no_grad()
    def packed_at(self, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds, before their appearance; N is that of this time."""
        return self._blended(time, lambda segment: segment.packed_at(time))

    @torch.no_grad()
    def shown_at(self, time: float, camera: Camera | None = None) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds, in the colours that `camera` shows."""
        return self._blended(time, lambda segment: segment.shown_at(time, camera))

    @torch.no_grad()
    def moved_since(self, time: float, since: float) -> tuple[Tensor, Tensor]:
        """The packed Gaussians (N, 14) of the segment at `time`, and how far each has moved (N, 3) since another time.

        What the segment of that other time does not have has moved since this segment's time nearest to it.
        """
        here, there = self.part_at(time), self.part_at(since)
        now = here.packed_at(time)
        nearest = min(max(since, float(here.times[0])), float(here.times[-1]))
        before = here.packed_at(nearest)[:, MEANS]
        if there is not here:
            at_here, at_there = shared_rows(identity_of(here), identity_of(there))
            before[at_here] = there.packed_at(since)[at_there, MEANS]
        return now, now[:, MEANS] - before

    def mapped(self, change: Callable[[Scene], Scene]) -> "SceneChain":
        """The chain of segments that were changed when they were read, in all but their frames and rows."""
        return replace(self, read=lambda number: change(self.read(number)), _loaded=OrderedDict())

    def identity_at(self, time: float) -> Tensor:
        """(N,) by what the rows of `packed_at` and `shown_at` are known."""
        number, share = self.at(time)
        here = identity_of(self.segment(number))
        if share == 0:
            return here
        there = identity_of(self.segment(number + 1))
        return torch.cat([here, there[~torch.isin(there, here)]])

    def _blended(self, time: float, rows: Callable[[Scene], Tensor]) -> Tensor:
        parts = self.parts_at(time)
        if len(parts) == 1:
            return rows(parts[0][0])
        (here, _), (there, share) = parts
        return faded(rows(here), identity_of(here), rows(there), identity_of(there), share)

    def to(self, device: torch.device | str) -> "SceneChain":
        """The same chain, whose segments go to another device as they are read."""
        return replace(self, on=torch.device(device), _loaded=OrderedDict())

    def steady(self) -> "SceneChain":
        """The chain without the clip's changes of exposure."""
        return self.mapped(Scene.steady)

    def select(self, keep: Tensor) -> Scene:
        """A chain has no rows that hold at all times: raises ValueError."""
        raise ValueError("a chain has no rows of its own: select from part_at(time)")

    def _check(self, number: int, found: Scene) -> None:
        """Raises InputError unless a segment is of these frames."""
        frames = self.segments[number]
        times = self.times[frames.first : frames.last + 1]
        fits = len(found.times) == len(times) and np.allclose(found.times, times, rtol=0, atol=1e-6)
        fits = fits and (found.width, found.height, found.units) == (self.width, self.height, self.units)
        if not fits or found.identity is None:
            raise InputError(
                f"{found.called}: not the segment of frames {frames.first} to {frames.last} that its scene names; "
                "copy the whole folder of the scene again, or fit it again"
            )


def check_segments(segments: tuple[SegmentFrames, ...], frames: int) -> None:
    """Raises ValueError unless the segments follow each other, overlap, and cover all of so many frames."""
    if not segments or segments[0].first != 0 or segments[-1].last != frames - 1:
        raise ValueError(f"its segments do not cover its {frames} frames")
    for before, after in pairwise(segments):
        if not before.first < after.first <= before.last < after.last:
            raise ValueError("its segments do not follow and overlap each other")


def identity_of(segment: Scene) -> Tensor:
    """(N,) the numbers by which a segment's Gaussians are known in others."""
    assert segment.identity is not None
    return segment.identity


def faded(here: Tensor, here_identity: Tensor, there: Tensor, there_identity: Tensor, share: float) -> Tensor:
    """Gaussians (N, 14) between two sets (A, 14) and (B, 14), `share` in [0, 1] of the way from `here` to `there`.

    Those with the same number, of (A,) and (B,), go from one place and look to the other in straight lines; the opacity
    of the others goes down, or up. The order is that of `here`, then what only `there` has.
    """
    at_here, at_there = shared_rows(here_identity, there_identity)
    at_here, at_there = at_here.to(here.device), at_there.to(here.device)
    rows = here.clone()
    other = there[at_there].clone()
    opposite = (rows[at_here, QUATS] * other[:, QUATS]).sum(1, keepdim=True) < 0
    other[:, QUATS] = torch.where(opposite, -other[:, QUATS], other[:, QUATS])
    alone_here = torch.ones(len(here), dtype=torch.bool, device=here.device)
    alone_here[at_here] = False
    alone_there = torch.ones(len(there), dtype=torch.bool, device=here.device)
    alone_there[at_there] = False
    rows[at_here] = torch.lerp(rows[at_here], other, share)
    rows[alone_here, OPACITY] = _fainter(rows[alone_here, OPACITY], 1 - share)
    more = there[alone_there].clone()
    more[:, OPACITY] = _fainter(more[:, OPACITY], share)
    return torch.cat([rows, more])


def shared_rows(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of (A,) and of (B,) distinct numbers that are the same, in the order of the numbers."""
    _, rows, others = np.intersect1d(here.cpu().numpy(), there.cpu().numpy(), assume_unique=True, return_indices=True)
    return torch.from_numpy(rows), torch.from_numpy(others)


def _fainter(logit: Tensor, share: float) -> Tensor:
    """Logits of opacities times a share."""
    return torch.logit((torch.sigmoid(logit) * max(share, LEAST_SHARE)).clamp(1e-7, 1 - 1e-7))


def _nothing(number: int) -> Scene:
    raise ValueError(f"segment {number} of a chain that has none")
