"""Video files, through PyAV, with the timestamps of the file."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file
from endogs.clip.cameras.calibration_json import with_calibration_file
from endogs.clip.cameras.guessed_camera import guessed_intrinsics, still_poses
from endogs.clip.config import ClipOptions
from endogs.clip.files.decode_times import with_decode_times
from endogs.clip.files.frame_cache import DEFAULT_BYTES
from endogs.clip.files.frame_pixels import FramePixels
from endogs.clip.files.image_files import IMAGE_SUFFIXES
from endogs.clip.files.image_headers import BYTES_PER_PIXEL, LARGEST_SIDE, require_drawable
from endogs.clip.files.selection import Selection
from endogs.clip.files.timestamps import Timeline
from endogs.clip.files.video_stream import film_stream
from endogs.clip.recording import Recording
from endogs.clip.view.framing import Framing
from endogs.clip.view.stereo_hint import stereo_hint
from endogs.errors import InputError
from endogs.memory_budget import USABLE, available_bytes

if TYPE_CHECKING:
    import av

KIND = "video"
Key = tuple[int, int | None]
"""A frame's position among all of its file, and its timestamp in the stream's time base."""
LANDMARKS: tuple[str, ...] = ()
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
"""Endings of files that hold others."""
READ_ON = 16
"""Chosen frames up to this far ahead are reached by decoding on, farther ones by seeking."""
CONTAINERS = (
    *("mov", "mp4", "matroska", "webm", "avi", "mpeg", "mpegts", "asf", "flv", "ogg", "mxf", "gxf", "dv", "nut", "rm"),
    *("mpegvideo", "m4v", "h261", "h263", "h264", "hevc", "vvc", "av1", "obu", "ivf", "vc1", "dirac", "dnxhd", "mjpeg"),
    *("gif", "apng", "wtv", "dhav", "lxf", "swf", "cine", "yuv4mpegpipe", "cavsvideo", "avs2", "avs3"),
)
"""FFmpeg's demuxers that read one file of video and nothing else. Playlists, scripts and patterns of names (hls, dash,
concat, sdp, image2 ...) would open other files, or the network, for whoever wrote them."""
PATIENCE = 10.0
"""Seconds in which a packet must come; gigabytes without any, as in a download that was given up, are not searched."""
HELD_BYTES = 72
"""Per pixel of a frame while a decoder works: 16 frames that others refer to and one per thread, of 1.5 to 6 bytes."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` is not taken for a video, None when it is; whether it can be decoded shows when it is read."""
    if not path.is_file():
        return "not a file"
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "a single image, give its folder"
    return None


def read(path: Path, options: ClipOptions, keep_bytes: int = DEFAULT_BYTES, square: bool = True) -> Recording:
    """Decode once, in order: times and cameras of the chosen frames, and their pixels up to `keep_bytes`.

    The camera is that of --calibration, or
    guessed. Pictures are turned, coloured and deinterlaced as `FramePixels` says; with `square` and no --calibration,
    whose numbers count pixels as stored, pixels become square.

    A damaged or truncated file gives the frames before the damage, with a note. Raises InputError when nothing can be
    decoded or the options choose nothing.
    """
    frames = VideoFrames(path, square and options.calibration is None)
    selection, framing = Selection(options), None
    framed: dict[int, NDArray[np.uint8]] = {}
    budget, seen, last, size = keep_bytes, 0, 0.0, (0, 0)
    times: list[float] = []
    hint: list[str] = []
    ended_early = False
    for key, seconds, frame in frames.timed():
        time = seen / options.fps if options.fps else seconds
        if selection.is_past(time):
            ended_early = True
            break
        pixels = frames.pixels_of(frame)
        if framing is None:
            size = pixels.size
            framing = Framing.of(*size, options)
            hint = stereo_hint(pixels.rgb(frame))
        elif (frame.width, frame.height) != pixels.stored_size:
            first = f"{pixels.stored_size[0]} x {pixels.stored_size[1]}"
            raise InputError(
                f"{path}: frame {seen} is {frame.width} x {frame.height} but the first is {first}: "
                f"use --end {math.ceil(1000 * last - 1e-3) / 1000:.3f} or re-encode the video with one size."
            )
        pixels.look(frame)
        seen, last = seen + 1, time
        if not selection.keeps(time):
            continue
        frames.keys.append(key)
        times.append(time)
        if budget > 0:
            image = framing.image(pixels.rgb(frame))
            framed[len(times) - 1] = image
            budget -= image.nbytes
    if framing is None or frames.pixels is None:
        reason = frames.damage or "it has no video frames"
        if path.name.lower().endswith(ARCHIVES):
            raise InputError(f"{path}: no video, but by its name an archive: unpack it and give its folder.")
        raise InputError(
            f"{path}: not a video that can be decoded ({reason}): convert it to H.264 MP4, or copy it again if it was "
            "cut short."
        )
    if not times:
        raise selection.nothing_left(path, last)

    pixels = frames.pixels
    pixels.decide_fields()
    assert frames.timeline is not None
    notes = [*frames.notes, *([] if options.fps else frames.timeline.notes(times[0], times[-1])), *pixels.notes]
    if not ended_early and not frames.damage:
        frames.damage = _what_is_missing(frames, seen, last)
    if frames.damage:
        notes.append(
            f"the video is damaged or truncated ({frames.damage}): the {seen} frames that could be decoded are used."
        )
    if pixels.interlaced:  # what was kept while reading was made before this was known
        framed = {index: framing.image(frames.read(index)) for index in framed}
    K, camera_notes = guessed_intrinsics(*size, options, pixels.pixel_aspect)
    if pixels.pixel_aspect != 1:
        notes.append(f"pixels are not square (width / height = {pixels.pixel_aspect:.4f}); the intrinsics say so.")
    recording = Recording(
        source=path,
        kind=KIND,
        width=size[0],
        height=size[1],
        times=np.array(times, np.float64),
        K=K[None].repeat(len(times), 0),
        world_to_camera=still_poses(len(times)),
        poses_are_given=False,
        images=frames,
        K_is_guess=options.focal is None,
        notes=[*notes, *hint, *camera_notes],
        framed=framed,
    )
    return with_calibration_file(recording, options)


class VideoFrames:
    """The frames of a video; those that left the cache are found again by seeking, or by decoding from the start."""

    def __init__(self, path: Path, square: bool = False) -> None:
        """With `square` pixels that are not square become so."""
        self.path = path
        self.keys: list[Key] = []
        """Of each chosen frame, how it is found again."""
        self.damage = ""
        """What stopped or disturbed decoding, empty when nothing did."""
        self.announced = 0
        """Frames that the file says it holds, shown or not, 0 when it does not say."""
        self.announced_seconds = 0.0
        """Duration that a file of nothing but video says it has, or its film, 0 when it does not say."""
        self.packets = 0
        """Frames that the file held when it was read, shown or not."""
        self.notes: list[str] = []
        """Which stream is read, when there are several."""
        self.pixels: FramePixels | None = None
        """How pictures are made of frames; None before the first."""
        self.timeline: Timeline[tuple[Key, Any]] | None = None
        """Where frames lie in time, and what was wrong with their timestamps."""
        self._square = square
        self._film: int | None = None
        self._stamps_increase = True
        self._time_base = Fraction(1)
        self._average_rate: Fraction | None = None
        self._pixel_aspect: Fraction | None = None
        self._forward: Iterator[tuple[int, tuple[int | None, Any]]] | None = None
        most = min(LARGEST_SIDE**2, int(USABLE * available_bytes() / HELD_BYTES))
        self._rules = {
            "protocol_whitelist": "file",
            "format_whitelist": ",".join(CONTAINERS),
            "max_pixels": str(most),
        }
        self._index = -1

    def timed(self) -> "Iterator[tuple[Key, float, av.VideoFrame]]":
        """(key, seconds since the first frame of the file, frame), from the start, times strictly increasing."""
        self.timeline = Timeline(1 / 30)
        for seconds, (key, frame) in self.timeline.placed(self._stamped(self.timeline)):
            yield key, seconds, frame

    def _stamped(self, timeline: "Timeline[Any]") -> "Iterator[tuple[float | None, tuple[Key, av.VideoFrame]]]":
        previous = None
        for position, (stamp, frame) in enumerate(self.decode()):
            if position == 0:
                timeline.default_step = 1 / float(self._average_rate or 30)
            if stamp is None or (previous is not None and stamp <= previous):
                self._stamps_increase = False
            previous = stamp if stamp is not None else previous
            yield None if stamp is None else float(stamp * self._time_base), ((position, stamp), frame)

    def pixels_of(self, first: Any) -> FramePixels:
        """How pictures are made of this video's frames; `first` is its first one."""
        if self.pixels is None:
            self.pixels = FramePixels(first, self._pixel_aspect, self._square)
        return self.pixels

    def decode(self, seek_to: int | None = None) -> "Iterator[tuple[int | None, av.VideoFrame]]":
        """(timestamp in the stream's time base, frame) as shown, from the start or a key frame before `seek_to`."""
        import av

        if not is_file(self.path):
            self.damage = "it is not a regular file"
            return
        self.packets = 0
        try:
            container = self._open()
            if len(container.streams.video) > 1:
                with container:
                    self._choose_film(container)
                container = self._open()
        except (av.FFmpegError, OSError, ValueError) as error:
            self.damage = "it is a playlist, which names other files" if _is_playlist(self.path) else _message(error)
            return
        with container:
            if not container.streams.video:
                self.damage = "it has no video stream"
                return
            stream: Any = container.streams.video[0] if self._film is None else container.streams[self._film]
            if stream.codec_context is None:
                self.damage = "nothing here decodes its kind of video"
                return
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": self._rules["max_pixels"]}
            width, height = stream.codec_context.width, stream.codec_context.height
            if width and height:  # zero where only the frames say it
                require_drawable(self.path, width, height, HELD_BYTES // BYTES_PER_PIXEL)
            self._pixel_aspect, self._average_rate = stream.sample_aspect_ratio, stream.average_rate
            self._time_base = Fraction(stream.time_base)
            self.announced = int(stream.frames)
            if len(container.streams) == 1 and container.duration:
                self.announced_seconds = container.duration / av.time_base
            elif stream.duration:
                self.announced_seconds = float(stream.duration * stream.time_base)
            if seek_to is not None:
                try:
                    container.seek(seek_to, backward=True, stream=stream)
                except av.FFmpegError as error:
                    self.damage = _message(error)
                    return
            frames = self._undamaged(container, stream)
            yield from with_decode_times(frames) if container.format.name == "avi" else _with_own_times(frames)

    def _open(self) -> Any:
        import av

        # Without "file:" a name such as "concat:a|b" would be a protocol's.
        return av.open(f"file:{self.path}", options=self._rules, timeout=PATIENCE)

    def _choose_film(self, container: Any) -> None:
        if self._film is None:
            film, notes = film_stream(container)
            self._film = int(film.index)
            self.notes += notes

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
            self.packets += packet.size > 0
            try:
                for frame in packet.decode():
                    if frame.is_corrupt:
                        self.damage = "pictures with missing parts are left out"
                    else:
                        yield frame
            except av.FFmpegError as error:
                if not isinstance(error, av.EOFError):
                    self.damage = _message(error)

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB of a chosen frame: decoding goes on from where it was, or from a key frame before it."""
        if self._forward is not None and 0 < index - self._index <= READ_ON:
            found = self._advance(index)
            if found is not None:
                return found
        for seek_to in (self.keys[index][1], None) if self._stamps_increase else (None,):
            self._forward = enumerate(self.decode(seek_to))
            found = self._advance(index)
            if found is not None:
                return found
        raise InputError(f"{self.path}: frame {index} was readable before and is not now: has the file changed?")

    def _advance(self, index: int) -> NDArray[np.uint8] | None:
        """Decode on to chosen frame `index`; None when it does not come."""
        assert self._forward is not None
        wanted = self.keys[index]
        for position, (stamp, frame) in self._forward:
            here, there = (stamp, wanted[1]) if self._stamps_increase else (position, wanted[0])
            if here == there:
                self._index = index
                return self.pixels_of(frame).rgb(frame)
            if here is not None and there is not None and here > there:
                break
        self._forward = None
        return None


def _with_own_times(frames: "Iterator[av.VideoFrame]") -> "Iterator[tuple[int | None, av.VideoFrame]]":
    return ((frame.pts, frame) for frame in frames)


def _what_is_missing(frames: "VideoFrames", seen: int, last: float) -> str:
    """What a file that ended without an error announced and did not hold, empty when nothing is missing.

    The number of frames alone is no proof: an edit list hides frames, and a capture card announces dropped ones.
    """
    timeline = frames.timeline
    if timeline is None or timeline.restarts or timeline.pauses:
        return ""
    step = last / max(1, seen - 1)
    if frames.announced > frames.packets:
        is_shorter = frames.announced_seconds > last + 1.5 * step or not frames.announced_seconds
        return f"it announces {frames.announced} frames" if is_shorter else ""
    # Two frame intervals of slack: durations are rounded, and may or may not count the last frame's own.
    if not frames.announced and seen > 1 and frames.announced_seconds > last + 2 * step + 0.1:
        return f"it announces {frames.announced_seconds:.2f} s and ends at {last:.2f} s"
    return ""


def _is_playlist(path: Path) -> bool:
    """Whether a file that is no video begins as HLS, DASH, concatenation, SDP or PLS playlists do."""
    try:
        with path.open("rb") as file:
            begin = file.read(512).lstrip(b"\xef\xbb\xbf \r\n")
    except OSError:
        return False
    return begin.startswith((b"#EXTM3U", b"ffconcat", b"v=0", b"[playlist]")) or b"<MPD" in begin


def _message(error: Exception) -> str:
    import av

    if isinstance(error, av.ExitError):
        return f"nothing came for {PATIENCE:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
