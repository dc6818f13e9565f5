"""What a step is trained on: the training frames with their weights and depth, and the virtual frames between them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.device import usable_cores
from endogs.errors import InputError
from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import DepthAnchor
from endogs.priors.depth.choose import ClipDepth, DepthKind, to_depth
from endogs.priors.motion.flow import ClipFlows
from endogs.priors.motion.virtual_frames import virtual_frames_between
from endogs.priors.speculars import specular_mask
from endogs.priors.tissue import erode_tissue_mask
from endogs.seeding.observations import Observations

Mask = NDArray[np.bool_]
RELATIVE_PRIOR_FRAMES = 8
"""Training frames that get a relative depth prior. A still camera cannot see depth, so more add time and no truth."""
VIRTUAL_RATE = 2
"""Virtual frames per missing or existing frame interval: 2 between neighbours, 12 where five frames are held out."""
MOST_VIRTUAL = 24
"""Virtual frames between two training frames, at most."""


@dataclass(frozen=True)
class View:
    """One image to match."""

    time: float
    """Seconds."""
    camera: Camera
    image: Tensor
    """(H, W, 3) uint8 sRGB."""
    weight: Tensor
    """(H, W) uint8, 255 = full weight in the colour loss. Bytes, because a clip has many views."""
    frame: int | None
    """Index into the training frames; None for a virtual frame."""
    depth: Tensor | None = None
    """(H, W) float16 or float32, in the prior's own kind; 0 where its weight is 0."""
    depth_weight: Tensor | None = None
    """(H, W) uint8, 255 = full weight in the depth loss."""
    hidden: Tensor | None = None
    """(H, W) uint8, 1 = an instrument hides the tissue; None where nothing is known to be hidden."""

    @cached_property
    def hidden_pixels(self) -> int:
        """How many pixels an instrument hides."""
        return 0 if self.hidden is None else int(self.hidden.sum(dtype=torch.int64))

    @property
    def color_weight(self) -> Tensor:
        """(H, W) float32, 0 to 1, in the colour loss."""
        return self.weight.to(torch.float32) / 255

    @cached_property
    def weight_sum(self) -> float:
        """Sum of the colour weights, 1 = one fully weighted pixel."""
        return float(self.weight.sum(dtype=torch.float64)) / 255

    @cached_property
    def depth_weight_sum(self) -> float:
        """Sum of the depth weights; 0 without depth."""
        return 0.0 if self.depth_weight is None else float(self.depth_weight.sum(dtype=torch.float64)) / 255

    @cached_property
    def median_depth(self) -> float:
        """Median depth where it has a weight, in the prior's own kind; 0 without depth."""
        if self.depth is None or self.depth_weight is None or not bool((self.depth_weight > 0).any()):
            return 0.0
        return float(self.depth[self.depth_weight > 0].float().median())


class TrainingViews:
    """The views of one clip's training frames; virtual frames are made when a step first asks for them."""

    def __init__(
        self,
        clip: Clip,
        frames: list[int],
        flows: ClipFlows,
        masks: Callable[[int], Mask],
        depth: ClipDepth,
        config: FitConfig,
        device: torch.device,
    ) -> None:
        """`frames` are the clip's training frames, ascending; `masks(i)` the tissue mask (H, W) of clip frame i.

        Raises InputError when no training frame has depth on tissue.
        """
        self._clip, self._flows, self._device = clip, flows, device
        self.frames = frames
        self._masks = {i: masks(i) for i in frames}
        self._eroded = {i: erode_tissue_mask(mask, config.mask_erosion) for i, mask in self._masks.items()}
        self._rim_weight, self._halo_weight = config.rim_weight, config.halo_weight
        self._specular_weight, self._specular_depth_weight = config.specular_weight, config.specular_depth_weight
        self._depth = depth
        self.depth_kind: str = depth.kind
        self.metric = depth.kind == "metric"
        self._exact_depth = self.metric or config.normal_weight > 0
        with_depth = set(frames_with_depth(frames, depth.kind))
        self.real = [self._real_view(k, i in with_depth) for k, i in enumerate(frames)]
        self.reference = self._first_with_depth()
        """The first training frame that shows tissue of known depth: a clip may begin black."""
        self._virtual: dict[int, View] = {}
        counts = virtual_counts(clip.times[frames])
        self._gap_of = np.repeat(np.arange(len(counts)), counts)
        self._first_of = np.cumsum(counts) - counts
        seen = np.sum(list(self._masks.values()), axis=0)
        still = clip.static_camera
        self.unseen: Mask | None = (seen == 0) & ~clip.ignored if still else None
        """(H, W) pixels that no training frame shows as tissue; None with a moving camera, whose pixels see it all."""
        shows = sum(bool(mask.any()) for mask in self._masks.values())
        self.hidden: Mask | None = (seen < shows) & ~clip.ignored if still else None
        """(H, W) pixels that some training frame hides and others around them do not; None with a moving camera. Frames
        without any tissue hide nothing in particular and do not count."""
        self.observations = Observations(clip, frames, flows, [self._masks[i] for i in frames], self.depth, self.metric)
        reference = self._eroded[frames[self.reference]]
        self.anchor = None if self.metric else _anchor_of(self.depth(self.reference), reference)

    @property
    def virtual_count(self) -> int:
        """How many virtual frames there are."""
        return len(self._gap_of)

    def depth(self, k: int) -> NDArray[np.float32]:
        """Z-depth (H, W) of training frame `k` in world units, 0 = unknown."""
        return to_depth(self._depth.prediction(self.frames[k]))

    def _first_with_depth(self) -> int:
        for k, i in enumerate(self.frames):
            prediction = self._depth.prediction(i)
            if (self._masks[i] & (prediction.confidence > 0) & (to_depth(prediction) > 0)).any():
                return k
        raise InputError(
            f"{self._clip.source}: no training frame has depth on tissue; try another --depth, or other --masks"
        )

    def __getitem__(self, index: int) -> View:
        """Real views first, then virtual ones."""
        if index < len(self.real):
            return self.real[index]
        index -= len(self.real)
        if index not in self._virtual:
            gap = int(self._gap_of[index])
            first = int(self._first_of[gap])
            self._virtual |= {first + part: view for part, view in enumerate(self._virtual_views(gap))}
        return self._virtual[index]

    def prepare(self, indices: Iterable[int]) -> None:
        """Make the virtual views among `indices` now, several at a time, and not one by one when they are asked for."""
        virtual = [i - len(self.real) for i in indices if i >= len(self.real)]
        gaps = sorted({int(self._gap_of[i]) for i in virtual if i not in self._virtual})
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(lambda gap: self[len(self.real) + int(self._first_of[gap])], gaps))

    def _real_view(self, k: int, with_depth: bool) -> View:
        i = self.frames[k]
        hidden = ~self._masks[i] & ~self._clip.ignored
        glints = specular_mask(self._clip.image(i))
        trust = np.where(self._eroded[i], 1.0, self._rim_weight * self._masks[i])
        doubtful = self._clip.doubtful(i)
        if doubtful is not None:
            trust = np.where(doubtful, self._halo_weight, trust)
            hidden &= ~doubtful
        view = View(
            float(self._clip.times[i]),
            self._clip.camera(i).to(self._device),
            torch.from_numpy(self._clip.image(i)).to(self._device),
            _bytes(trust * np.where(glints, self._specular_weight, 1)).to(self._device),
            k,
            hidden=torch.from_numpy(hidden.view(np.uint8)).to(self._device) if hidden.any() else None,
        )
        if not with_depth:
            return view
        prediction = self._depth.prediction(i)
        weight = np.where(np.isfinite(prediction.value) & self._eroded[i], prediction.confidence, 0)
        weight = weight * np.where(glints, self._specular_depth_weight, 1)
        value = torch.from_numpy(np.where(weight > 0, prediction.value, 0).astype(np.float32))
        # Log depth to three digits is plenty, but not for its slopes; metric depth is kept exact.
        value = value if self._exact_depth else value.half()
        return replace(view, depth=value.to(self._device), depth_weight=_bytes(weight).to(self._device))

    def _virtual_views(self, gap: int) -> list[View]:
        """The virtual frames between training frames `gap` and `gap` + 1."""
        fractions = virtual_fractions(int(np.count_nonzero(self._gap_of == gap)))
        made = virtual_frames_between(self._clip, self._flows, self.frames, gap, fractions, lambda i: self._eroded[i])
        return [
            View(
                frame.time,
                self._clip.camera_between(frame.before, frame.after, frame.fraction).to(self._device),
                torch.from_numpy(frame.image).to(self._device),
                _bytes(frame.weight).to(self._device),
                None,
            )
            for frame in made
        ]


def virtual_counts(times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Virtual frames (F - 1,) between training frames at `times` (F,) seconds: more where frames are missing."""
    if len(times) < 2:
        return np.zeros(0, np.intp)
    gaps = np.diff(times)
    usual = float(np.median(gaps))
    intervals = np.maximum(np.rint(gaps / usual), 1) if usual > 0 else np.ones(len(gaps))
    return np.minimum(VIRTUAL_RATE * intervals, MOST_VIRTUAL).astype(np.intp)


def virtual_fractions(count: int) -> list[float]:
    """Where `count` virtual frames lie between two training frames: evenly, and with two per frame interval never at
    the time of a frame that was held out."""
    return [(k + 1) / (count + 1) for k in range(count)]


def frames_with_depth(frames: list[int], kind: DepthKind) -> list[int]:
    """The training frames whose depth the loss looks at: all where it is metric, a few where it is relative."""
    count = len(frames) if kind == "metric" else min(len(frames), RELATIVE_PRIOR_FRAMES)
    return [frames[k] for k in sorted(set(np.linspace(0, len(frames) - 1, count).round().astype(int).tolist()))]


def schedule(real: int, virtual: int, iterations: int, virtual_share: float, seed: int) -> Tensor:
    """Which view each step takes (iterations,): every real view once per round in random order, virtual ones between.

    Depends only on the arguments, so that a resumed run takes the same views. With one training frame, or a share of 0,
    there are no virtual steps.
    """
    generator = torch.Generator().manual_seed(seed)
    share = virtual_share if virtual else 0.0
    is_virtual = torch.rand(iterations, generator=generator) < share
    count = int(is_virtual.sum())
    order = torch.empty(iterations, dtype=torch.long)
    order[~is_virtual] = _rounds(real, iterations - count, generator)
    order[is_virtual] = real + _rounds(virtual, count, generator)
    return order


def _rounds(count: int, length: int, generator: torch.Generator) -> Tensor:
    if length == 0:
        return torch.empty(0, dtype=torch.long)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(-(-length // count))])[:length]


def _bytes(weight: NDArray) -> Tensor:
    return torch.from_numpy(np.rint(weight.astype(np.float32) * 255).astype(np.uint8))


def _anchor_of(depth: NDArray[np.float32], mask: Mask) -> DepthAnchor | None:
    log_z = np.log(depth[mask & (depth > 0)])
    return DepthAnchor(float(log_z.mean()), float(log_z.std())) if log_z.size else None
