"""Fits the two real clips and a phantom with the shipped presets and prints what they score, beside the baselines.

    python benchmarks/reconstruct_clips.py --clips DIR [--only NAME ...] [--work DIR]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; experiments whose clip is missing are named and left
out. Every experiment is one run of the command line in a process of its own, so its seconds are what a user waits.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch

from endogs import native
from endogs.clip import load_clip
from endogs.clip.splits import split_frames
from endogs.pictures.scene_frames import picture
from endogs.scene.scene_file import load_scene

PULLING = ["--ignore-rows", "495:512"]
PHANTOM = ["--frames", "60", "--instruments", "2", "--seed", "3"]


@dataclass(frozen=True)
class Experiment:
    """One run of `endogs reconstruct`."""

    name: str
    clip: str
    options: list[str]


EXPERIMENTS = [
    Experiment("pulling, standard, fast", "endonerf_pulling", [*PULLING, "--preset", "fast"]),
    Experiment("pulling, standard", "endonerf_pulling", PULLING),
    Experiment("pulling, gap", "endonerf_pulling", [*PULLING, "--split", "gap"]),
    Experiment("d4d stride 3, standard", "d4d_bowel_lift", ["--stride", "3"]),
    Experiment("d4d stride 3, gap", "d4d_bowel_lift", ["--stride", "3", "--split", "gap"]),
    Experiment("d4d stride 3, novel view", "d4d_bowel_lift", ["--stride", "3", "--split", "novel-view"]),
    Experiment("phantom, standard", "phantom", []),
]


def endogs(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "endogs", *arguments], check=True, stdout=subprocess.DEVNULL)


def phantom_depth(clip_folder: Path, scene_folder: Path) -> str:
    """Depth error on test frames, mm, over visible tissue and behind the instruments, against the phantom's truth."""
    scene, clip = load_scene(scene_folder), load_clip(clip_folder)
    errors: dict[str, list[np.ndarray]] = {"visible": [], "behind instruments": []}
    drawn = 0.0
    test = split_frames(len(clip), "standard").test
    for i in test:
        _, depth = picture(scene, float(clip.times[i]))
        name = f"truth/depth_without_instruments/{i:06d}.png"
        truth = cv2.imread(str(clip_folder / name), cv2.IMREAD_UNCHANGED).astype(np.float32) * 0.01
        tissue_mask = clip.tissue_mask(i)
        for where, chosen in (("visible", tissue_mask), ("behind instruments", ~tissue_mask)):
            known = chosen & (depth > 0)
            errors[where].append(np.abs(depth - truth)[known])
            if where != "visible":
                drawn += known.sum() / max(chosen.sum(), 1) / len(test)
    parts = [f"{where} {np.median(np.concatenate(e)):.2f} mm" for where, e in errors.items()]
    return "; ".join(parts) + f" ({100 * drawn:.0f} % of it drawn)"


def row(experiment: Experiment, out: Path, clip_folder: Path) -> str:
    metrics = json.loads((out / "metrics.json").read_text())
    run = json.loads((out / "run.json").read_text())
    mean = metrics["mean"]
    baselines = ", ".join(
        f"{name.replace('_', ' ')} {b['psnr']:.2f} / {b['psnr_masked']:.2f}" for name, b in metrics["baseline"].items()
    )
    if experiment.clip == "phantom":
        depth = phantom_depth(clip_folder, out)
    elif mean.get("depth_median_abs_mm") is not None:
        depth = f"{mean['depth_median_abs_mm']:.2f} mm, abs-rel {mean['depth_abs_rel']:.4f}"
    else:
        depth = "none given"
    return (
        f"| {experiment.name} | {mean['psnr']:.2f} / {mean['psnr_masked']:.2f} | {mean['ssim']:.4f} | {baselines} "
        f"| {depth} | {run['seconds']['total']:.0f} | {run['seconds']['fit']:.0f} | {run['gaussians']} "
        f"| {run['peak_memory_mb']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="substrings of experiment names")
    parser.add_argument("--work", type=Path, help="keep the results in this folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    print(f"{date.today()}  {native.threads()} threads  {native.instruction_set()}")
    print("| run | PSNR zeroed / masked | SSIM | baselines, PSNR | depth error | total s | fit s | Gaussians | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for experiment in EXPERIMENTS:
        if options.only and not any(part in experiment.name for part in options.only):
            continue
        clip_folder = (work if experiment.clip == "phantom" else options.clips) / experiment.clip
        if experiment.clip == "phantom" and not clip_folder.exists():
            endogs("phantom", str(clip_folder), *PHANTOM)
        if not clip_folder.exists():
            print(f"| {experiment.name} | no {clip_folder.name} in {options.clips.name} | | | | | | | |")
            continue
        out = work / experiment.name.replace(", ", "_").replace(" ", "-")
        endogs("reconstruct", str(clip_folder), "--out", str(out), "--overwrite", *experiment.options)
        print(row(experiment, out, clip_folder), flush=True)


if __name__ == "__main__":
    main()
