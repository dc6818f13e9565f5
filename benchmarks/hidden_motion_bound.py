"""How well tissue behind instruments can be known at best: by the *true* motion of the tissue around it.

    endogs phantom CLIP --frames 60 --instruments 2 --seed 3
    python benchmarks/hidden_motion_bound.py CLIP [--rims 1 3 8] [--scene SCENE]

No scene is fitted and no flow computed. Between neighbouring frames the phantom's true motion of all tissue that both
show, outside a rim around the instruments, is continued behind them as the fit does it (`endogs.scene.carried_motion`:
means over a coarse grid, continued by the surface that bends least). Followed points start where and when they were
last seen and are carried on by that; from both sides where they come out again. What is left is what continuing
motion cannot know. --scene adds how far a fitted scene's drawn depth is from the truth at the same points and frames.
"""

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.evaluate import render_frame
from endogs.phantom.visibility import PhantomTruth
from endogs.scene.carried_motion import CELLS, SAMPLES
from endogs.scene.observations import lookup
from endogs.scene.scene_file import load_scene
from endogs.scene.smooth_fill import fill_smoothly

FEWEST = 3
"""Surface points in a cell of the grid that make its mean known."""
AGES = (1, 3, 8, 15)
"""Least frames of each class since, or until, a point is seen."""
Field = NDArray[np.float32]


def cell_of(truth: PhantomTruth) -> int:
    """Width in pixels of a cell of the fit's grid."""
    return max(1, max(truth.options.width, truth.options.height) // (CELLS * SAMPLES)) * SAMPLES


class TrueMotion:
    """What all surface points that a frame shows do until the next one."""

    def __init__(self, truth: PhantomTruth, rim: int) -> None:
        self.truth, self.cell = truth, cell_of(truth)
        kernel = np.ones((2 * rim + 1,) * 2, np.uint8)
        self.places, self.shown = [], []
        for frame in range(len(truth)):
            pixels, z = truth.project(frame, truth.points(frame))
            near = cv2.dilate(truth.instrument(frame).view(np.uint8), kernel) > 0
            x, y = np.clip(pixels, 0, (truth.options.width - 1, truth.options.height - 1)).astype(int).T
            self.places.append(np.column_stack([pixels, np.log(np.maximum(z, 1e-6))]))
            self.shown.append(truth.seen_points(frame) & ~near[y, x])

    def field(self, here: int, there: int) -> Field:
        """(h, w, 3) pixels in x and y and change of log z-depth, everywhere."""
        both = self.shown[here] & self.shown[there]
        start, motion = self.places[here][both], (self.places[there] - self.places[here])[both]
        options = self.truth.options
        shape = (int(np.ceil(options.height / self.cell)), int(np.ceil(options.width / self.cell)))
        total = np.zeros((*shape, 4))
        rows, columns = (start[:, 1] / self.cell).astype(int), (start[:, 0] / self.cell).astype(int)
        np.add.at(total, (rows, columns), np.column_stack([motion, np.ones(len(motion))]))
        count = total[..., 3]
        return fill_smoothly(total[..., :3] / np.maximum(count, 1)[..., None], count >= FEWEST)


def carried(
    places: NDArray[np.float64], visible: NDArray[np.bool_], motion: TrueMotion, backwards: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (F, P, 3) of points carried on from where they were last `visible` (F, P), and frames since then (F, P).

    `places` (F, P, 3) are the true pixels and log z-depths; NaN and infinity before a point was seen.
    """
    frames = range(len(places))
    found = np.full(places.shape, np.nan)
    age = np.full(visible.shape, np.inf)
    order = frames[::-1] if backwards else frames
    found[order[0], visible[order[0]]] = places[order[0], visible[order[0]]]
    age[order[0], visible[order[0]]] = 0
    for before, now in pairwise(order):
        moved = found[before] + lookup(motion.field(before, now), np.nan_to_num(found[before, :, :2]) / motion.cell)
        found[now] = np.where(visible[now][:, None], places[now], moved)
        age[now] = np.where(visible[now], 0, age[before] + 1)
    return found, age


@dataclass(frozen=True)
class Points:
    """Followed surface points of a phantom."""

    places: NDArray[np.float64]
    """(F, P, 3) pixels, and log z-depth in mm."""
    visible: NDArray[np.bool_]
    """(F, P) the frame shows it."""
    hidden: NDArray[np.bool_]
    """(F, P) an instrument hides it."""

    @staticmethod
    def of(truth: PhantomTruth) -> "Points":
        """Those of `truth/tracks.npz`."""
        true, visible = truth.tracks()
        seen = [truth.project(frame, true[frame].astype(float)) for frame in range(len(truth))]
        places = np.stack([np.column_stack([pixels, np.log(np.maximum(z, 1e-6))]) for pixels, z in seen])
        return Points(places, visible, truth.tracks_inside() & ~visible)

    def sides(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(F, P) each: hidden, and seen before; hidden, and seen later."""
        before = np.maximum.accumulate(self.visible, axis=0) & self.hidden
        return before, np.maximum.accumulate(self.visible[::-1], axis=0)[::-1] & self.hidden


def bound(truth: PhantomTruth, points: Points, rim: int) -> tuple[NDArray, NDArray, NDArray]:
    """Of all hidden points that were seen before or will be: distance from the truth and from the true surface along
    the ray, mm, and frames since or until they are seen; (S,) each."""
    places, motion = points.places, TrueMotion(truth, rim)
    (after, since), (before, until) = (
        carried(places, points.visible, motion, backwards) for backwards in (False, True)
    )
    weight = np.stack([1 / np.maximum(since, 0.5), 1 / np.maximum(until, 0.5)])  # 0 where it never was
    total = weight.sum(0)
    known = points.hidden & (total > 0)
    both = np.nan_to_num(np.stack([after, before])) * weight[..., None]
    found = both.sum(0) / np.maximum(total, 1e-9)[..., None]
    apart, off = np.zeros(known.shape), np.zeros(known.shape)
    for frame in range(len(truth)):
        z, true_z = np.exp(found[frame, :, 2]), np.exp(places[frame, :, 2])
        across = np.linalg.norm(found[frame, :, :2] - places[frame, :, :2], axis=1) * true_z / truth.options.focal
        apart[frame] = np.hypot(across, z - true_z)
        surface = lookup(truth.tissue_depth(frame), found[frame, :, :2].astype(np.float32))[:, 0]
        off[frame] = np.where(surface > 0, np.abs(z - surface), np.nan)
    return apart[known], off[known], np.minimum(since, until)[known]


def drawn(folder: Path, truth: PhantomTruth, points: Points) -> NDArray[np.float64]:
    """Error (S,) in mm of a scene's drawn depth at the same points and frames."""
    scene, off = load_scene(folder), np.zeros(points.hidden.shape)
    for frame in range(len(truth)):
        depth = render_frame(scene, float(scene.times[frame]), scene.camera(frame))[1]
        found = lookup(np.ascontiguousarray(depth, np.float32), points.places[frame, :, :2].astype(np.float32))[:, 0]
        off[frame] = np.abs(found - np.exp(points.places[frame, :, 2]))
    before, later = points.sides()
    return off[before | later]


def row(name: str, track: str, off: NDArray, age: NDArray) -> str:
    """One line of the table."""
    classes = [off[(age >= low) & (age < high)] for low, high in pairwise((*AGES, np.inf))]
    means = [f"{np.nanmean(part):.3f}" if len(part) else "" for part in (off, *classes)]
    return f"| {name} | {track} | " + " | ".join(means) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rims", type=int, nargs="+", default=[1, 3, 8], help="pixels around instruments left out")
    parser.add_argument("--scene", type=Path, help="a scene fitted to the clip")
    options = parser.parse_args()
    truth = PhantomTruth.read(options.clip)
    points = Points.of(truth)
    before, after = points.sides()
    shares = [x.sum() / points.hidden.sum() for x in (before & after, before ^ after, points.hidden & ~before & ~after)]
    print("hidden points: {:.0%} seen before and after, {:.0%} on one side, {:.0%} never".format(*shares))
    ages = " | ".join(f"from {low} frames" for low in AGES)
    print(f"| rim, pixels | track, median mm | surface, mean mm | {ages} |")
    print("|---" * (3 + len(AGES)) + "|")
    for rim in options.rims:
        apart, off, age = bound(truth, points, rim)
        print(row(str(rim), f"{np.median(apart):.3f}", off, age))
    if options.scene is not None:
        print(row("scene", "", drawn(options.scene, truth, points), age))


if __name__ == "__main__":
    main()
