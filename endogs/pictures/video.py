"""H.264 video files that every browser and player opens."""

from bisect import bisect_left
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.output import new_file

LARGEST_SIDE = 16384
"""Pixels of a side that x264 encodes."""

CLOCK = 90000
"""Ticks per second of uneven videos."""
EVEN = 0.1
"""Frame intervals by which frames may miss an even grid and still be shown on it."""
SQUARE = 0.01
"""Difference of fx and fy up to which pixels are square: calibrations differ by less from one to the next."""
BT709, LIMITED = 1, 1
"""Codes of ITU-T H.273 for primaries, transfer and matrix, and FFmpeg's of the range 16 to 235."""


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    crf: int = 18,
    comment: str = "",
    times: NDArray[np.float64] | None = None,
    pixel_aspect: float = 1.0,
) -> int:
    """Write RGB uint8 frames (H, W, 3) as MP4 (H.264, yuv420p, index first) and return how many there were.

    Colours are BT.709's, limited range, and say so. With `times`, the frames' seconds, an uneven clip, or one of fewer
    frames a second than `frame_rate` tells, is shown at its own times, and `fps` only for even ones. `pixel_aspect` is
    the width of a pixel over its height. `crf` is x264's quality, 0 lossless to 51; `comment` becomes the file's
    metadata of that name. Odd sizes get their last row or column repeated, as 4:2:0 needs even ones. The file appears
    under its name only when complete. Raises InputError when the folder cannot be written to, PyAV has no H.264
    encoder or a picture is larger than it encodes, and ValueError for no frames, or times that do not increase.
    """
    import av

    if "libx264" not in av.codecs_available:
        raise InputError(f"{path}: this PyAV has no H.264 encoder (libx264); install PyAV from PyPI")
    stamps = _stamps(times, fps)
    count = 0
    options = {"movflags": "faststart"}
    with new_file(path) as partial, av.open(str(partial), "w", format="mp4", options=options) as container:
        if comment:
            container.metadata["comment"] = comment
        stream = None
        for frame in frames:
            even = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
            if stream is None:
                if max(even.shape[:2]) > LARGEST_SIDE:
                    raise InputError(
                        f"{path}: pictures of {even.shape[1]} x {even.shape[0]} pixels, of which H.264 holds "
                        f"{LARGEST_SIDE} a side; draw smaller ones with --scale"
                    )
                rate = Fraction(fps).limit_denominator(1001)
                settings = {"crf": str(crf), "preset": "veryfast"}
                if stamps is not None:
                    # The MP4 muxer takes a track's length from decoding times, which B-frames of uneven times delay.
                    settings["bf"] = "0"
                stream = container.add_stream("libx264", rate=rate, options=settings)
                _describe(stream, even.shape[1], even.shape[0], pixel_aspect)
                if stamps is not None:
                    stream.codec_context.time_base = Fraction(1, CLOCK)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED)
            if stamps is not None:
                picture.pts, picture.time_base = stamps[count], Fraction(1, CLOCK)
            container.mux(_lasting(stream.encode(picture), stamps))
            count += 1
        if stream is None:
            raise ValueError("a video needs at least one frame")
        container.mux(_lasting(stream.encode(), stamps))
    return count


def _lasting(packets: list[Any], stamps: list[int] | None) -> list[Any]:
    """The packets, each as long as its frame is shown: the encoder knows only the mean rate."""
    if stamps is not None:
        for packet in packets:
            place = bisect_left(stamps, round(packet.pts * packet.time_base * CLOCK))
            packet.duration = round((stamps[place + 1] - stamps[place]) / CLOCK / packet.time_base)
    return packets


def _describe(stream: Any, width: int, height: int, pixel_aspect: float) -> None:
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    if pixel_aspect != 1:
        context.sample_aspect_ratio = Fraction(pixel_aspect).limit_denominator(1000)


def _stamps(times: NDArray[np.float64] | None, fps: float) -> list[int] | None:
    """Ticks of CLOCK at which each frame is shown, and where the last one ends; None for frames `fps` will do for."""
    if times is None or len(times) < 2:
        return None
    steps = np.diff(times)
    if not (steps > 0).all():
        raise ValueError("times must increase")
    off_the_grid = np.abs(times - times[0] - np.arange(len(times)) / fps).max()
    if off_the_grid * fps <= EVEN:
        return None
    ends = np.append(times - times[0], times[-1] - times[0] + np.median(steps))
    ticks = np.round(ends * CLOCK).astype(np.int64)
    return [int(tick) for tick in np.maximum.accumulate(ticks - np.arange(len(ticks))) + np.arange(len(ticks))]


def pixel_aspect(K: NDArray[np.floating]) -> float:
    """Width of a pixel over its height, from intrinsics (3, 3) that count focal lengths in pixels; 1 when near it."""
    aspect = float(K[1, 1] / K[0, 0])
    return 1.0 if abs(aspect - 1) <= SQUARE else aspect


def frame_rate(times: NDArray[np.float64]) -> float:
    """Mean frames per second of frame times (F,) in seconds, within 1..120; 30 when fewer than two differ."""
    duration = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    return float(np.clip((len(times) - 1) / duration, 1, 120)) if duration > 0 else 30.0
