"""Videos of given frames, as good as H.264 keeps colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_color_video(path: Path, frames: list[np.ndarray], rate: int = 25) -> None:
    """H.264 without colour subsampling, nearly lossless, RGB frames (H, W, 3) with even sides."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"crf": "4", "g": "3", "bf": "0", "threads": "1"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, rate)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
