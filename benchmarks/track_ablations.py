"""What each part of the tracker is worth, and how much worse pictures, depth and time cost: one part changed at a time.

    python benchmarks/track_ablations.py CLIP [CLIP ...] [--depth none given] [--end SECONDS] [--fits] [--seed 0]

A CLIP is one of `track_cameras.py`: it has poses of its own, which the tracker never looks at. Rows are

- the tracker as it is, and without: weights by how likely a point is rigid; bundle adjustment of keyframes (points are
  placed and frames found as before); only that at the end
- noise doubled: as much noise is added to the pictures as doubles the deviation of what they have (J. Immerkaer, "Fast
  noise variance estimation", 1996), independent in every pixel and channel
- half the frame rate: every other frame
- learned depth, simulated, where the clip has true depth (`--depth given`): multiplied by a smooth field that wanders
  with time (deviation 10 %), by a scale that wanders from frame to frame (5 %), and by noise of 2 % in every pixel
- with --fits, the poses after a fit of the scene (fast, nothing deforms, 30 000 Gaussians), and after one that holds
  them as the tracker found them, which is without the joint refinement

A number is the root mean square error of the camera's place after Sim(3), for all sources of depth, so that rows can be
compared, and in percent of the path; for phantoms whose tissue moves, also beside the tissue.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from track_cameras import NAMES, beside_tissue, judged, posed_clip, sources_of

from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.splits import split_frames
from endogs.pipeline.reconstruct import reconstruct
from endogs.tracking.config import TrackingConfig
from endogs.tracking.tracker import DepthSource, Fed, Tracker

Array = NDArray[np.float64]
COLUMNS = ("clip", "depth", "what", "RMSE", "% of path", "beside the tissue", "lost %")
CONFIGS = {
    "as it is": TrackingConfig(),
    "without weights of rigidity": TrackingConfig(evidence=0),
    "without bundle adjustment": TrackingConfig(adjustment=0, final_adjustment=0),
    "without the last bundle adjustment": TrackingConfig(final_adjustment=0),
}
FIELD, SCALE, NOISE = 0.10, 0.05, 0.02
"""Deviations of the logarithm of simulated learned depth: of a smooth field, of each frame's scale, of each pixel."""
GRID, SECONDS = 5, 1.0
"""Nodes of the field along a side, and the time after which it and the scale are others."""


class Noisy:
    """Frames with the deviation of their noise doubled."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, fed: Fed) -> Fed:
        """A frame as it is fed."""
        frame, depth, right = fed
        random = np.random.default_rng((self._seed, frame.number))
        image = noisier(frame.image, frame.tissue_mask, random)
        if right is not None:
            right = noisier(right, frame.tissue_mask, random)
        return replace(frame, image=image), depth, right


def noisier(image: NDArray[np.uint8], mask: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.uint8]:
    """An image (H, W, 3) with as much noise again that the deviation is twice that of each channel's."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    found = np.abs(cv2.filter2D(image.astype(np.float32), -1, kernel))[mask]
    deviation = np.sqrt(np.pi / 2) / 6 * found.mean(0)
    added = random.normal(0, 1, image.shape) * deviation * np.sqrt(3)
    return np.asarray(np.clip(np.rint(image + added), 0, 255), np.uint8)


class Learned:
    """Frames whose true depth is made as wrong as that of a network."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, fed: Fed) -> Fed:
        """A frame as it is fed, with its depth."""
        frame, depth, right = fed
        assert depth is not None
        step, share = divmod(frame.time / SECONDS, 1.0)
        before, after = (np.random.default_rng((self._seed, int(step) + k)) for k in (0, 1))
        # Weights whose squares add up to 1 keep the deviation between two moments.
        weights = np.sqrt(1 - share), np.sqrt(share)
        field, scale = np.zeros((GRID, GRID)), 0.0
        for weight, random in zip(weights, (before, after), strict=True):
            field += weight * random.normal(0, FIELD, (GRID, GRID))
            scale += weight * random.normal(0, SCALE)
        smooth = cv2.resize(field, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng((self._seed, frame.number, 1)).normal(0, NOISE, depth.shape)
        return frame, np.asarray(depth * np.exp(smooth + scale + noise), np.float32), right


def tracked(
    clip: Clip, source: DepthSource, config: TrackingConfig, change: Callable[[Fed], Fed] | None = None
) -> Array:
    """(F, 4, 4) poses that the tracker finds in a clip, NaN where it finds none; `change` spoils what it is fed."""
    tracker = Tracker(clip.baseline, clip.units if source != "none" else "relative", config)
    held_out = frozenset(split_frames(len(clip)).unseen)

    def fed(index: int) -> Fed:
        depth = clip.depth(index) if source == "given" else None
        one = clip.frame(index), depth, clip.right_image(index) if source == "stereo" else None
        return one if change is None else change(one)

    for index in range(len(clip)):
        tracker.feed(*fed(index), maps=index not in held_out)
    tracker.follow_back(fed)
    return tracker.finish().world_to_camera


def fitted(path: Path, source: DepthSource, end: float | None, hold: bool) -> Array:
    """(F, 4, 4) poses of the scene that `endogs reconstruct` makes of a clip whose camera it tracks."""
    depth = "parallax" if source == "none" else source
    with tempfile.TemporaryDirectory() as folder:
        result = reconstruct(
            path,
            out=Path(folder) / "scene",
            camera="track",
            depth=depth,
            clip=ClipOptions(end=end),
            hold_poses=hold,
            deformation="none",
            preset="fast",
            gaussians=30_000,
            masks="none",
        )
    return np.asarray(result.scene.world_to_camera, np.float64)


def rows_of(path: Path, source: DepthSource, end: float | None, fits: bool, seed: int) -> list[list[object]]:
    """The rows of one clip and one source of depth."""
    clip = load_clip(path, ClipOptions(end=end))
    tissue = beside_tissue(clip)

    def row(what: str, poses: Array, part: slice = slice(None)) -> list[object]:
        true = clip.world_to_camera[part]
        rmse, percent, _ = judged(clip, poses, True, true)
        beside = float("nan") if tissue is None else judged(clip, poses, True, tissue[part])[0]
        lost = 100 * float((~np.isfinite(poses[:, 0, 0])).mean())
        return show([clip.name, NAMES[source], what, rmse, percent, beside, lost])

    rows = [row(what, tracked(clip, source, config)) for what, config in CONFIGS.items()]
    rows.append(row("noise doubled", tracked(clip, source, TrackingConfig(), Noisy(seed))))
    halved = load_clip(path, ClipOptions(end=end, stride=2))
    rows.append(row("half the frame rate", tracked(halved, source, TrackingConfig()), slice(None, None, 2)))
    if source == "given":
        rows.append(row("learned depth, simulated", tracked(clip, source, TrackingConfig(), Learned(seed))))
    if fits:
        rows.append(row("after a fit", fitted(path, source, end, False)))
        rows.append(row("after a fit without joint refinement", fitted(path, source, end, True)))
    return rows


def show(row: list[object]) -> list[object]:
    """Print a row, and give it back."""
    cells = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in row)
    print("| " + " | ".join(cells) + " |", flush=True)
    return row


def main() -> None:
    """Track with one part changed at a time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--depth", nargs="+", choices=list(NAMES), default=["none", "given"])
    parser.add_argument("--end", type=float, help="seconds of each clip")
    parser.add_argument("--fits", action="store_true", help="fit scenes too: a minute or two each")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--csv", type=Path)
    chosen = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    rows = []
    for path in chosen.clips:
        for source in sources_of(posed_clip(path, chosen.end), chosen.depth):
            rows += rows_of(path, source, chosen.end, chosen.fits, chosen.seed)
    if chosen.csv is not None:
        with chosen.csv.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
