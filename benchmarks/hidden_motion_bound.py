"""How well tissue behind instruments can be known at best: by the *true* motion of the tissue around it.

    endogs phantom CLIP --frames 60 --instruments 2 --seed 3
    python benchmarks/hidden_motion_bound.py CLIP [--rims 1 3 8]

No scene is fitted and no flow computed. Between neighbouring frames the phantom's true motion of all tissue that both
show, outside a rim around the instruments, is continued behind them as the fit does it (`endogs.scene.carried_motion`:
means over a coarse grid, continued by the surface that bends least). Followed points start where and when they were
last seen and are carried on by that; from both sides where they come out again. A fit, which must see the motion
first, can hardly be better than this; how far it is from it is its own doing.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.phantom.visibility import PhantomTruth
from endogs.scene.carried_motion import CELLS
from endogs.scene.smooth_fill import fill_smoothly

FEWEST = 3
"""Surface points in a cell of the grid that make its mean known."""
AGES = (1, 3, 8, 15, 60)
"""Borders of the classes by frames since, or until, a point is seen."""
Field = NDArray[np.float32]


def cell_of(truth: PhantomTruth) -> float:
    """Width of a cell in pixels."""
    return max(truth.options.width, truth.options.height) / CELLS


def at_cells(field: Field, pixels: NDArray[np.float64], cell: float) -> NDArray[np.float64]:
    """Bilinear values (P, C) of a grid at pixels (P, 2)."""
    where = (np.nan_to_num(pixels) / cell - 0.5).astype(np.float32).reshape(1, -1, 2)
    return cv2.remap(field, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0].astype(float)  # type: ignore[call-overload]


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
        moved = found[before] + at_cells(motion.field(before, now), found[before, :, :2], motion.cell)
        found[now] = np.where(visible[now][:, None], places[now], moved)
        age[now] = np.where(visible[now], 0, age[before] + 1)
    return found, age


def errors(truth: PhantomTruth, rim: int) -> tuple[NDArray, NDArray, NDArray]:
    """Of all hidden points that were seen before or will be: distance from the truth and from the true surface along
    the ray, mm, and frames since or until they are seen; (S,) each."""
    true, visible = truth.tracks()
    hidden = truth.tracks_inside() & ~visible
    projected = [truth.project(frame, true[frame].astype(float)) for frame in range(len(truth))]
    places = np.stack([np.column_stack([pixels, np.log(np.maximum(z, 1e-6))]) for pixels, z in projected])
    motion = TrueMotion(truth, rim)
    (after, since), (before, until) = (carried(places, visible, motion, backwards) for backwards in (False, True))
    weight = np.stack([1 / np.maximum(since, 0.5), 1 / np.maximum(until, 0.5)])  # 0 where it never was
    total = weight.sum(0)
    known = hidden & (total > 0)
    both = np.nan_to_num(np.stack([after, before])) * weight[..., None]
    found = both.sum(0) / np.maximum(total, 1e-9)[..., None]
    apart, off = np.zeros(hidden.shape), np.zeros(hidden.shape)
    for frame in range(len(truth)):
        z, true_z = np.exp(found[frame, :, 2]), np.exp(places[frame, :, 2])
        across = np.linalg.norm(found[frame, :, :2] - places[frame, :, :2], axis=1) * true_z / truth.options.focal
        apart[frame] = np.hypot(across, z - true_z)
        where = (found[frame, :, :2] - 0.5).astype(np.float32).reshape(1, -1, 2)
        surface = cv2.remap(truth.tissue_depth(frame), where, None, cv2.INTER_LINEAR)[0]  # type: ignore[call-overload]
        off[frame] = np.where(surface > 0, np.abs(z - surface), np.nan)
    return apart[known], off[known], np.minimum(since, until)[known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rims", type=int, nargs="+", default=[1, 3, 8], help="pixels around instruments left out")
    options = parser.parse_args()
    truth = PhantomTruth.read(options.clip)
    _, visible = truth.tracks()
    hidden = truth.tracks_inside() & ~visible
    before = np.maximum.accumulate(visible, axis=0) & hidden
    after = np.maximum.accumulate(visible[::-1], axis=0)[::-1] & hidden
    shares = [float(x.sum() / hidden.sum()) for x in (before & after, before ^ after, hidden & ~before & ~after)]
    print("hidden points: {:.0%} seen before and after, {:.0%} on one side, {:.0%} never".format(*shares))
    ages = " | ".join(f"{low}-{high} frames" for low, high in pairwise(AGES))
    print(f"| rim, pixels | track, median mm | surface, mean mm | {ages} |")
    print("|---" * (2 + len(AGES)) + "|")
    for rim in options.rims:
        apart, off, age = errors(truth, rim)
        classes = [np.nanmean(off[(age >= low) & (age < high)]) for low, high in pairwise(AGES)]
        cells = [f"{np.median(apart):.3f}", f"{np.nanmean(off):.3f}", *(f"{value:.3f}" for value in classes)]
        print(f"| {rim} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
