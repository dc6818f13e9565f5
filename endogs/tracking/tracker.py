"""The tracker: fed frame by frame, it finds where each was taken, and builds its map as it goes.

The order of work is that of R. Mur-Artal and J. Tardos, "ORB-SLAM2", 2017, with corners that are followed instead of
matched, since tissue has few features that look alike from elsewhere. A frame whose pose cannot be told is lost, with a
reason and without a pose.
"""

import time as clock
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from endogs.clip.clip import Clip
from endogs.clip.frame_source import Frame
from endogs.tracking.config import TrackingConfig
from endogs.tracking.landmarks import Observations, SparseMap
from endogs.tracking.locating import Following, Located, Tracks, followed, locate, recognized, unusable
from endogs.tracking.luma import Look, look_at, looking_size
from endogs.tracking.mapping import insert_keyframe, wants_keyframe
from endogs.tracking.measured_depth import Depths, FrameDepths
from endogs.tracking.outcome import final_frames, landmarks_of, notes_about
from endogs.tracking.refinement import FrameRecord, adjust_all, pose_again, record_of
from endogs.tracking.rigid_motion import between
from endogs.tracking.rigidity import gather, log_odds
from endogs.tracking.start_window import StartWindow
from endogs.tracking.sub_maps import Piece, merge, moved_record, new_piece, reunited
from endogs.tracking.trajectory import State, TrackedFrame, Trajectory

T = TypeVar("T")
Array = NDArray[np.float64]
DepthSource = Literal["none", "given", "stereo"]
Fed = tuple[Frame, NDArray[np.float32] | None, NDArray[np.uint8] | None]
"""A frame, its depth and its right view, as `Tracker.feed` takes them."""
REMEMBERED = 45
"""Frames whose sharpness and colour are remembered."""
LOOKED_UP = 5
"""Every so many frames or keyframes older maps are asked whether they know what a newer one sees."""
GIVEN_UP = 5
"""Frames in a row without a pose after which following backwards ends."""


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
        self._pieces = [new_piece(0, self._prior, self.config)]
        self._begun = 1
        self._causal: list[TrackedFrame] = []
        self._records: list[FrameRecord | None] = []
        self._maps: list[bool] = []
        """Which frames are not held out."""
        self._usual: list[tuple[float, float]] = []
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
        self._maps.append(maps)
        look, depths = self._seen(frame, depth, right)
        piece = self._pieces[-1]
        reason = unusable(look, self.config)
        if reason:
            found = self._lost(look, reason, None, maps)
        elif piece.following is None:
            found = self._start(piece, look, depths, maps)
        else:
            found = self._track(piece, look, depths, maps)
        if maps:
            self._count(look, found)
        found = replace(found, milliseconds=1000 * (clock.perf_counter() - began))
        self._causal.append(found)
        return found

    def follow_back(self, fed: Callable[[int], Fed]) -> None:
        """Find poses of lost frames from the frames after them, backwards; `fed` gives the k-th frame fed again.

        The map does not change, and no frame is followed from one that is held out. This is for clips that lie there as
        a whole, before `finish`.
        """
        worlds = {piece.number: piece.world for piece in self._pieces if piece.world.keyframes}
        base: Following | None = None
        last: FrameRecord | None = None
        failed = 0
        for k in reversed(range(len(self._records))):
            record = self._records[k]
            maps = self._maps[k]
            if record is not None and record.from_reference is not None and record.piece in worlds:
                if maps:
                    base, last, failed = None, record, 0
                continue
            if last is None or last.from_reference is None or failed >= GIVEN_UP:
                continue
            world = worlds[last.piece]
            if record is not None and record.piece == last.piece:
                near = last.from_reference @ world.keyframes[last.reference].world_to_camera
                pose, _ = pose_again(record, world, near, self.config)
                if pose is not None:
                    found = record_of(last.piece, record.look, maps, record.seen, world, pose, last.reference)
                    self._records[k] = found
                    if maps:
                        base, last = None, found
                    continue
            look, depths = self._seen(*fed(k))
            if unusable(look, self.config):
                failed += maps
                continue
            if base is None:
                base = self._going_back(last, world, fed, k + 1)
            located = self._timed("backwards", partial(followed, look, depths, base, world, self.config))
            if located.pose is None:
                failed += maps
                continue
            found = record_of(last.piece, look, maps, located.seen, world, located.pose, located.reference)
            self._records[k] = found
            if maps:
                failed = 0
                motion, seconds = between(base.pose, located.pose, 1.0), look.time - base.look.time
                base = Following(look, located.tracks, located.reference, located.pose, motion, seconds)
                last = found

    def finish(self) -> Trajectory:
        """The path so far, after all keyframes were adjusted together; feeding may go on."""
        for piece in self._pieces:
            if not piece.world.keyframes:
                continue
            hung = None
            if piece.following is not None:
                keyframe = piece.world.keyframes[piece.following.reference]
                hung = piece.following.pose @ np.linalg.inv(keyframe.world_to_camera)
            self._timed("adjust all", partial(adjust_all, piece.world, self.config))
            if piece.following is not None and hung is not None:
                keyframe = piece.world.keyframes[piece.following.reference]
                piece.following = replace(piece.following, pose=hung @ keyframe.world_to_camera)
        worlds = {piece.number: piece.world for piece in self._pieces if piece.world.keyframes}
        frames = self._timed("poses again", lambda: final_frames(self._causal, self._records, worlds, self.config))
        held = dict.fromkeys(worlds, 0)
        for one in frames:
            if one.world_to_camera is not None:
                held[one.sub_map] += 1
        largest = max(held, key=lambda number: (held[number], -number), default=0)
        return Trajectory(
            tuple(frames),
            tuple(self._causal),
            self._units if self._measured else "relative",
            tuple(notes_about(held)),
            dict(self.milliseconds),
            landmarks_of(worlds[largest]) if worlds else None,
            largest,
        )

    def _track(self, piece: Piece, look: Look, depths: Depths, maps: bool) -> TrackedFrame:
        config, base, world = self.config, piece.following, piece.world
        assert base is not None
        located = self._timed("locate", lambda: locate(look, depths, base, world, piece.recognizer, config))
        if located.pose is None:
            return self._lost(look, self._why(look, located.reason), None, maps)
        return self._accept(piece, look, depths, maps, located)

    def _accept(self, piece: Piece, look: Look, depths: Depths, maps: bool, located: Located) -> TrackedFrame:
        """A frame with a pose: what it says about points, and whether it becomes a keyframe."""
        config, base, world, pose = self.config, piece.following, piece.world, located.pose
        assert pose is not None
        tracks, keyframe, reference = located.tracks, -1, located.reference
        # What is far from where the pose says it is was followed wrongly.
        kept = located.inliers | ~np.isfinite(located.residual) | (located.residual < config.gate)
        seen, tracks = located.seen.only(kept), tracks.only(kept)
        if maps:
            placed = np.isfinite(located.residual)
            ids, residual = located.seen.ids[placed], located.residual[placed]
            gather(world.log_odds, ids, residual, located.scale, self._prior, config.forgotten, config.evidence)
            piece.since_keyframe += 1
            if not self._spoilt(look) and wants_keyframe(world, look, located, piece.since_keyframe, config):
                tracks = self._timed("keyframe", partial(insert_keyframe, world, look, pose, seen, depths, config))
                keyframe = reference = len(world.keyframes) - 1
                pose = world.keyframes[-1].world_to_camera
                piece.since_keyframe = 0
            motion, seconds = np.eye(4), 0.0
            if base is not None:
                motion, seconds = between(base.pose, pose, 1.0), look.time - base.look.time
            piece.following = Following(look, tracks, reference, pose, motion, seconds)
        record = record_of(piece.number, look, maps, seen, world, pose, reference, keyframe)
        self._records.append(replace(record, rejected=located.seen.pixels[~kept]))
        if keyframe >= 0 and len(self._pieces) > 1 and keyframe % LOOKED_UP == 1:
            self._timed("reunite", partial(self._reunite, look, depths))
        agree = located.inliers
        residual_px = float(np.median(located.residual[agree]) / look.scale.mean())
        return self._found(look, pose, int(agree.sum()), residual_px, located.covariance, keyframe >= 0, piece.number)

    def _start(self, piece: Piece, look: Look, depths: Depths, maps: bool) -> TrackedFrame:
        config, world = self.config, piece.world
        if maps and len(self._pieces) > 1 and piece.waited % LOOKED_UP == 0:
            known = self._timed("reunite", partial(self._known, look, depths))
            if known is not None:
                return known
        piece.waited += maps
        if self._measured:
            return self._start_measured(piece, look, depths, maps)
        waiting = self._timed("start", partial(piece.window.look, look))
        if not maps:
            return self._lost(look, "no parallax yet", waiting.seen, maps)
        seen, reason = self._timed("start", partial(piece.window.take, look, waiting))
        if reason:
            return self._lost(look, self._why(look, reason), seen, maps)
        for k, record in enumerate(self._records):
            if record is not None and record.piece == piece.number and record.look.frame in piece.window.seen:
                self._records[k] = replace(record, seen=piece.window.seen[record.look.frame])
        piece.window = StartWindow(world, config)  # without the pictures of the frames that it waited through
        last = world.keyframes.pop()
        before, pose = world.keyframes[-1], last.world_to_camera
        tracks = self._timed("keyframe", partial(insert_keyframe, world, look, pose, last.seen, depths, config))
        pose, number = world.keyframes[-1].world_to_camera, len(world.keyframes) - 1
        motion, seconds = between(before.world_to_camera, pose, 1.0), look.time - before.look.time
        piece.following = Following(look, tracks, number, pose, motion, seconds)
        seen = world.keyframes[-1].seen
        self._records.append(record_of(piece.number, look, True, seen, world, pose, number, number))
        placed = int(world.placed(last.seen.ids).sum())
        return self._found(look, pose, placed, float("nan"), None, True, piece.number)

    def _start_measured(self, piece: Piece, look: Look, depths: Depths, maps: bool) -> TrackedFrame:
        """Begin a map with a frame whose depth is measured."""
        if not maps:
            return self._lost(look, "before the first frame of the map", None, maps)
        config, world, pose = self.config, piece.world, np.eye(4)
        nothing = Observations(np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
        tracks = self._timed("keyframe", partial(insert_keyframe, world, look, pose, nothing, depths, config))
        count = int(world.placed(tracks.ids).sum())
        if count < config.start_points:
            self._pieces[-1] = new_piece(piece.number, self._prior, config)
            return self._lost(look, "few points", None, maps)
        piece.following = Following(look, tracks, 0, pose, np.eye(4), 0.0)
        seen = world.keyframes[-1].seen
        self._records.append(record_of(piece.number, look, True, seen, world, pose, 0, 0))
        return self._found(look, pose, count, 0.0, None, True, piece.number)

    def _known(self, look: Look, depths: Depths) -> TrackedFrame | None:
        """A frame's pose in an older map, which goes on from there, while a newer one has not begun."""
        for older in self._pieces[:-1]:
            located = recognized(look, depths, older.world, older.recognizer, self.config)
            if located is not None and located.pose is not None:
                self._pieces.remove(older)
                self._pieces[-1] = older
                older.following = None
                return self._accept(older, look, depths, True, located)
        return None

    def _reunite(self, look: Look, depths: Depths) -> None:
        """Join the newest map with an older one that knows its last frame."""
        newer = self._pieces[-1]
        for older in self._pieces[:-1]:
            found = reunited(older, newer, look, depths, self._measured, self.config)
            if found is None:
                continue
            points, keyframes = len(older.world), len(older.world.keyframes)
            merge(older, newer, *found)
            for k, record in enumerate(self._records):
                if record is not None and record.piece == newer.number:
                    self._records[k] = moved_record(record, older, found[0], points, keyframes)
            self._pieces.pop()
            self._pieces.remove(older)
            self._pieces.append(older)
            return

    def _going_back(self, last: FrameRecord, world: SparseMap, fed: Callable[[int], Fed], k: int) -> Following:
        """What is followed backwards from a frame with a pose, the first such one from the k-th on."""
        while self._records[k] is not last:
            k += 1
        look, _ = self._seen(*fed(k))
        assert last.from_reference is not None
        keyframe = world.keyframes[last.reference]
        shared = np.isin(last.seen.ids, keyframe.seen.ids)
        order = np.argsort(keyframe.seen.ids)
        row = order[np.searchsorted(keyframe.seen.ids, last.seen.ids[shared], sorter=order)]
        tracks = Tracks(last.seen.ids[shared], last.seen.pixels[shared], keyframe.seen.pixels[row])
        return Following(look, tracks, last.reference, last.from_reference @ keyframe.world_to_camera, np.eye(4), 0.0)

    def _lost(self, look: Look, reason: str, seen: Observations | None, maps: bool) -> TrackedFrame:
        number = self._pieces[-1].number
        record = None
        if seen is not None:
            record = FrameRecord(number, look.without_picture(), maps, seen, -1, None, -1)
        self._records.append(record)
        return TrackedFrame(look.frame, look.time, None, State.LOST, reason, sub_map=number)

    @staticmethod
    def _found(
        look: Look, pose: Array, inliers: int, residual: float, covariance: Array | None, keyframe: bool, number: int
    ) -> TrackedFrame:
        return TrackedFrame(
            look.frame, look.time, pose, State.TRACKED, "", inliers, residual, covariance, 0.0, keyframe, number
        )

    def _count(self, look: Look, found: TrackedFrame) -> None:
        """Remember how sharp frames are, and begin another map when this one has been lost for long."""
        piece = self._pieces[-1]
        if found.state is State.TRACKED:
            piece.lost = 0
            self._usual = [*self._usual[1 - REMEMBERED :], (look.sharpness, look.colour)]
        elif piece.following is not None:
            piece.lost += 1
            if piece.lost >= self.config.new_map:
                self._pieces.append(new_piece(self._begun, self._prior, self.config))
                self._begun += 1

    def _spoilt(self, look: Look) -> str:
        """What is wrong with a frame beside those before it, or an empty string."""
        if len(self._usual) < 5:
            return ""
        sharpness, colour = np.median(self._usual, 0)
        if look.sharpness < self.config.blurred * sharpness:
            return "blurred"
        return "veiled" if look.colour < self.config.veiled * colour else ""

    def _why(self, look: Look, reason: str) -> str:
        spoilt = self._spoilt(look)
        return f"{spoilt}, {reason}" if spoilt else reason

    def _seen(
        self, frame: Frame, depth: NDArray[np.float32] | None, right: NDArray[np.uint8] | None
    ) -> tuple[Look, Depths]:
        if self._size is None:
            self._size = looking_size(frame.tissue_mask, self.config.longest)
        size = self._size
        self._measured |= depth is not None or (right is not None and self._baseline is not None)
        look = self._timed("look", partial(look_at, frame, size, self.config))

        def right_look() -> Look:
            assert right is not None
            whole = replace(frame, image=right, tissue_mask=np.ones_like(frame.tissue_mask))
            return look_at(whole, size, self.config)

        return look, FrameDepths(look, depth, None if right is None else right_look, self._baseline, self.config)

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        began = clock.perf_counter()
        try:
            return work()
        finally:
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + 1000 * (clock.perf_counter() - began)


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
    tracker = Tracker(clip.baseline, clip.units if source != "none" else "relative", config)

    def fed(index: int) -> Fed:
        depth = clip.depth(index) if source == "given" else None
        return clip.frame(index), depth, clip.right_image(index) if source == "stereo" else None

    for index in range(len(clip)):
        tracker.feed(*fed(index), maps=index not in held_out)
        if progress is not None:
            progress(index + 1, len(clip))
    tracker.follow_back(fed)
    return tracker.finish()
