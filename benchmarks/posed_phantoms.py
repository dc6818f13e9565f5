"""Held-out PSNR and depth of phantoms along real paths with poses given, by where depth comes from.

    python benchmarks/posed_phantoms.py PATH.tum ... --out DIR [--seeds 0 1 2] [--breathing 4] [further options ...]

Each path is a TUM file in mm (a name with "scared" in it: the abdomen, others the colon). Its phantom and scenes are
kept in DIR, so that a second run goes on. A row is a phantom with one source of depth: depth from parallax with every
seed, right views and true depth with the first. Depth is abs-rel on held-out frames against exact truth, as it is and
with one scale for the clip, which is open where tissue breathes. Further options go to `endogs reconstruct`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from command import endogs

from endogs.clip import Clip, load_clip
from endogs.scene import Scene
from endogs.scene.drawing import draw_scene
from endogs.scene.scene_file import load_scene

FRAMES, SIZE = 60, ("--width", "240", "--height", "192")
SOURCES = ("parallax", "stereo", "given")


def make(path: Path, out: Path, breathing: float) -> Path:
    """The phantom along a path, unless it is there."""
    colon = "scared" not in path.stem
    wave = ("--wave", "0.6") if colon and breathing else ()
    anatomy = ("--anatomy", "colon") if colon else ("--anatomy", "abdomen", "--instruments", "0", "--peristalsis", "0")
    folder = out / f"{path.stem}_{breathing:g}"
    if not folder.exists():
        how = ("--trajectory", str(path), "--fps", "15" if colon else "8", "--view", "stereo", *SIZE)
        endogs("phantom", str(folder), "--frames", str(FRAMES), *anatomy, *how, "--breathing", str(breathing), *wave)
    return folder


def measured(clip: Path, source: str, seed: int, options: list[str]) -> tuple[float, float, float]:
    """Held-out PSNR, dB, and abs-rel of depth of one fit, as it is and with one scale."""
    out = clip.with_name("_".join([clip.name, source, str(seed), *(one.strip("-") for one in options)]))
    if not (out / "metrics.json").exists():
        how = ("--depth", source, "--seed", str(seed), "--masks", "none", *options)
        endogs("reconstruct", str(clip), "--out", str(out), "--preset", "fast", "--gaussians", "20000", *how)
    metrics = json.loads((out / "metrics.json").read_text())
    held_out = [row["frame"] for row in metrics["per_frame"]]
    return metrics["mean"]["psnr"], *depth_errors(load_scene(out), load_clip(clip), held_out)


def depth_errors(scene: Scene, clip: Clip, frames: list[int]) -> tuple[float, float]:
    """Abs-rel of the drawn depth of frames, and with the one scale that their median ratio asks for."""
    ratios = []
    for frame in frames:
        truth, drawn = clip.depth(frame), draw_scene(scene, float(scene.times[frame])).depth.numpy()
        assert truth is not None
        known = (truth > 0) & (drawn > 0) & clip.tissue_mask(frame)
        ratios.append(drawn[known] / truth[known])
    ratio = np.concatenate(ratios)
    return float(np.abs(ratio - 1).mean()), float(np.abs(ratio / np.median(ratio) - 1).mean())


def spread(values: list[float], digits: int) -> str:
    """The mean, and of more than one value the standard deviation."""
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {np.std(values, ddof=1):.{digits}f}"


def main() -> None:
    """Make, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--breathing", type=float, default=0.0, help="mm, with a wave of .6 mm in the colon")
    chosen, options = parser.parse_known_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    print("| path | depth from | PSNR | depth abs-rel | with one scale |\n|---|---|---|---|---|", flush=True)
    for path in chosen.paths:
        clip = make(path, chosen.out, chosen.breathing)
        for source in SOURCES:
            seeds = chosen.seeds if source == SOURCES[0] else chosen.seeds[:1]
            found = [measured(clip, source, seed, options) for seed in seeds]
            psnr, *depths = (list(column) for column in zip(*found, strict=True))
            cells = [path.stem, source, spread(psnr, 2), *(spread(depth, 3) for depth in depths)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
