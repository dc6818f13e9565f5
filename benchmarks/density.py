"""Density control, gradient balance and normals, side by side at equal iterations and an equal cap of Gaussians.

    python benchmarks/density.py --clips DIR --cost
    python benchmarks/density.py --clips DIR [--only WORD ...] [--device cuda] [--iterations N] [--gaussians CAP]
                                 [--max-size PIXELS] [--seconds S] [--phantom-frames N] [--phantom-size W H]
                                 [--seeds N] [--preset NAME] [--work DIR]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; what is missing is named and left out. The phantom
is made here. Every fit starts from half the cap and may grow to all of it; "none, all at first" starts from the cap.
Depth errors are against the phantom's truth, or against the stereo depth that came with d4d, of whose test frames the
fit was told nothing; where depth is relative, each frame is first scaled to the truth's median. `--cost` times the
steps of d4d instead, alternating between the kinds, so that the machine's other guests slow all of them alike.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from endogs.fit.objective.normal_loss import depth_normals

from endogs import native
from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.splits import split_frames
from endogs.fit.bloop import Bloop
from endogs.fit.config import PRESETS, FitConfig, Reconstruct
from endogs.fit.density import Population
from endogs.fit.loop import Fit, smoothness_at
from endogs.pictures.scene_frames import picture
from endogs.pipeline import reconstruct as pipeline
from endogs.pipeline.run_record import StageClock
from endogs.priors.depth import DepthInput, DepthKind, DepthPrediction
from endogs.priors.prediction import TissueMasks
from endogs.scene import Scene

CLIPS = {"pulling": "endonerf_pulling", "d4d": "d4d_bowel_lift", "phantom": "phantom"}


@dataclass(frozen=True)
class Row:
    """One kind of fit of one clip."""

    clip: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    """Of Reconstruct."""
    numbers: dict[str, Any] = field(default_factory=dict)
    """Of FitConfig, beside the preset's."""
    all_at_first: bool = False
    simulated_prior: bool = False
    """Whether the fit sees the given depth as a learned model would tell it."""


class SimulatedLearnedDepth:
    """The given depth as disparity of unknown scale and offset, blurred, with a slow error of 5 % of its own per frame:
    about what a learned model says of a scene, without its weights.
    """

    kind: DepthKind = "disparity"
    temporal = False

    def prepare(self, clip: Clip, frames: list[int], masks: TissueMasks) -> list[str]:
        """Nothing to learn."""
        return []

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Disparity, 1 at the median, raised by 0.2."""
        depth = frame.given
        known = depth > 0
        disparity = np.where(known, np.median(depth[known]) / np.where(known, depth, 1), 1).astype(np.float32)
        error = np.random.default_rng(int(frame.image.sum())).normal(size=(6, 8)).astype(np.float32)
        error = cv2.resize(error, depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
        value = cv2.GaussianBlur(disparity * (1 + 0.05 * error) + 0.2, (0, 0), 1.5)
        return DepthPrediction(value, "disparity", (known & frame.tissue_mask).astype(np.float32))

    def about(self) -> dict[str, Any]:
        """For run.json."""
        return {"prior": "simulated learned", "kind": self.kind}


def rows() -> list[Row]:
    methods = [
        Row("", "density none", {"density": "none"}),
        Row("", "density none, all at first", {"density": "none"}, all_at_first=True),
        Row("", "density residual", {"density": "residual"}),
        Row("", "density absgrad", {"density": "absgrad"}),
        Row("", "density adaptive", {"density": "adaptive"}),
        Row("", "density mcmc", {"density": "mcmc"}),
    ]
    found = [replace(row, clip=clip) for clip in ("pulling", "phantom") for row in methods]
    for clip in ("phantom", "d4d"):
        for weight in (0.2, 2.0):
            for balance in ("sum", "bloop"):
                name = f"balance {balance}, depth weight {weight:g}"
                found.append(Row(clip, name, {"balance": balance, "depth": "given"}, {"depth_weight": weight}))
        for weight in (0.0, 0.01, 0.1):
            found.append(Row(clip, f"normals {weight:g}, given depth", {"normal_weight": weight, "depth": "given"}))
    for weight in (0.0, 0.01, 0.1):
        name = f"normals {weight:g}, depth from brightness"
        found.append(Row("phantom", name, {"normal_weight": weight, "depth": "photometric"}))
    for weight in (0.0, 0.01, 0.1):
        name = f"normals {weight:g}, simulated learned depth"
        found.append(Row("phantom", name, {"normal_weight": weight}, simulated_prior=True))
    return found


def geometry(scene: Scene, clip: Clip, folder: Path, relative: bool) -> tuple[float, float, float]:
    """Median depth error over visible tissue and behind instruments, mm, and median angle between the normals of the
    drawn depth and of the true one over visible tissue, degrees; on test frames, against the phantom's truth.
    """
    visible, behind, angles = [], [], []
    for i in split_frames(len(clip), "standard").test:
        _, depth = picture(scene, float(clip.times[i]))
        name = f"truth/depth_without_instruments/{i:06d}.png"
        truth = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED).astype(np.float32) * 0.01
        tissue, known = clip.tissue_mask(i), (depth > 0) & (truth > 0)
        if relative:
            depth = depth * np.median(truth[tissue & known] / depth[tissue & known])
        error = np.abs(depth - truth)
        visible.append(error[tissue & known])
        behind.append(error[~tissue & known])
        K = torch.from_numpy(clip.K[i])
        # The truth is stored to a hundredth of a millimetre: smoothed as the viewer does before it shows normals.
        ours, theirs = (depth_normals(torch.from_numpy(cv2.GaussianBlur(z, (0, 0), 1.5)), K) for z in (depth, truth))
        cosine = (ours * theirs).sum(-1).clamp(-1, 1)
        inner = cv2.erode((tissue & known).view(np.uint8), np.ones((9, 9), np.uint8))[1:-1, 1:-1] > 0
        angles.append(np.degrees(np.arccos(cosine.numpy()))[inner])
    return tuple(float(np.median(np.concatenate(part))) for part in (visible, behind, angles))


def preset(name: str, cap: int | None, row: Row) -> FitConfig:
    """The preset's numbers, its counts scaled to the cap so that every method starts from half of it."""
    config = PRESETS[name]
    cap = config.gaussians_cap if cap is None else cap
    start, times = cap // 2, [part for part, _ in config.insertions]
    insertions = tuple((part, -(-(cap - start) // len(times))) for part in times)
    config = replace(config, gaussians_cap=cap, initial_gaussians=start, insertions=insertions, **row.numbers)
    return replace(config, initial_gaussians=cap) if row.all_at_first else config


def fit(row: Row, folder: Path, options: argparse.Namespace, seed: int, out: Path) -> dict[str, float]:
    """What one fit scores."""
    stride = {"d4d": 3, "pulling": 1}.get(row.clip, 1)
    clip_options = ClipOptions(
        stride=stride,
        end=options.seconds if row.clip != "phantom" else None,
        max_size=options.max_size if row.clip != "phantom" else None,
        ignore_rows=("495:512",) if row.clip == "pulling" else (),
    )
    PRESETS["this row"] = preset(options.preset, options.gaussians, row)  # type: ignore[index]
    config = Reconstruct(
        folder,
        out=out,
        preset="this row",  # type: ignore[arg-type]
        clip=clip_options,
        iterations=options.iterations,
        device=options.device,
        seed=seed,
        **row.options,
    )
    chosen = pipeline.choose_depth_prior
    if row.simulated_prior:
        pipeline.choose_depth_prior = lambda *given: SimulatedLearnedDepth()
    try:
        result = pipeline.execute(config, StageClock())
    finally:
        pipeline.choose_depth_prior = chosen
    mean, log = result.metrics["mean"], (out / "metrics.jsonl").read_text().splitlines()
    found = {
        "PSNR": mean["psnr"],
        "over tissue": mean["psnr_masked"],
        "SSIM": mean["ssim"],
        "training, running": json.loads(log[-1])["psnr"],
        "Gaussians": result.record["gaussians"],
        "fit s": result.record["seconds"]["fit"],
    }
    clip = load_clip(folder, clip_options)
    if row.clip == "phantom":
        relative = result.scene.units == "relative"
        errors = geometry(result.scene, clip, folder, relative)
        found |= dict(zip(("depth mm", "behind mm", "normals deg"), errors, strict=True))
    elif mean.get("depth_median_abs_mm") is not None:
        found["depth mm"] = mean["depth_median_abs_mm"]
    return found


STEP_KINDS: dict[str, dict[str, Any]] = {
    "sum": {},
    "sum, screen gradients": {},
    "bloop": {"balance": "bloop"},
    "sum, normals": {"normal_weight": 0.01},
    "bloop, normals": {"balance": "bloop", "normal_weight": 0.01},
}


class StepCosts:
    """Times steps of a fit that is about to begin: a watcher of `execute`."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def begin(self, fit: Fit, clip: Clip, metric: bool) -> None:
        """Takes `rounds` steps of every kind in turn, and prints the mean of each and its ratio to the first."""
        objectives = {
            kind: replace(fit._objective, config=replace(fit.config, **numbers), watch_screen="screen" in kind)
            for kind, numbers in STEP_KINDS.items()
        }
        bloop = Bloop(Population(fit.optimizer), fit.config.bloop_rate)
        spent = dict.fromkeys(objectives, 0.0)
        for step in range(-5, self.rounds):
            view = fit.views[step % len(fit.views.real)]
            for kind, objective in objectives.items():
                began = time.perf_counter()
                packed = fit.optimizer.packed_at(view.time)
                result = objective.evaluate(packed, view, smoothness_at(step))
                grad = bloop.combine(result.grad, result.auxiliary) if objective.apart else result.grad
                fit.optimizer.step(grad, view.time, 0.0)
                if packed.device.type == "cuda":
                    torch.cuda.synchronize()
                spent[kind] += (time.perf_counter() - began) * (step >= 0)
        first = next(iter(spent.values()))
        print("| step | ms | ratio |\n|---|---|---|")
        for kind, seconds in spent.items():
            print(f"| {kind} | {1e3 * seconds / self.rounds:.1f} | {seconds / first:.2f} |")

    def on_step(self, fit: Fit) -> None:
        """Nothing."""

    def finished(self, scene: Scene, interrupted: bool) -> None:
        """Nothing."""


COLUMNS = {
    "PSNR": ".2f", "over tissue": ".2f", "SSIM": ".4f", "training, running": ".2f", "depth mm": ".3f",
    "behind mm": ".3f", "normals deg": ".2f", "Gaussians": ".0f", "fit s": ".1f",
}  # fmt: skip


def line(row: Row, runs: list[dict[str, float]]) -> str:
    """Means over the seeds, with half the range where there are several."""
    cells = []
    for name, shape in COLUMNS.items():
        values = [run[name] for run in runs if name in run]
        if not values:
            cells.append("")
            continue
        spread = (max(values) - min(values)) / 2
        cells.append(format(np.mean(values), shape) + (f" ± {spread:{shape}}" if len(values) > 1 else ""))
    return f"| {row.clip} | {row.name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of the real clips")
    parser.add_argument("--cost", action="store_true", help="time steps instead")
    parser.add_argument("--only", nargs="*", help="words that the clip and name of a row hold, all of them")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--gaussians", type=int, help="the cap")
    parser.add_argument("--max-size", type=int, help="longer side of the real clips, pixels")
    parser.add_argument("--seconds", type=float, help="how much of the real clips")
    parser.add_argument("--phantom-frames", type=int, default=60)
    parser.add_argument("--phantom-size", type=int, nargs=2, default=(640, 512), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, help="keep the results in this folder")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    print(f"{date.today()}  {native.threads()} threads  {native.instruction_set()}  device {options.device}")
    if options.cost:
        clip_options = ClipOptions(stride=3, end=options.seconds, max_size=options.max_size)
        folder = options.clips / CLIPS["d4d"]
        config = Reconstruct(folder, out=work / "cost", clip=clip_options, iterations=0, device=options.device)
        pipeline.execute(config, StageClock(), StepCosts(rounds=100))
        return
    print("| clip | fit | " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "---|" * len(COLUMNS))
    for number, row in enumerate(rows()):
        if options.only and not all(word in f"{row.clip} {row.name}" for word in options.only):
            continue
        folder = work / "phantom" if row.clip == "phantom" else (options.clips or Path()) / CLIPS[row.clip]
        if row.clip == "phantom" and not folder.exists():
            width, height = options.phantom_size
            size = ["--width", str(width), "--height", str(height), "--frames", str(options.phantom_frames)]
            made = [sys.executable, "-m", "endogs", "phantom", str(folder), "--instruments", "2", "--seed", "3", *size]
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        if row.clip != "phantom" and (options.clips is None or not folder.exists()):
            print(f"| {row.clip} | {row.name} | no {folder.name} in --clips |" + " |" * (len(COLUMNS) - 1))
            continue
        runs = [fit(row, folder, options, seed, work / f"{number:02d}_seed{seed}") for seed in range(options.seeds)]
        print(line(row, runs), flush=True)


if __name__ == "__main__":
    main()
