"""The tracker: fed frame by frame, it finds where each was taken, and builds its map as it goes.

The order of work is that of R. Mur-Artal and J. Tardos, "ORB-SLAM2", 2017, with corners that are followed instead of
matched, since tissue has few features that look alike from elsewhere. A frame whose pose cannot be told is lost, with a
reason and without a pose.
"""

import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.frame_source import Frame
from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import Observations, SparseMap
from endogs.tracking.locating import Depths, Following, Located, locate, unusable
from endogs.tracking.luma import Look, look_at, looking_size
from endogs.tracking.mapping import insert_keyframe, wants_keyframe
from endogs.tracking.measured_depth import given_depth, pair_depth
from endogs.tracking.refinement import FrameRecord, adjust_all, pose_again
from endogs.tracking.relocalization import Recognizer
from endogs.tracking.rigid_motion import between
from endogs.tracking.rigidity import gather, log_odds
from endogs.tracking.start_window import StartWindow
from endogs.tracking.trajectory import Landmarks, State, TrackedFrame, Trajectory

Array = NDArray[np.float64]
T = TypeVar("T")
DepthSource = Literal["none", "given", "stereo"]
SHARPNESS_KEPT = 15
"""Frames whose sharpness is remembered."""


@dataclass
class _Piece:
    """One sub-map and what is followed on it."""

    world: SparseMap
    window: StartWindow
    recognizer: Recognizer = field(default_factory=Recognizer)
    following: Following | None = None
    lost: int = 0
    since_keyframe: int = 0


class _FrameDepths(Depths):
    """Depth of one frame's corners, from a map or from the right view."""

    def __init__(
        self,
        look: Look,
        depth: NDArray[np.float32] | None,
        right: Callable[[], Look] | None,
        baseline: float | None,
        config: TrackingConfig,
    ) -> None:
        self._look, self._depth, self._right, self._baseline = look, depth, right, baseline
        self._config = config

    def always(self, pixels: Array) -> tuple[Array, Array]:
        if self._depth is None:
            return super().always(pixels)
        return given_depth(self._look, self._depth, pixels, self._config)

    def keyframe(self, pixels: Array) -> tuple[Array, Array]:
        if self._depth is not None or self._right is None or self._baseline is None:
            return self.always(pixels)
        return pair_depth(self._look, self._right(), self._baseline, pixels, self._config)


class Tracker:
    """Finds the camera of one frame after another; causal.

    Give every frame the same kind of depth: none, a z-depth map, or the right view of a rectified pair. With depth the
    first frame begins the map, in the units of depth; without, poses are relative, and come once there is parallax.
    """

    def __init__(
        self,
        baseline: float | None = None,
        units: Literal["mm", "relative"] = "relative",
        config: TrackingConfig | None = None,
    ) -> None:
        """`baseline` is how far the right camera is from the left, in `units`; units are those of depth."""
        self._baseline, self._units = baseline, units
        self.config = config or TrackingConfig()
        self.milliseconds: dict[str, float] = {}
        """Total by stage."""
        self._prior = log_odds(self.config.prior_deforming)
        self._pieces = [self._new_piece()]
        self._causal: list[TrackedFrame] = []
        self._records: list[FrameRecord | None] = []
        self._sharpness: list[float] = []
        self._measured = False
        self._size: tuple[int, int] | None = None

    def feed(
        self,
        frame: Frame,
        depth: NDArray[np.float32] | None = None,
        right: NDArray[np.uint8] | None = None,
        maps: bool = True,
    ) -> TrackedFrame:
        """The pose of the next frame in time, or why it has none. Its own `world_to_camera` is never looked at.

        `depth` (H, W) is z in units, 0 = unknown; `right` (H, W, 3) the right view. A frame that does not `maps` is
        held out: its pose is found on the map, and nothing of it is kept that another frame's pose could depend on.
        """
        began = clock.perf_counter()
        if self._size is None:
            self._size = looking_size(frame.tissue_mask, self.config.longest)
        look = self._timed("look", partial(look_at, frame, self._size, self.config))
        depths = self._depths(frame, look, depth, right)
        piece = self._pieces[-1]
        reason = unusable(look, self.config)
        if reason:
            found = self._lost(look, reason, None)
        elif piece.following is None:
            found = self._start(piece, look, depths, maps)
        else:
            found = self._track(piece, look, depths, maps)
        if maps:
            self._count(look, found)
        found = replace(found, milliseconds=1000 * (clock.perf_counter() - began))
        self._causal.append(found)
        return found

    def finish(self) -> Trajectory:
        """The path so far, after all keyframes were adjusted together; feeding may go on."""
        for piece in self._pieces:
            if piece.world.keyframes:
                self._timed("adjust all", partial(adjust_all, piece.world, self.config))
        frames = self._timed("poses again", self._final_frames)
        held = [
            sum(one.world_to_camera is not None and one.sub_map == k for one in frames)
            for k in range(len(self._pieces))
        ]
        largest = int(np.argmax(held))
        return Trajectory(
            tuple(frames),
            tuple(self._causal),
            self._units if self._measured else "relative",
            tuple(self._notes(frames, held)),
            dict(self.milliseconds),
            self._landmarks(self._pieces[largest].world),
            largest,
        )

    def _track(self, piece: _Piece, look: Look, depths: Depths, maps: bool) -> TrackedFrame:
        config, base, world = self.config, piece.following, piece.world
        assert base is not None
        located = self._timed("locate", lambda: locate(look, depths, base, world, piece.recognizer, config))
        if located.pose is None:
            return self._lost(look, self._why(look, located.reason), None)
        if maps:
            placed = np.isfinite(located.residual)
            gather(
                world.log_odds,
                located.seen.ids[placed],
                located.residual[placed],
                located.scale,
                self._prior,
                config.forgotten,
            )
        pose, tracks, keyframe = located.pose, located.tracks, -1
        reference = located.reference
        # What is far from where the pose says it is was followed wrongly.
        kept = located.inliers | ~np.isfinite(located.residual) | (located.residual < config.gate)
        seen, tracks = located.seen.only(kept), tracks.only(kept)
        piece_since = piece.since_keyframe + 1
        if maps and not self._blurred(look) and wants_keyframe(world, look, located, piece_since, config):
            tracks = self._timed("keyframe", partial(insert_keyframe, world, look, pose, seen, depths, config))
            keyframe = reference = len(world.keyframes) - 1
            pose = world.keyframes[-1].world_to_camera
            piece_since = 0
        if maps:
            gone = look.time - base.look.time
            motion = between(base.pose, pose, 1.0)
            piece.following = Following(look, tracks, reference, pose, motion, gone)
            piece.since_keyframe = piece_since
        hung = pose @ np.linalg.inv(world.keyframes[reference].world_to_camera)
        self._records.append(FrameRecord(_without_picture(look), seen, reference, hung, keyframe))
        return self._tracked(look, pose, located, keyframe >= 0)

    def _start(self, piece: _Piece, look: Look, depths: Depths, maps: bool) -> TrackedFrame:
        config, world = self.config, piece.world
        if self._measured:
            if not maps:
                return self._lost(look, "before the first frame of the map", None)
            nothing = Observations(np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
            tracks = self._timed("keyframe", lambda: insert_keyframe(world, look, np.eye(4), nothing, depths, config))
            count = int(world.placed(tracks.ids).sum())
            if count < config.start_points:
                piece.world = SparseMap(self._prior)
                return self._lost(look, "few points", None)
            seen = world.keyframes[-1].seen
            piece.following = Following(look, tracks, 0, np.eye(4), np.eye(4), 0.0)
            self._records.append(FrameRecord(_without_picture(look), seen, 0, np.eye(4), 0))
            return TrackedFrame(
                look.frame, look.time, np.eye(4), State.TRACKED, "", count, 0.0, None, 0.0, True, self._number
            )
        waiting = self._timed("start", lambda: piece.window.look(look))
        if not maps:
            return self._lost(look, "no parallax yet", waiting.seen)
        seen, reason = self._timed("start", lambda: piece.window.take(look, waiting))
        if reason:
            return self._lost(look, self._why(look, reason), seen)
        last = world.keyframes.pop()
        pose = last.world_to_camera
        tracks = self._timed("keyframe", lambda: insert_keyframe(world, look, pose, last.seen, depths, config))
        pose, number = world.keyframes[-1].world_to_camera, len(world.keyframes) - 1
        before = world.keyframes[-2]
        motion, gone = between(before.world_to_camera, pose, 1.0), look.time - before.look.time
        piece.following = Following(look, tracks, number, pose, motion, gone)
        self._records.append(FrameRecord(_without_picture(look), world.keyframes[-1].seen, number, np.eye(4), number))
        placed = int(world.placed(last.seen.ids).sum())
        return TrackedFrame(look.frame, look.time, pose, State.TRACKED, "", placed, 0.0, None, 0.0, True, self._number)

    def _tracked(self, look: Look, pose: Array, located: Located, keyframe: bool) -> TrackedFrame:
        agree = located.inliers
        return TrackedFrame(
            look.frame,
            look.time,
            pose,
            State.TRACKED,
            "",
            int(agree.sum()),
            float(np.median(located.residual[agree]) / look.scale.mean()),
            located.covariance,
            0.0,
            keyframe,
            self._number,
        )

    def _lost(self, look: Look, reason: str, seen: Observations | None) -> TrackedFrame:
        record = None if seen is None else FrameRecord(_without_picture(look), seen, -1, None, -1)
        self._records.append(record)
        return TrackedFrame(look.frame, look.time, None, State.LOST, reason, sub_map=self._number)

    def _count(self, look: Look, found: TrackedFrame) -> None:
        """Remember how sharp frames are, and begin another map when this one has been lost for long."""
        piece = self._pieces[-1]
        if found.state is State.TRACKED:
            piece.lost = 0
            self._sharpness = [*self._sharpness[1 - SHARPNESS_KEPT :], look.sharpness]
        elif piece.following is not None:
            piece.lost += 1
            if piece.lost >= self.config.new_map:
                self._pieces.append(self._new_piece())

    @property
    def _number(self) -> int:
        return len(self._pieces) - 1

    def _new_piece(self) -> _Piece:
        world = SparseMap(self._prior)
        return _Piece(world, StartWindow(world, self.config))

    def _blurred(self, look: Look) -> bool:
        usual = float(np.median(self._sharpness)) if len(self._sharpness) >= 5 else 0.0
        return look.sharpness < self.config.blurred * usual

    def _why(self, look: Look, reason: str) -> str:
        return f"blurred, {reason}" if self._blurred(look) else reason

    def _depths(
        self, frame: Frame, look: Look, depth: NDArray[np.float32] | None, right: NDArray[np.uint8] | None
    ) -> Depths:
        self._measured |= depth is not None or (right is not None and self._baseline is not None)

        def right_look() -> Look:
            assert right is not None
            assert self._size is not None
            whole = replace(frame, image=right, tissue_mask=np.ones_like(frame.tissue_mask))
            return look_at(whole, self._size, self.config)

        return _FrameDepths(look, depth, None if right is None else right_look, self._baseline, self.config)

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        began = clock.perf_counter()
        try:
            return work()
        finally:
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + 1000 * (clock.perf_counter() - began)

    def _final_frames(self) -> list[TrackedFrame]:
        found = list(self._causal)
        # Backwards, so that a frame from before the start begins from the pose of the one after it.
        near: dict[int, Array] = {}
        for k in reversed(range(len(found))):
            one, record = found[k], self._records[k]
            if record is None:
                continue
            world = self._pieces[one.sub_map].world
            if not world.keyframes:
                continue
            if record.keyframe >= 0:
                pose, again = world.keyframes[record.keyframe].world_to_camera, None
            else:
                fresh, again = pose_again(record, world, near.get(one.sub_map), self.config)
                if fresh is None:
                    continue
                pose = fresh
            near[one.sub_map] = pose
            state = State.TRACKED if record.from_reference is not None else State.INITIAL
            found[k] = replace(one, world_to_camera=pose, state=state, reason="")
            if again is not None:
                residual = float(np.median(again.residual[again.inliers]) / record.look.scale.mean())
                found[k] = replace(
                    found[k], inliers=int(again.inliers.sum()), residual_px=residual, covariance=again.covariance
                )
        return found

    def _notes(self, frames: list[TrackedFrame], held: list[int]) -> list[str]:
        notes = []
        lost: dict[str, int] = {}
        for one in frames:
            if one.world_to_camera is None:
                lost[one.reason] = lost.get(one.reason, 0) + 1
        if lost:
            each = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items(), key=lambda x: -x[1]))
            notes.append(f"camera: {sum(lost.values())} of {len(frames)} frames have no pose: {each}.")
        if sum(count > 0 for count in held) > 1:
            notes.append(
                f"camera: the clip falls into {sum(count > 0 for count in held)} maps with "
                f"{', '.join(str(count) for count in held if count)} frames, whose places relative to each other are "
                "not known."
            )
        return notes

    def _landmarks(self, world: SparseMap) -> Landmarks | None:
        if not world.keyframes:
            return None
        from endogs.tracking.rigidity import rigid_weight

        good = np.isfinite(world.positions[:, 0])
        row = np.cumsum(good) - 1
        frames, points, pixels = [], [], []
        for keyframe in world.keyframes:
            chosen = good[keyframe.seen.ids]
            frames.append(np.full(int(chosen.sum()), keyframe.look.frame))
            points.append(row[keyframe.seen.ids[chosen]])
            pixels.append(keyframe.seen.pixels[chosen] / keyframe.look.scale)
        return Landmarks(
            world.positions[good].copy(),
            rigid_weight(world.log_odds[good]),
            np.concatenate(frames),
            np.concatenate(points),
            np.concatenate(pixels),
        )


def _without_picture(look: Look) -> Look:
    """The same with a usable mask of one cell's size, since thousands are kept."""
    return look


def track_clip(
    clip: Clip,
    held_out: frozenset[int] = frozenset(),
    depth_source: DepthSource | None = None,
    progress: Callable[[int, int], None] | None = None,
    config: TrackingConfig | None = None,
) -> Trajectory:
    """The camera's path through a clip; the poses that came with it are never looked at.

    Frames of `held_out` never change the map. `depth_source` says what gives depth, by default what the clip has:
    depth files, else right views, else nothing. `progress` is told how many frames of how many are done.
    """
    source = depth_source or ("given" if clip.has_depth else "stereo" if clip.has_right else "none")
    units = clip.units if source != "none" else "relative"
    tracker = Tracker(clip.baseline, units, config)
    for index in range(len(clip)):
        depth = clip.depth(index) if source == "given" else None
        right = clip.right_image(index) if source == "stereo" else None
        tracker.feed(clip.frame(index), depth, right, maps=index not in held_out)
        if progress is not None:
            progress(index + 1, len(clip))
    return tracker.finish()
