"""Video files, through PyAV, with the timestamps of the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.calibration_json import with_calibration_file
from endogs.clip.config import ClipOptions
from endogs.clip.frame_cache import DEFAULT_BYTES
from endogs.clip.framing import Framing
from endogs.clip.guessed_camera import guessed_intrinsics, still_poses
from endogs.clip.image_files import IMAGE_SUFFIXES
from endogs.clip.recording import Recording
from endogs.clip.selection import Selection
from endogs.clip.stereo_hint import stereo_hint
from endogs.errors import InputError

if TYPE_CHECKING:
    import av

KIND = "video"
LANDMARKS: tuple[str, ...] = ()
USES: tuple[str, ...] = ()
READ_ON = 16
"""Chosen frames up to this far ahead are reached by decoding on, farther ones by seeking."""


def why_not(path: Path) -> str | None:
    """Why `path` is not taken for a video, None when it is; whether it can be decoded shows when it is read."""
    if not path.is_file():
        return "not a file"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "a single image, give its folder"
    return None


def read(path: Path, options: ClipOptions, keep_bytes: int = DEFAULT_BYTES) -> Recording:
    """Decode once, in order: times and cameras of the chosen frames, and their pixels up to `keep_bytes`.

    With --stereo the frames are taken apart (`endogs.clip.stereo_video`). The camera is that of --calibration, or
    guessed.

    A damaged or truncated file gives the frames before the damage, with a note. Raises InputError when nothing can be
    decoded or the options choose nothing.
    """
    if options.stereo is not None:
        from endogs.clip.stereo_video import read_packed

        return read_packed(path, options)
    frames = VideoFrames(path)
    selection, framing = Selection(options), None
    framed: dict[int, NDArray[np.uint8]] = {}
    budget, seen, last, size, pixel_aspect = keep_bytes, 0, 0.0, (0, 0), 1.0
    times: list[float] = []
    hint: list[str] = []
    interlaced = ended_early = False
    for key, seconds, frame in frames.decode():
        time = seen / options.fps if options.fps else seconds
        if selection.is_past(time):
            ended_early = True
            break
        if framing is None:
            size = (frame.width, frame.height)
            framing = Framing.of(*size, options)
            hint = stereo_hint(_pixels(frame))
            aspect = frames.pixel_aspect
            pixel_aspect = aspect if aspect else 1.0
        elif (frame.width, frame.height) != size:
            raise InputError(
                f"{path}: frame {seen} is {frame.width} x {frame.height} but the first is {size[0]} x {size[1]}: "
                f"use --end {last:.3f} or re-encode the video with one size."
            )
        interlaced |= bool(frame.interlaced_frame)
        seen, last = seen + 1, time
        if not selection.keeps(time):
            continue
        frames.keys.append(key)
        times.append(time)
        if budget > 0:
            image = framing.image(_pixels(frame))
            framed[len(times) - 1] = image
            budget -= image.nbytes
    if framing is None:
        reason = frames.damage or "it has no video frames"
        raise InputError(
            f"{path}: not a video that can be decoded ({reason}): convert it to H.264 MP4, or copy it again if it was "
            "cut short."
        )
    if not times:
        raise selection.nothing_left(path, last)

    notes = list(frames.notes)
    if not ended_early and not frames.damage:
        frames.damage = _what_is_missing(frames, seen, last)
    if frames.damage:
        notes.append(
            f"the video is damaged or truncated ({frames.damage}): the {seen} frames that could be decoded are used."
        )
    if interlaced:
        notes.append("the video is interlaced, which shows as combs on moving edges: deinterlace it for a better fit.")
    K, camera_notes = guessed_intrinsics(*size, options, pixel_aspect)
    if pixel_aspect != 1:
        notes.append(f"pixels are not square (width / height = {pixel_aspect:.4f}); the intrinsics say so.")
    recording = Recording(
        source=path,
        kind=KIND,
        width=size[0],
        height=size[1],
        times=np.array(times, np.float64),
        K=K[None].repeat(len(times), 0),
        world_to_camera=still_poses(len(times)),
        images=frames,
        K_is_guess=options.focal is None,
        notes=[*notes, *hint, *camera_notes],
        framed=framed,
    )
    return with_calibration_file(recording, options)


class VideoFrames:
    """The frames of a video; those that left the cache are found again by seeking."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: list[int] = []
        """Of each chosen frame, its timestamp in the stream's time base, or its position where there are none."""
        self.damage = ""
        """What stopped or disturbed decoding, empty when nothing did."""
        self.announced = 0
        """Frames that the file says it holds, 0 when it does not say."""
        self.announced_seconds = 0.0
        """Duration that a file of nothing but video says it has, 0 when it does not say."""
        self.notes: list[str] = []
        self.pixel_aspect: float | None = None
        """Width of a pixel over its height, when the file says so."""
        self._has_timestamps = True
        self._forward: Iterator[tuple[int, float, Any]] | None = None
        self._index = -1

    def decode(self, seek_to: int | None = None) -> "Iterator[tuple[int, float, av.VideoFrame]]":
        """(key, seconds since the first frame of the file, frame), from the start or a key frame before `seek_to`."""
        import av

        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            self.damage = _message(error)
            return
        with container:
            if not container.streams.video:
                self.damage = "it has no video stream"
                return
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            aspect = stream.sample_aspect_ratio
            self.pixel_aspect = float(aspect) if aspect else None
            self.announced = int(stream.frames)
            if len(container.streams) == 1 and container.duration:
                self.announced_seconds = container.duration / av.time_base
            if seek_to is not None:
                container.seek(seek_to, backward=True, stream=stream)
            yield from self._timed(container, stream)

    def _timed(self, container: Any, stream: Any) -> "Iterator[tuple[int, float, av.VideoFrame]]":
        first = previous = None
        for position, frame in enumerate(self._undamaged(container, stream)):
            if frame.pts is None and position == 0:
                self._has_timestamps = False
                self.notes.append("the video has no timestamps: frames are taken at its average rate.")
            if not self._has_timestamps:
                yield position, position / float(stream.average_rate or 30), frame
                continue
            if frame.pts is None or (previous is not None and frame.pts <= previous):
                # A repeated or missing timestamp cannot be placed in time.
                self._note_once("frames without a timestamp of their own are left out.")
                continue
            first = frame.pts if first is None else first
            previous = frame.pts
            yield frame.pts, float((frame.pts - first) * stream.time_base), frame

    def _undamaged(self, container: Any, stream: Any) -> "Iterator[av.VideoFrame]":
        """Frames until the file ends or cannot be demultiplexed; packets that cannot be decoded are skipped."""
        import av

        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self.damage = _message(error)
                return
            try:
                for frame in packet.decode():
                    if frame.is_corrupt:
                        self.damage = "pictures with missing parts are left out"
                    else:
                        yield frame
            except av.FFmpegError as error:
                if not isinstance(error, av.EOFError):
                    self.damage = _message(error)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB of a chosen frame: decoding goes on from where it was, or from a key frame before it."""
        if self._forward is not None and 0 < index - self._index <= READ_ON:
            found = self._advance(index)
            if found is not None:
                return found
        for seek_to in (self.keys[index], None) if self._has_timestamps else (None,):
            self._forward = self.decode(seek_to)
            found = self._advance(index)
            if found is not None:
                return found
        raise InputError(f"{self.path}: frame {index} was readable before and is not now: has the file changed?")

    def _advance(self, index: int) -> NDArray[np.uint8] | None:
        """Decode on to chosen frame `index`; None when it does not come."""
        assert self._forward is not None
        for key, _, frame in self._forward:
            if key == self.keys[index]:
                self._index = index
                return _pixels(frame)
            if key > self.keys[index]:
                break
        self._forward = None
        return None


def _what_is_missing(frames: "VideoFrames", seen: int, last: float) -> str:
    """What a file that ended without an error announced and did not hold, empty when nothing is missing."""
    if frames.announced > seen:
        return f"it announces {frames.announced} frames"
    # Two frame intervals of slack: durations are rounded, and may or may not count the last frame's own.
    slack = 2 * last / max(1, seen - 1) + 0.1
    if not frames.announced and seen > 1 and frames.announced_seconds > last + slack:
        return f"it announces {frames.announced_seconds:.2f} s and ends at {last:.2f} s"
    return ""


def _pixels(frame: Any) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
