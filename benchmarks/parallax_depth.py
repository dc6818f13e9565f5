"""What depth from parallax costs, stage by stage, and how true it is.

    python benchmarks/parallax_depth.py CLIP [CLIP ...] [--threads N] [--twin]

A CLIP has poses of a moving camera; its depth files, as a phantom's, or `sfm_points.npz` in its folder (points (P, 3)
and pairs `frame`, `point`: that frame sees that point) are what depth is compared with, and never what it is made of.
Rows are milliseconds of processor time a frame, without what a stage's own rows hold. --twin does the same once more
with the kernels' twin in numpy, in the same run: ratios of the two are to be trusted, times of a busy machine are not.
"""

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from endogs import native
from endogs.clip import Clip, ClipOptions, load_clip
from endogs.priors.depth import agreement, parallax, residual_flow, triangulation
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.depth.parallax import ParallaxDepth
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.motion.flow import ClipFlows

STAGES = (
    (parallax, "quick_flow"),
    (residual_flow, "remaining_flow"),
    (residual_flow, "warp_by_depth"),
    (triangulation, "triangulate_flow"),
    (triangulation, "agree_on_depth"),
    (agreement, "agree_on_depth"),
    (agreement, "filled"),
    (parallax, "filled_holes"),
    (parallax, "bright_mask"),
    (PhotometricDepth, "predict"),
    (ParallaxDepth, "predict"),
)


class Stages:
    """Processor seconds by stage, a stage's own."""

    def __init__(self) -> None:
        """Wraps the stages."""
        self.seconds: Counter[str] = Counter()
        self._local = threading.local()
        for owner, name in STAGES:
            label = f"{owner.__name__.rsplit('.', 1)[-1]}.{name}"
            setattr(owner, name, self._timed(getattr(owner, name), label))

    def _timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            inner = self._local.__dict__.setdefault("inner", [])
            inner.append(0.0)
            start = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.thread_time() - start
                self.seconds[label] += spent - inner.pop()
                if inner:
                    inner[-1] += spent

        return call


def errors(clip: Clip, depth: ClipDepth) -> np.ndarray:
    """Absolute relative errors at pixels or points of known depth."""
    found = []
    points = clip.source / "sfm_points.npz"
    seen = np.load(points) if not clip.has_depth and points.exists() else None
    for i in depth.frames:
        value, tissue = depth.prediction(i).value, clip.tissue_mask(i)
        if clip.has_depth:
            true = clip.depth(i)
        elif seen is not None:
            true = np.zeros(value.shape, np.float32)
            pose = clip.world_to_camera[i]
            places = seen["points"][seen["point"][seen["frame"] == i]] @ pose[:3, :3].T + pose[:3, 3]
            pixels = places @ clip.K[i].T
            column, row = np.floor(pixels[:, :2] / pixels[:, 2:]).astype(int).T
            inside = (places[:, 2] > 0) & (column >= 0) & (row >= 0)
            inside &= (column < clip.width) & (row < clip.height)
            true[row[inside], column[inside]] = places[inside, 2]
        else:
            return np.zeros(0)
        known = (true > 0) & (value > 0) & tissue
        found.append(np.abs(value[known] / true[known] - 1))
    return np.concatenate(found)


def measured(clip: Clip, threads: int, stages: Stages) -> tuple[dict[str, float], float]:
    """Milliseconds a frame by stage, and the mean relative error in percent."""
    frames = list(range(len(clip)))
    for i in frames:
        clip.image(i)
    flows = ClipFlows(clip.image, most=4)
    depth = ClipDepth(clip, ParallaxDepth(PhotometricDepth()), frames, clip.tissue_mask, flows, threads=threads)
    stages.seconds.clear()
    start, wall = time.process_time(), time.perf_counter()
    depth.precompute(frames)
    spent = {"all, wall clock": time.perf_counter() - wall, "all": time.process_time() - start, **stages.seconds}
    off = errors(clip, depth)
    rows = {name: 1e3 * seconds / len(frames) for name, seconds in spent.items()}
    return rows, 100 * float(off.mean()) if off.size else float("nan")


def main() -> None:
    """Prints a table for each clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--twin", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    stages = Stages()
    there = native.available
    ways: list[tuple[str, Callable[[], bool]]] = [("kernels" if there() else "twin", there)]
    if options.twin and there():
        ways.append(("twin", lambda: False))
    for folder in options.clips:
        clip = load_clip(folder, ClipOptions(), look=False)
        found = {}
        for name, available in ways:
            native.available = available
            found[name] = measured(clip, options.threads, stages)
            native.available = there
        size = f"{len(clip)} frames of {clip.width}x{clip.height}"
        print(f"\n{folder.name}: {size}, ms a frame on {options.threads} threads")
        print(f"{'':34}" + "".join(f"{name:>10}" for name in found))
        for label in next(iter(found.values()))[0]:
            print(f"{label:34}" + "".join(f"{rows.get(label, 0):10.1f}" for rows, _ in found.values()))
        print(f"{'depth off by, %':34}" + "".join(f"{off:10.2f}" for _, off in found.values()))


if __name__ == "__main__":
    main()
