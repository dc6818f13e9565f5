"""H.264 video files that every browser and player opens."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.output import new_file

LARGEST_SIDE = 16384
"""Pixels of a side that x264 encodes."""


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, crf: int = 18, comment: str = "") -> int:
    """Write RGB uint8 frames (H, W, 3) as MP4 (H.264, yuv420p, index first) and return how many there were.

    `crf` is x264's quality, 0 lossless to 51; `comment` becomes the file's metadata of that name. Odd sizes get their
    last row or column repeated, as 4:2:0 needs even ones. The file appears under its name only when complete. Raises
    InputError when the folder cannot be written to, PyAV has no H.264 encoder or a picture is larger than it encodes,
    and ValueError for no frames.
    """
    import av

    if "libx264" not in av.codecs_available:
        raise InputError(f"{path}: this PyAV has no H.264 encoder (libx264); install PyAV from PyPI")
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
                stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")))
            count += 1
        if stream is None:
            raise ValueError("a video needs at least one frame")
        container.mux(stream.encode())
    return count


def frame_rate(times: NDArray[np.float64]) -> float:
    """Mean frames per second of frame times (F,) in seconds, within 1..120; 30 when fewer than two differ."""
    duration = float(times[-1] - times[0]) if len(times) > 1 else 0.0
    return float(np.clip((len(times) - 1) / duration, 1, 120)) if duration > 0 else 30.0
