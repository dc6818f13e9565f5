"""Fits the two real clips and a phantom with the shipped presets and prints what they score, beside the baselines.

    python benchmarks/reconstruct_clips.py --clips DIR [--only NAME ...] [--device cuda] [--work DIR]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; experiments whose clip is missing are named and left
out. Every experiment is one run of the command line in a process of its own, so its seconds are what a user waits. How
PSNR grows with the seconds of training alone, and how fast a scene is drawn, is measured by `compare_models.py`.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from command import endogs, make_phantom
from comparison.phantom_truth import depth_errors_of

from endogs import native
from endogs.clip import load_clip
from endogs.clip.splits import split_frames
from endogs.pipeline.run_record import STAGES
from endogs.scene.scene_file import load_scene

PULLING = ("--ignore-rows", "495:512")


@dataclass(frozen=True)
class Experiment:
    """One run of `endogs reconstruct`."""

    name: str
    clip: str
    options: tuple[str, ...]


EXPERIMENTS = [
    Experiment("pulling, standard, fast", "endonerf_pulling", (*PULLING, "--preset", "fast")),
    Experiment("pulling, standard", "endonerf_pulling", PULLING),
    Experiment("pulling, standard, best", "endonerf_pulling", (*PULLING, "--preset", "best")),
    Experiment("pulling, gap", "endonerf_pulling", (*PULLING, "--split", "gap")),
    Experiment("d4d stride 3, standard", "d4d_bowel_lift", ("--stride", "3")),
    Experiment("d4d stride 3, gap", "d4d_bowel_lift", ("--stride", "3", "--split", "gap")),
    Experiment("d4d stride 3, novel view", "d4d_bowel_lift", ("--stride", "3", "--split", "novel-view")),
    Experiment("phantom, standard", "phantom", ()),
]
for depth in ("given", "stereo", "photometric"):
    how = ("--preset", "fast", "--depth", depth)
    EXPERIMENTS += [
        Experiment(f"d4d stride 3, depth {depth}", "d4d_bowel_lift", ("--stride", "3", *how)),
        Experiment(f"phantom, depth {depth}", "phantom", how),
    ]


def phantom_depth(clip_folder: Path, scene_folder: Path) -> str:
    """Median depth error on test frames, over visible tissue and behind the instruments, against the truth."""
    clip = load_clip(clip_folder)
    errors = depth_errors_of(load_scene(scene_folder), clip, clip_folder, split_frames(len(clip), "standard"))
    return f"visible {errors['visible_mm']:.2f} mm; behind instruments {errors['behind_mm']:.2f} mm"


def row(experiment: Experiment, out: Path, clip_folder: Path) -> str:
    """The table's row of a run."""
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
    stages = " / ".join(f"{run['seconds'][stage]:.1f}" for stage in STAGES)
    return (
        f"| {experiment.name} | {run['device']} | {mean['psnr']:.2f} / {mean['psnr_masked']:.2f} | {mean['ssim']:.4f} "
        f"| {baselines} | {depth} | {run['seconds']['total']:.1f} | {stages} | {run['gaussians']} "
        f"| {run['peak_memory_mb']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="substrings of experiment names")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--work", type=Path, help="keep the results in this folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    print(f"{date.today()}  {native.threads()} threads  {native.instruction_set()}")
    columns = ("run", "device", "PSNR zeroed / masked", "SSIM", "baselines, PSNR", "depth error", "whole command s")
    columns += (" / ".join(STAGES) + " s", "Gaussians", "MB")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for experiment in EXPERIMENTS:
        if options.only and not any(part in experiment.name for part in options.only):
            continue
        clip_folder = (work if experiment.clip == "phantom" else options.clips) / experiment.clip
        if experiment.clip == "phantom":
            make_phantom(clip_folder)
        if not clip_folder.exists():
            print(f"| {experiment.name} | no {clip_folder.name} in {options.clips.name} |" + " |" * 8)
            continue
        out = work / experiment.name.replace(", ", "_").replace(" ", "-")
        how = ("--device", options.device, "--out", str(out), "--overwrite", *experiment.options)
        endogs("reconstruct", str(clip_folder), *how)
        print(row(experiment, out, clip_folder), flush=True)


if __name__ == "__main__":
    main()
