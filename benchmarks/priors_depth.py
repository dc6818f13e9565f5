"""How good depth priors are against known depth, and what they do to a fit.

    python benchmarks/priors_depth.py --clips DIR [--only priors fits] [--preset fast] [--work DIR]

DIR holds `d4d_bowel_lift` as frame folders with depth and right views; what is missing is named and left out. The
phantom is made here. Times are processor time of one frame on one thread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import spearmanr

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.priors.depth.choose import ClipDepth, DepthInput, DepthPrediction, DepthPrior, PhotometricDepth, StereoDepth
from endogs.priors.motion.flow import ClipFlows, consistency_mask, warp

PHANTOM = ["--frames", "60", "--instruments", "2", "--seed", "3", "--view", "stereo"]
FIT_DEPTHS = ("given", "stereo", "photometric")


def endogs(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "endogs", *arguments], check=True, stdout=subprocess.DEVNULL)


def scores(prediction: DepthPrediction, truth: np.ndarray, tissue: np.ndarray) -> list[float]:
    """Abs-rel scaled by the median ratio (mean, median), after a log-affine fit, delta < 1.25, Spearman, coverage."""
    where = tissue & (truth > 0)
    ok = where & (prediction.confidence > 0) & np.isfinite(prediction.value)
    coverage = ok.sum() / max(where.sum(), 1)
    z = truth[ok].astype(float)
    value = prediction.value[ok].astype(float)
    log_guess = value if prediction.kind == "logdepth" else np.log(value)
    guess = np.exp(log_guess)
    relative = np.abs(guess * np.median(z / guess) / z - 1)
    basis = np.stack([log_guess, np.ones_like(log_guess)], 1)
    fitted = np.exp(basis @ np.linalg.lstsq(basis, np.log(z), rcond=None)[0])
    some = np.random.default_rng(0).choice(z.size, min(z.size, 20_000), replace=False)
    rank = spearmanr(guess[some], z[some])[0] if np.ptp(guess) > 0 else float("nan")
    return [
        float(relative.mean()),
        float(np.median(relative)),
        float(np.abs(fitted / z - 1).mean()),
        float((relative < 0.25).mean()),
        float(rank),
        float(coverage),
    ]


def flicker(values: list[np.ndarray], masks: list[np.ndarray], flows: ClipFlows) -> float:
    """Mean |change of log z| along the flow between neighbouring frames, their median change taken out."""
    found = []
    for k in range(len(values) - 1):
        forth, back = flows.flow(k, k + 1), flows.flow(k + 1, k)
        change = warp(values[k + 1], forth) - values[k]
        ok = consistency_mask(forth, back) & masks[k] & np.isfinite(change)
        found.append(float(np.abs(change[ok] - np.median(change[ok])).mean()))
    return float(np.mean(found))


def judge_prior(name: str, prior: DepthPrior, clip: Clip) -> str:
    frames = list(range(len(clip)))
    prior.prepare(clip, frames, clip.tissue_mask)
    rows, seconds = [], []
    for i in frames:
        frame = DepthInput.of(clip, i)
        begin = time.process_time()
        prediction = prior.predict(frame)
        seconds.append(time.process_time() - begin)
        truth = clip.depth(i)
        assert truth is not None
        rows.append(scores(prediction, truth, frame.tissue_mask))
    mean, median, affine, close, rank, coverage = np.mean(rows, axis=0)
    return (
        f"| {clip.name}, {len(clip)} frames | {name} | {mean:.3f} | {median:.4f} | {affine:.3f} | {close:.3f} "
        f"| {rank:.2f} | {100 * coverage:.0f} % | {1000 * np.median(seconds):.0f} |"
    )


def print_priors(clips: dict[str, Path], phantom: Path) -> None:
    print("| clip | prior | abs-rel | its median | log-affine | < 1.25 | Spearman | coverage | ms, one thread |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path, stride in ((clips.get("d4d"), 6), (phantom, 6)):
        if path is None:
            continue
        clip = load_clip(path, ClipOptions(stride=stride))
        for name, prior in (
            ("photometric", PhotometricDepth()),
            ("stereo", StereoDepth()),
        ):
            print(judge_prior(name, prior, clip), flush=True)
    print("\n| clip | flicker of log z, single frames | blended along the flow |\n|---|---|---|")
    for path in (*clips.values(), phantom):
        # Every frame, because flicker is between neighbours, for a second.
        rows = ("495:512",) if "pulling" in path.name else ()
        clip = load_clip(path, ClipOptions(start=1.0, end=2.0, ignore_rows=rows))
        frames = list(range(len(clip)))
        flows = ClipFlows(clip.image)
        flows.precompute(frames)
        prior = PhotometricDepth()
        masks = [clip.tissue_mask(i) for i in frames]
        blended = ClipDepth(clip, prior, frames, clip.tissue_mask, flows)
        single = [prior.predict(DepthInput.of(clip, i)).value for i in frames]
        both = [flicker(v, masks, flows) for v in (single, [blended.prediction(i).value for i in frames])]
        print(f"| {clip.name}, {len(clip)} frames | {both[0]:.4f} | {both[1]:.4f} |", flush=True)


def print_fits(clips: dict[str, Path], phantom: Path, work: Path, preset: str) -> None:
    print("\n| clip | depth | PSNR zeroed / masked | depth error, median | abs-rel | total s |")
    print("|---|---|---|---|---|---|")
    for path, options in ((clips.get("d4d"), ["--stride", "3"]), (phantom, [])):
        if path is None:
            continue
        for depth in FIT_DEPTHS:
            out = work / f"{path.name}_{depth}"
            how = ["--depth", depth, "--preset", preset, *options]
            endogs("reconstruct", str(path), "--out", str(out), "--overwrite", *how)
            metrics = json.loads((out / "metrics.json").read_text())
            mean, total = metrics["mean"], json.loads((out / "run.json").read_text())["seconds"]["total"]
            error = mean.get("depth_median_abs_mm", mean.get("depth_median_abs"))
            print(
                f"| {path.name} | {depth} | {mean['psnr']:.2f} / {mean['psnr_masked']:.2f} | {error:.2f} mm "
                f"| {mean['depth_abs_rel']:.4f} | {total:.0f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=("priors", "fits"), default=("priors", "fits"))
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--work", type=Path, help="keep the results in this folder")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    phantom = work / "phantom"
    if not phantom.exists():
        endogs("phantom", str(phantom), *PHANTOM)
    folders = {"d4d": options.clips / "d4d_bowel_lift", "pulling": options.clips / "endonerf_pulling"}
    for path in folders.values():
        if not path.exists():
            print(f"no {path.name} in {options.clips.name}")
    clips = {name: path for name, path in folders.items() if path.exists()}
    print(date.today())
    if "priors" in options.only:
        print_priors(clips, phantom)
    if "fits" in options.only:
        print_fits(clips, phantom, work, options.preset)


if __name__ == "__main__":
    main()
