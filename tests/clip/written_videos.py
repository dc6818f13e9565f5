"""Small videos whose frames can be told apart, with the stamps, turns and streams that a test asks for."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 64, 48


def numbered(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 (H, W, 3): gray 20 + 6 i, a white block at the top left and a green one at the bottom left."""
    image = np.full((height, width, 3), 20 + 6 * index, np.uint8)
    image[4:12, 4:12] = 235
    image[-12:-4, 4:12] = (40, 170, 60)
    return image


def number(image: np.ndarray) -> int:
    """Which frame `numbered` made this from, by what is right of the blocks."""
    return round((float(image[16:32, 24:40].mean()) - 20) / 6)


def write(
    path: Path,
    frames: list[np.ndarray],
    stamps: list[int | None] | None = None,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rotation: int | None = None,
    step: int = 40,
    start: int = 0,
) -> Path:
    """One stream; `stamps` in milliseconds replace those of 25 frames a second after encoding."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=1000 // step, options=options or {"crf": "8", "bf": "0", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        packets = []
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = start + step * index, Fraction(1, 1000)
            packets += stream.encode(picture)
        packets += stream.encode(None)
        for index, packet in enumerate(packets):
            if stamps is not None:
                packet.pts = packet.dts = stamps[index]
                packet.time_base = Fraction(1, 1000)
            output.mux(packet)
    return path
