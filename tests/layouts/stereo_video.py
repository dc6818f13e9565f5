"""Stereo videos of the corner: both views in one file, or in two."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from layouts import corner
from scipy.spatial.transform import Rotation

BASELINE = 5.5
RATE = 25
UNRECTIFIED = {
    "rotation": Rotation.from_euler("xyz", [0.6, -1.1, 0.8], degrees=True).as_matrix().tolist(),
    "translation_mm": [-5.5, 0.12, 0.2],
    "right": {"fx": 174.0, "fy": 180.0, "cx": 97.5, "cy": 73.0},
}


def write_video(path: Path, frames: list[np.ndarray], first: int = 0) -> Path:
    """H.264, all but lossless, at RATE; `first` is how many frame intervals in the first one is shown."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "4", "threads": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, RATE)
        for i, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            picture.pts, picture.time_base = i + first, Fraction(1, RATE)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def views(rectified: bool = True, count: int = 3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Left and right frames; the left camera's poses are the corner's."""
    turn, K = np.eye(4), corner.K
    turn[0, 3] = -BASELINE
    if not rectified:
        turn[:3, :3], turn[:3, 3] = UNRECTIFIED["rotation"], UNRECTIFIED["translation_mm"]
        right = UNRECTIFIED["right"]
        K = np.array([[right["fx"], 0, right["cx"]], [0, right["fy"], right["cy"]], [0, 0, 1]])
    poses = corner.world_to_camera(count)
    left = [corner.see(pose).image for pose in poses]
    return left, [corner.see(turn @ pose, corner.pixel_rays(K)).image for pose in poses]


def write_calibration(file: Path, rectified: bool = True) -> Path:
    K = corner.K
    facts = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "width": corner.WIDTH}
    file.write_text(json.dumps({**facts, **({"baseline_mm": BASELINE} if rectified else UNRECTIFIED)}))
    return file


def write_packed(path: Path, arrangement: str, rectified: bool = True) -> Path:
    join = np.hstack if arrangement == "side-by-side" else np.vstack
    return write_video(path, [join(pair) for pair in zip(*views(rectified), strict=True)])
