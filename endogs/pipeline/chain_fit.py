"""The fit of a long clip: one segment after the other, of which only the one that is fitted is in memory.

A finished segment is a file in the working folder. The next one takes over from it what goes on, and the clip's frames,
motion and depth are read and guessed anew for its own frames alone.
"""

import gc
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from endogs.clip import Clip
from endogs.errors import InputError, NothingSeen
from endogs.fit.camera_poses import current_poses
from endogs.fit.checkpoint import ANEW, IDENTITY, Checkpoint
from endogs.fit.continuation import Continuation, numbered
from endogs.fit.loop import Fit, run_fit
from endogs.fit.segments import config_of, split_of
from endogs.fit.setup import finished_scene
from endogs.geometry import Array
from endogs.memory_budget import return_freed_memory
from endogs.pictures.find_visibility import find_visibility
from endogs.pipeline.held_out_poses import align_frames
from endogs.pipeline.plan import Plan
from endogs.pipeline.prepared_fit import SEGMENT, SegmentStart, find_priors, say, start_fit
from endogs.pipeline.run_folder import RunFolder
from endogs.pipeline.run_record import StageClock
from endogs.priors.depth.moving_tissue import MovingTissue
from endogs.progress import duration
from endogs.scene import Scene
from endogs.scene.chain import SceneChain, SegmentFrames, identity_of
from endogs.scene.deformation.clip_time import ClipTime
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.origin import FittedDepth, Origin
from endogs.scene.scene_file import FILE_NAME, read_segment, save_chain, save_scene, segment_file
from endogs.scene.visibility import Visibility

OriginOf = Callable[[list[int], int, FittedDepth], Origin]
"""From training frames, steps and the kind of depth to what a scene says of its fit."""
SAME_TIME = 1.0
"""Seconds that a segment lasts where its frames have no times of their own."""


@dataclass
class ChainFit:
    """What a fit of segments leaves."""

    chain: SceneChain
    stopped_by: signal.Signals | None
    """What ended it before the last step of the last segment."""
    depth: dict[str, Any]
    """JSON: the depth prior of the last segment."""
    log: list[dict[str, Any]]
    """Progress records of the segments that were fitted in this run, each with its segment's number."""
    steps: int
    """Steps of all segments."""


@dataclass
class _Done:
    """What is known of the segments so far."""

    used: int = 0
    """The largest number that a Gaussian is known by."""
    steps: int = 0
    depth_kind: FittedDepth = "metric"
    depth: dict[str, Any] | None = None
    metric: bool = True
    poses: Array = field(default_factory=lambda: np.zeros((0, 4, 4)))
    """World to camera of the clip's frames so far."""

    def add(self, scene: Scene, segment: SegmentFrames) -> None:
        self.poses = np.concatenate([self.poses, scene.world_to_camera[len(self.poses) - segment.first :]])
        self.used = max(self.used, int(identity_of(scene).max()) if len(scene) else 0)
        self.steps += scene.origin.iterations or 0


def fit_chain(
    clip: Clip,
    plan: Plan,
    folder: RunFolder,
    fingerprints: tuple[str, str],
    checkpoint: Checkpoint | None,
    origin_of: OriginOf,
    about: dict[str, Any],
    begin: Callable[[Fit, bool], None],
    on_step: Callable[[Fit], None] | None,
    clock: StageClock,
) -> ChainFit:
    """Fit the plan's segments, from that of the `checkpoint` on, until the last one or a signal.

    `about` is written into the chain's file, with the last depth prior. `begin` is called before the first step of each
    segment, with whether its depth is in the clip's units. Raises InputError where a segment before the checkpoint's is
    not there, and as `find_priors` and `start_fit` do.
    """
    segments = plan.pieces.segments
    first = 0 if checkpoint is None else segment_of(checkpoint, len(segments))
    done, said, log = _Done(), set[str](), list[dict[str, Any]]()
    if checkpoint is not None:
        folder.take_segments(first)
    for number in range(first):
        done.add(read_segment(folder.work, number), segments[number])
    tissue = MovingTissue(clip, plan.split.train, clip.tissue_mask)
    started, stopped_by, number = time.monotonic(), None, first
    for number in range(first, len(segments)):
        segment = segments[number]
        _tell(number, segments, time.monotonic() - started, sum(len(one) for one in segments[first:number]))
        split = split_of(plan.split, segment)
        own = replace(plan, split=split, fit=config_of(plan.fit, _seen_part(segment, split.train), len(clip)))
        inside = [frame - segment.first for frame in own.split.train]
        try:
            require_frames(own.split.train, clip, segment)
            with clock.stage("priors"):
                priors = find_priors(clip, own, folder, said, tissue)
        except NothingSeen:
            if number == 0:
                raise
            what = "show no tissue of known depth" if own.split.train else _why_none(clip, segment)
            say([f"frames {segment.first} to {segment.last} {what}: the scene rests there"])
            of = own_origin(origin_of(inside, 0, done.depth_kind), segment)
            rests = _resting(read_segment(folder.work, number - 1), clip, segment, done.poses, of)
            save_scene(rests, segment_file(folder.work, number))
            done.add(rests, segment)
            continue
        done.depth_kind, done.metric = priors.depth.kind, priors.window.metric
        done.depth = priors.depth.record()
        with clock.stage("init"):
            before = Continuation(read_segment(folder.work, number - 1)) if number else None
            start = SegmentStart(number, segment, _span(clip, segment), before)
            fit = start_fit(clip, own, priors, fingerprints, checkpoint, start)
            del before, start
            return_freed_memory()
        if checkpoint is None and number == 0:
            folder.forget_earlier()
        checkpoint = None
        begin(fit, priors.window.metric)
        folder.fitting = True
        with clock.stage("fit"):
            run_fit(fit, folder.checkpoints, on_step=on_step, save_last=number + 1 < len(segments))
        with clock.stage("write"):
            of = own_origin(origin_of(inside, fit.step, done.depth_kind), segment)
            scene = _finished(fit, clip, segment, done, of, plan.split.unseen)
            save_scene(scene, segment_file(folder.work, number))
        done.add(scene, segment)
        log += [{SEGMENT: number, **record} for record in fit.log]
        stopped_by = fit.stopped_by
        del fit, priors, scene
        gc.collect()  # a window and its observations know each other, and hold all that a segment took
        return_freed_memory()
        if stopped_by is not None:
            break
    there = segments[: number + 1]
    frames = [i for i in plan.split.train if i <= there[-1].last]
    chain = _chain(clip, there, done, folder, origin_of(frames, done.steps, done.depth_kind))
    chain.metadata = about | {"depth_prior": done.depth or {}}
    save_chain(chain, folder.work / FILE_NAME)
    return ChainFit(chain, stopped_by, done.depth or {}, log, done.steps)


def _seen_part(segment: SegmentFrames, train: list[int]) -> SegmentFrames:
    """A segment, the first one from its first training frame on: darkness before it takes no steps."""
    return SegmentFrames(train[0], segment.last) if train and segment.first == 0 else segment


def own_origin(origin: Origin, segment: SegmentFrames) -> Origin:
    """The origin of a segment's scene, which names frames without a pose or tissue by the segment's own indices."""

    def own(frames: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return tuple(i - segment.first for i in frames or () if i in segment.frames) or None

    return replace(origin, unplaced_frames=own(origin.unplaced_frames), tissueless_frames=own(origin.tissueless_frames))


def require_frames(train: list[int], clip: Clip, segment: SegmentFrames) -> None:
    """Raises NothingSeen where a segment has no frame to learn from, as where the camera was lost, or in darkness."""
    if not train:
        raise NothingSeen(
            f"frames {segment.first} to {segment.last} {_why_none(clip, segment)}, so there is nothing to begin with; "
            "begin later with --start" + (", or add --every-frame" if clip.tissueless else "")
        )


def _why_none(clip: Clip, segment: SegmentFrames) -> str:
    """Why no frame of a segment is learned from."""
    inside = set(segment.frames)
    if not inside & set(clip.tissueless):
        return "have no pose"
    return "show no tissue" if not inside & set(clip.unplaced) else "have no pose or show no tissue"


def segment_of(checkpoint: Checkpoint, segments: int) -> int:
    """The segment that a checkpoint is of. Raises InputError where it is of none of so many."""
    number = checkpoint.run.get(SEGMENT)
    if type(number) is not int or not 0 <= number < segments:
        raise InputError(
            f"{checkpoint.path}: the checkpoint is not of one of the {segments} segments that this run fits; repeat "
            f"its options, or {ANEW}"
        )
    return number


def _span(clip: Clip, segment: SegmentFrames) -> ClipTime:
    begin, end = float(clip.times[segment.first]), float(clip.times[segment.last])
    return ClipTime(begin, end - begin if end > begin else SAME_TIME)


def _finished(
    fit: Fit, clip: Clip, segment: SegmentFrames, done: _Done, origin: Origin, unseen: tuple[int, ...]
) -> Scene:
    """The segment's scene on the CPU, with what shows its Gaussians and by what they are known; poses of frames that
    the segment before has are its own, and others of `unseen` frames are found.
    """
    frames = slice(segment.first, segment.last + 1)
    poses = current_poses(fit.window, clip.world_to_camera[frames], segment.first)
    before = done.poses[segment.first :]
    poses[: len(before)] = before
    scene = finished_scene(fit.optimizer, clip, done.metric, origin, frames=frames, world_to_camera=poses)
    if fit.cameras is not None:
        new = range(segment.first + len(before), segment.last + 1)
        align_frames(scene, clip, [frame for frame in unseen if frame in new], segment.first)
    scene.visibility = find_visibility(scene, lambda i: clip.tissue_mask(segment.first + i))
    scene.identity = numbered(fit.population.rows[IDENTITY], done.used)
    return scene.to("cpu")


def _resting(before: Scene, clip: Clip, segment: SegmentFrames, known: Array, origin: Origin) -> Scene:
    """A segment in which nothing is seen: all stays as it was at the end of the segment before, and so do the poses
    `known` (f, 4, 4) of the clip's first frames."""
    frames = slice(segment.first, segment.last + 1)
    poses = np.concatenate([known[segment.first :], clip.world_to_camera[len(known) : segment.last + 1]])
    unseen = Visibility.of(*np.zeros((2, len(before), len(segment)), bool))
    return replace(
        before,
        base=before.packed_at(float(before.times[-1])),
        deformation=StaticDeformation(),
        times=clip.times[frames],
        K=clip.K[frames],
        world_to_camera=poses,
        visibility=unseen,
        origin=origin,
        file=None,
    )


def _chain(
    clip: Clip,
    segments: tuple[SegmentFrames, ...],
    done: _Done,
    folder: RunFolder,
    origin: Origin,
) -> SceneChain:
    """The chain of the segments that there are."""
    frames = segments[-1].last + 1
    about = replace(
        read_segment(folder.work, len(segments) - 1),
        times=clip.times[:frames],
        K=clip.K[:frames],
        world_to_camera=done.poses,
        origin=origin,
        file=None,
    )
    return SceneChain.of(about, segments, lambda number: read_segment(folder.work, number), done.used)


def _tell(number: int, segments: tuple[SegmentFrames, ...], seconds: float, frames: int) -> None:
    """To standard error: which segment begins, and how long those that are left will take as those before did."""
    left = ""
    if frames:
        left = f", about {duration(seconds / frames * sum(len(one) for one in segments[number:]))} left"
    one = segments[number]
    print(
        f"segment {number + 1} of {len(segments)}: frames {one.first} to {one.last}{left}", file=sys.stderr, flush=True
    )
