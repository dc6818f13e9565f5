"""How well held-out frames can be predicted by moving the pixels of their neighbours, and what knowing more would give.

    python benchmarks/interpolation_bounds.py --clips pulling=DIR d4d=DIR [--splits standard gap]

No scene is fitted: both neighbouring training frames are warped to the test frame's time and blended. The last rows are
bounds that look at the test frames: the true displacement between training frames (flow chained through the frames that
were held out, which the speeds at both ends come from too), the best moment along the path (one number per frame), both
of them, and the flow from the test frame itself. A scene that interpolates motion can hardly be better than the rows
above those; where it is asked to be, this says what it would have to know.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from comparison.rows import ClipChoice, Row, parsed
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.splits import split_frames
from endogs.evaluate.baselines import Neighbours, linear_blend, neighbours
from endogs.evaluate.metrics import psnr
from endogs.priors.flow import ClipFlows, Flow, dis_flow, warp
from endogs.priors.motion_between import Path as PixelPath
from endogs.priors.motion_between import backwards, paths_between
from endogs.priors.virtual_frames import interpolate

MOMENTS = np.linspace(0, 1, 41)
"""Looked at for the best one."""


class ChainedFlows(ClipFlows):
    """Flows between training frames that are chained through the held-out frames between them."""

    def flow(self, a: int, b: int) -> Flow:
        """Flow (H, W, 2) from frame `a` to frame `b`, step by step."""
        step = 1 if b > a else -1
        total = super().flow(a, a + step)
        for k in range(a + step, b, step):
            total = total + warp(super().flow(k, k + step), total)
        return total


def zeroed_psnr(prediction: NDArray[np.uint8], clip: Clip, frame: int) -> float:
    """PSNR of image x mask over all pixels, dB."""
    return psnr(prediction, clip.image(frame), clip.tissue_mask(frame))


def along(clip: Clip, paths: tuple[PixelPath, PixelPath], between: Neighbours, moment: float) -> NDArray[np.uint8]:
    """Both neighbours warped to `moment` of their paths, blended as the frame's time says."""
    to_a, to_b = backwards(paths[0].displacement(moment)), backwards(paths[1].displacement(1 - moment))
    return interpolate(clip.image(between.before), clip.image(between.after), to_a, to_b, between.fraction)


def rows(clip: Clip, split: str) -> dict[str, float]:
    """Mean PSNR over the test frames by what is known."""
    parts = split_frames(len(clip), split)  # type: ignore[arg-type]
    train = list(parts.train)
    plain, chained = ClipFlows(clip.image), ChainedFlows(clip.image)
    plain.precompute(train)
    chained.precompute([k for a, b in pairwise(train) for k in range(a, b)] + [train[-1]])
    found: dict[str, list[float]] = {}
    for frame in parts.test:
        between = neighbours(clip.times, train, frame)
        if between.before == between.after:
            continue
        gap, a, b = train.index(between.before), clip.image(between.before), clip.image(between.after)
        straight, cubic, true = (
            paths_between(flows, clip.times, train, gap, straight=line or not clip.static_camera)
            for flows, line in ((plain, True), (plain, False), (chained, False))
        )
        here = clip.image(frame)
        own = interpolate(a, b, dis_flow(here, a), dis_flow(here, b), between.fraction)

        def best(paths: tuple[PixelPath, PixelPath], frame: int = frame, between: Neighbours = between) -> float:
            return max(zeroed_psnr(along(clip, paths, between, float(s)), clip, frame) for s in MOMENTS)

        for name, value in (
            ("linear blend", zeroed_psnr(linear_blend(a, b, between.fraction), clip, frame)),
            ("flow, lines", zeroed_psnr(along(clip, straight, between, between.fraction), clip, frame)),
            ("flow, cubic paths", zeroed_psnr(along(clip, cubic, between, between.fraction), clip, frame)),
            ("*lines, best moment*", best(straight)),
            ("*cubic, best moment*", best(cubic)),
            ("*cubic, true displacement*", zeroed_psnr(along(clip, true, between, between.fraction), clip, frame)),
            ("*cubic, true displacement, best moment*", best(true)),
            ("*flow from the frame itself*", zeroed_psnr(own, clip, frame)),
        ):
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", required=True, metavar="NAME=PATH[,OPTION=VALUE]")
    parser.add_argument("--splits", nargs="+", default=["standard", "gap"], choices=["standard", "gap"])
    options = parser.parse_args()
    columns = {}
    for text in options.clips:
        choice = ClipChoice.of(text)
        clip = load_clip(Path(choice.path), parsed(Row("", ()), *choice.options).clip)
        for split in options.splits:
            found = rows(clip, split)
            if found:
                columns[f"{choice.name} {split}"] = found
            else:
                print(f"left out: {choice.name}, {split}: no test frame lies between training frames", file=sys.stderr)
    if not columns:
        sys.exit("interpolation_bounds: nothing to predict")
    print("| PSNR zeroed, dB; bounds that look at the test frames in italics | " + " | ".join(columns) + " |")
    print("|" + "---|" * (1 + len(columns)))
    for name in next(iter(columns.values())):
        print(f"| {name} | " + " | ".join(f"{values[name]:.2f}" for values in columns.values()) + " |")


if __name__ == "__main__":
    main()
