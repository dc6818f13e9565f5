"""The frames that a fit trains on now: they enter from a source and leave again, and with them views and observations.

A fit of a whole clip has one window that holds all of its training frames. Where frames arrive one by one, and for
ever, the earliest leave, so that memory does not grow.
"""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.camera import Camera
from endogs.clip import Clip
from endogs.clip.clip_frames import ClipFrames
from endogs.clip.frame_source import Frame, FrameSource, Pause, camera_between
from endogs.device import usable_cores
from endogs.errors import NothingSeen
from endogs.fit.beside_instruments import tinted, weighed
from endogs.fit.config import FitConfig
from endogs.fit.objective.losses import DepthAnchor
from endogs.fit.view import View
from endogs.priors.depth.prediction import DepthKind, FrameDepth, to_depth
from endogs.priors.instruments.masks import grown
from endogs.priors.motion.flow import ClipFlows
from endogs.priors.motion.virtual_frames import virtual_frames_between
from endogs.priors.speculars import specular_mask
from endogs.priors.tissue import PackedMask, erode_tissue_mask
from endogs.seeding.observations import Observations

Mask = NDArray[np.bool_]
RELATIVE_PRIOR_FRAMES = 8
"""Training frames that get a relative depth prior. A still camera cannot see depth, so more add time and no truth."""
VIRTUAL_RATE = 2
"""Virtual frames per missing or existing frame interval: 2 between neighbours, 12 where five frames are held out."""
MOST_VIRTUAL = 24
"""Virtual frames between two training frames, at most."""


class Window:
    """Training frames in the order of time; virtual frames between them are made when a step first asks for them."""

    def __init__(
        self,
        source: FrameSource,
        flows: ClipFlows,
        depth: FrameDepth,
        config: FitConfig,
        device: torch.device,
        with_depth: Collection[int] | None = None,
    ) -> None:
        """No frame has entered yet. `flows` and `depth` know the source's frames by their numbers; the loss looks at
        the depth of frames `with_depth`, by default of all.
        """
        self._source, self._flows, self._depth, self._device, self._with_depth = (
            source,
            flows,
            depth,
            device,
            with_depth,
        )
        self.depth_kind: DepthKind = depth.kind
        self.metric = depth.kind == "metric"
        self._config = config
        self._exact_depth = self.metric or config.normal_weight > 0
        self.real: list[View] = []
        """A view for each frame."""
        self.observations = Observations([], flows, self.depth, self.metric, depth.tissue_offset)
        self._eroded: list[PackedMask] = []
        self._virtual: dict[tuple[int, int], list[View]] = {}
        self._held: DepthAnchor | None = None
        self._laid: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
        self._times_seen = np.zeros(source.ignored.shape, np.int64)
        self._showing = 0

    @property
    def frames(self) -> list[Frame]:
        """The frames, in the order of time."""
        return self.observations.frames

    def take(self) -> Frame | Pause:
        """Let the source's next frame enter; where it has none, why."""
        frame = self._source.next()
        if isinstance(frame, Frame):
            self._enter(frame)
        return frame

    def take_all(self) -> None:
        """Let all frames enter that are there.

        Raises NothingSeen when no training frame has depth on tissue.
        """
        while isinstance(self.take(), Frame):
            pass
        _ = self.reference

    def compare_frames(self) -> None:
        """Let all frames that are there decide together what is beside and behind the instruments."""
        if any(frame.doubtful is not None and frame.doubtful.any() for frame in self.frames):
            sure = [mask.unpacked() for mask in self._eroded]
            self.real = weighed(self.real, self.observations, sure)
        if not self.static_camera:
            return
        shown = torch.zeros(self._source.ignored.shape, dtype=torch.bool, device=self._device)
        for view in self.real:
            shown |= view.weight > 0
        # Closer to the rim, Gaussians of the rim would have to be two things at once.
        hidden = erode_tissue_mask(~shown.cpu().numpy(), self._config.mask_erosion) & ~self._source.ignored
        if hidden.any():
            self.real = tinted(self.real, self.observations, hidden, self._config.hidden_color_weight)

    def leave(self) -> None:
        """The earliest frame leaves, and what is kept about it."""
        number = self.frames[0].number
        self.observations.leave()
        del self._eroded[0], self.real[0]
        self.real = [replace(view, frame=k) for k, view in enumerate(self.real)]
        self._flows.forget(number)
        self._depth.forget(number)
        self._virtual = {pair: views for pair, views in self._virtual.items() if number not in pair}
        self._laid = None

    def move_camera(self, k: int, world_to_camera: NDArray[np.float64]) -> None:
        """Give frame `k` another pose (4, 4), and the virtual frames beside it those between their new neighbours."""
        frame = replace(self.frames[k], world_to_camera=world_to_camera)
        self.observations.correct(k, frame)
        self.real[k] = self.real[k].seen_from(self._camera(frame.K, world_to_camera))
        for gap in {max(k - 1, 0), min(k, len(self.frames) - 2)} if len(self.frames) > 1 else ():
            before, after = self.frames[gap], self.frames[gap + 1]
            made = self._virtual.get((before.number, after.number), [])
            fractions = virtual_fractions(len(made))
            made[:] = [
                view.seen_from(self._camera(*camera_between(before, after, fraction)))
                for view, fraction in zip(made, fractions, strict=True)
            ]

    def _enter(self, frame: Frame) -> None:
        self.observations.enter(frame)
        self._eroded.append(PackedMask.of(erode_tissue_mask(frame.tissue_mask, self._config.mask_erosion)))
        self.real.append(self._real_view(len(self.real)))
        self._times_seen += frame.tissue_mask
        self._showing += bool(frame.tissue_mask.any())
        self._laid = None

    def _gaps(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The gap (V,) between two frames of every virtual frame, and the first virtual frame (F - 1,) of every gap."""
        if self._laid is None:
            counts = virtual_counts(self.observations.times)
            self._laid = np.repeat(np.arange(len(counts)), counts), np.cumsum(counts) - counts
        return self._laid

    @property
    def static_camera(self) -> bool:
        """Whether every frame has the same pose."""
        return self._source.static_camera

    @property
    def unseen(self) -> Mask | None:
        """(H, W) pixels that no frame has shown as tissue; None with a moving camera, whose pixels see it all."""
        return (self._times_seen == 0) & ~self._source.ignored if self._source.static_camera else None

    @property
    def occluded(self) -> Mask | None:
        """(H, W) pixels that some frame hides and others around them do not; None with a moving camera.

        Frames without any tissue hide nothing in particular and do not count.
        """
        return (self._times_seen < self._showing) & ~self._source.ignored if self._source.static_camera else None

    @property
    def anchor(self) -> DepthAnchor | None:
        """What relative depth is held to, of the reference frame; None where depth is metric."""
        if self.metric or self._held is not None:
            return None if self.metric else self._held
        return _anchor_of(self.depth(self.reference), self._eroded[self.reference].unpacked())

    def hold(self, k: int, depth: NDArray[np.float32]) -> None:
        """Hold relative depth to the mean and spread of z-depth (H, W) that frame `k` has, 0 = unknown, from now on."""
        self._held = _anchor_of(depth, self._eroded[k].unpacked())

    @property
    def virtual_count(self) -> int:
        """How many virtual frames there are."""
        return len(self._gaps()[0])

    def depth(self, k: int) -> NDArray[np.float32]:
        """Z-depth (H, W) of frame `k` of the window in world units, 0 = unknown."""
        return to_depth(self._depth.prediction(self.frames[k].number))

    @property
    def reference(self) -> int:
        """The first frame that shows tissue of known depth: a clip may begin black.

        Raises NothingSeen where there is none.
        """
        for k, frame in enumerate(self.frames):
            prediction = self._depth.prediction(frame.number)
            if (frame.tissue_mask & (prediction.confidence > 0) & (to_depth(prediction) > 0)).any():
                return k
        raise NothingSeen(
            f"{self._source.name}: no training frame has depth on tissue; try another --depth, or other --masks"
        )

    def __getitem__(self, index: int) -> View:
        """Real views first, then virtual ones."""
        if index < len(self.real):
            return self.real[index]
        index -= len(self.real)
        gaps, first = self._gaps()
        gap = int(gaps[index])
        return self._virtual_views(gap)[index - int(first[gap])]

    def neighbours(self, index: int) -> tuple[tuple[int, float], ...]:
        """The frames between which view `index` lies, and how much of each: itself for a real one, two for another."""
        if index < len(self.real):
            return ((index, 1.0),)
        gaps, first = self._gaps()
        gap = int(gaps[index - len(self.real)])
        count = int(np.count_nonzero(gaps == gap))
        fraction = virtual_fractions(count)[index - len(self.real) - int(first[gap])]
        return (gap, 1 - fraction), (gap + 1, fraction)

    def prepare(self, indices: Iterable[int]) -> None:
        """Make the virtual views among `indices` now, several at a time, and not one by one when they are asked for."""
        gap_of, _ = self._gaps()
        gaps = sorted({int(gap_of[i - len(self.real)]) for i in indices if i >= len(self.real)})
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(self._virtual_views, gaps))

    def _real_view(self, k: int) -> View:
        frame, eroded, config = self.frames[k], self._eroded[k].unpacked(), self._config
        hidden = ~frame.tissue_mask & ~self._source.ignored
        trust = np.where(eroded, 1.0, config.rim_weight * frame.tissue_mask)
        if frame.doubtful is not None:
            trust = np.where(frame.doubtful, config.halo_weight, trust)
            hidden &= ~frame.doubtful
        view = View(
            frame.time,
            self._camera(frame.K, frame.world_to_camera),
            torch.from_numpy(frame.image).to(self._device),
            _bytes(trust).to(self._device),
            k,
            occluded=torch.from_numpy(hidden.view(np.uint8)).to(self._device) if hidden.any() else None,
            surface=None if self.static_camera else torch.from_numpy(eroded.view(np.uint8)).to(self._device),
        )
        if self._with_depth is not None and frame.number not in self._with_depth:
            return view
        prediction = self._depth.prediction(frame.number)
        if frame.doubtful is not None:
            # Depth can be known to be tissue's where colours leave it open, and the rim between is the tissue's then.
            told = frame.doubtful & (prediction.confidence > 0)
            eroded = eroded | told | (frame.tissue_mask & grown(told, config.mask_erosion + 1))
        weight = np.where(np.isfinite(prediction.value) & eroded, prediction.confidence, 0)
        weight = weight * np.where(specular_mask(frame.image), config.specular_depth_weight, 1)
        value = torch.from_numpy(np.where(weight > 0, prediction.value, 0).astype(np.float32))
        # Log depth to three digits is plenty, but not for its slopes; metric depth is kept exact.
        value = value if self._exact_depth else value.half()
        return replace(view, depth=value.to(self._device), depth_weight=_bytes(weight).to(self._device))

    def _camera(self, K: NDArray[np.float64], world_to_camera: NDArray[np.float64]) -> Camera:
        height, width = self.observations.size
        return Camera.from_numpy(K, world_to_camera, width, height).to(self._device)

    def _virtual_views(self, gap: int) -> list[View]:
        """The virtual frames between frames `gap` and `gap` + 1, made once."""
        before, after = self.frames[gap], self.frames[gap + 1]
        count = int(np.count_nonzero(self._gaps()[0] == gap))
        made = self._virtual.get((before.number, after.number))
        if made is None or len(made) != count:
            still = self._source.static_camera
            masks = self._eroded[gap].unpacked(), self._eroded[gap + 1].unpacked()
            frames = virtual_frames_between(
                self.frames, self._flows, gap, virtual_fractions(count), masks, straight=not still
            )
            made = []
            for frame in frames:
                pose = (before.K, before.world_to_camera) if still else camera_between(before, after, frame.fraction)
                made.append(
                    View(
                        frame.time,
                        self._camera(*pose),
                        torch.from_numpy(frame.image).to(self._device),
                        _bytes(frame.weight).to(self._device),
                        None,
                    )
                )
            self._virtual[before.number, after.number] = made
        return made


def whole_clip(
    clip: Clip, frames: list[int], flows: ClipFlows, depth: FrameDepth, config: FitConfig, device: torch.device
) -> Window:
    """The window that holds all training `frames` of a clip, ascending indices.

    Raises NothingSeen when none of them has depth on tissue.
    """
    window = Window(ClipFrames(clip, frames), flows, depth, config, device, set(frames_with_depth(frames, depth.kind)))
    window.take_all()
    window.compare_frames()
    return window


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


def _bytes(weight: NDArray) -> Tensor:
    return torch.from_numpy(np.rint(weight.astype(np.float32) * 255).astype(np.uint8))


def _anchor_of(depth: NDArray[np.float32], mask: Mask) -> DepthAnchor | None:
    log_z = np.log(depth[mask & (depth > 0)])
    return DepthAnchor(float(log_z.mean()), float(log_z.std())) if log_z.size else None
