"""Times a whole reconstruction on the GPU, how soon the fit reaches 35 dB, and how fast its scene is drawn.

    python benchmarks/fit_cuda.py --clip DIR [--presets fast balanced best] [--cpu]

DIR is `endonerf_pulling` as frame folders. The reconstruction is the command line in a process of its own, so that its
seconds are what a user waits. The fit is then taken step by step: its clock runs only while it trains, and every 25
steps the test frames are drawn and compared. Frames per second count deformation, projection, sorting and drawing of
colour, depth and alpha, one after the other, without copying images to the host.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch

from endogs.camera import Camera
from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.splits import split_frames
from endogs.evaluate.metrics.metrics import psnr
from endogs.fit.config import PRESETS
from endogs.fit.loop import Fit
from endogs.fit.setup import finished_scene, new_optimizer
from endogs.fit.window import whole_clip
from endogs.priors.depth.choose import ClipDepth, choose_depth_prior
from endogs.priors.motion.flow import ClipFlows
from endogs.render.native import render_planes
from endogs.scene import Scene, SplineDeformation
from endogs.scene.origin import Origin
from endogs.seeding.placement import StartStyle, still_gaussians

IGNORED_ROWS = "495:512"
EVERY = 25
STAGES = ("read", "priors", "init", "fit", "evaluate", "write")


def reconstruct(clip: Path, preset: str, device: str, work: Path) -> str:
    out = work / f"{preset}_{device}"
    options = ["--ignore-rows", IGNORED_ROWS, "--preset", preset, "--device", device, "--out", str(out)]
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "endogs", "reconstruct", str(clip), *options], check=True, capture_output=True
    )
    wall = time.perf_counter() - begin
    run, metrics = (json.loads((out / name).read_text()) for name in ("run.json", "metrics.json"))
    seconds, mean = run["seconds"], metrics["mean"]
    stages = " | ".join(f"{seconds.get(stage, 0):.2f}" for stage in STAGES)
    return (
        f"| {preset} | {run['device']} | {mean['psnr']:.2f} / {mean['psnr_masked']:.2f} | {stages} | {wall:.1f} "
        f"| {run['gaussians']} |"
    )


def held_out_psnr(fit: Fit, clip: Clip, test: list[int]) -> float:
    """Mean PSNR of the test frames, in the literature's convention."""
    values = []
    with torch.no_grad():
        for i in test:
            packed = fit.optimizer.packed_at(float(clip.times[i]))
            color = render_planes(packed, clip.camera(i))[:3].permute(1, 2, 0)
            values.append(psnr(color.cpu().numpy(), clip.image(i), clip.tissue_mask(i)))
    return float(np.mean(values))


def train(folder: Path) -> tuple[Scene, list[tuple[float, int, float]]]:
    """The fitted scene, and (seconds of training, steps, test PSNR) along the way."""
    clip = load_clip(folder, ClipOptions(ignore_rows=(IGNORED_ROWS,)))
    split, config, device = split_frames(len(clip), "standard"), PRESETS["balanced"], torch.device("cuda")
    flows = ClipFlows(clip.image)
    flows.precompute(split.train)
    depth = ClipDepth(clip, choose_depth_prior("auto", clip), split.train, clip.tissue_mask, flows)
    window = whole_clip(clip, split.train, flows, depth, config, device)
    fit = Fit(new_optimizer(clip, window, config, device), window, config, 0)
    window.prepare(range(len(window.real) + window.virtual_count))
    seconds, curve = 0.0, []
    while fit.step < config.iterations:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        fit.advance(EVERY - fit.step % EVERY)
        torch.cuda.synchronize()
        seconds += time.perf_counter() - begin
        if fit.step % EVERY == 0:
            curve.append((seconds, fit.step, held_out_psnr(fit, clip, split.test)))
    return finished_scene(fit.optimizer, clip, False, Origin()), curve


def frames_per_second(scene: Scene, camera: Camera, frames: int = 300) -> float:
    times = np.linspace(0, scene.duration, frames)
    with torch.no_grad():
        for t in times[:20]:
            render_planes(scene.packed_at(float(t)), camera)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for t in times:
            render_planes(scene.packed_at(float(t)), camera)
        torch.cuda.synchronize()
    return frames / (time.perf_counter() - begin)


def million(scene: Scene) -> torch.Tensor:
    """A million small Gaussians on a plane that fills the view of the scene's camera."""
    generator = torch.Generator().manual_seed(0)
    count, K = 1_000_000, scene.K[0]
    pixels = torch.rand(count, 2, generator=generator).numpy() * [scene.width, scene.height]
    means = np.concatenate([(pixels - K[:2, 2]) / [K[0, 0], K[1, 1]] * 100, np.full((count, 1), 100.0)], 1)
    colors = torch.rand(count, 3, generator=generator).numpy()
    packed = still_gaussians(means, colors, np.full(count, 0.6 * 100 / K[0, 0]), StartStyle(0.8, 1.0))
    return packed.cuda()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--presets", nargs="*", default=["fast", "balanced", "best"])
    parser.add_argument("--cpu", action="store_true", help="also reconstruct on the processor, with the default preset")
    options = parser.parse_args()
    print(f"{date.today()}  {torch.cuda.get_device_name()}  torch {torch.__version__}")
    print(
        "| preset | device | PSNR zeroed / masked | read s | priors s | init s | fit s | evaluate s | write s ", end=""
    )
    print("| whole command s | Gaussians |\n|" + "---|" * 11)
    with tempfile.TemporaryDirectory() as work:
        for preset in options.presets:
            print(reconstruct(options.clip, preset, "cuda", Path(work)), flush=True)
        if options.cpu:
            print(reconstruct(options.clip, "balanced", "cpu", Path(work)), flush=True)
    scene, curve = train(options.clip)
    for goal in (30, 35, 37, 38, 39):
        reached = next((point for point in curve if point[2] >= goal), None)
        print(f"{goal} dB: " + ("not reached" if reached is None else f"{reached[0]:.2f} s, {reached[1]} steps"))
    print(f"end: {curve[-1][0]:.2f} s, {curve[-1][1]} steps, {curve[-1][2]:.2f} dB, {len(scene)} Gaussians")
    camera = scene.camera(0).to("cpu")
    print(f"render, deforming, {scene.width} x {scene.height}: {frames_per_second(scene, camera):.0f} frames/s")
    print(f"render, deforming, 4K: {frames_per_second(scene, camera.scaled(3840 / scene.width), 100):.0f} frames/s")
    knots = scene.deformation.knots
    scene.base, scene.deformation = million(scene), SplineDeformation.at_rest(1_000_000, knots, "cuda")
    print(f"render, deforming, 1 M Gaussians: {frames_per_second(scene, camera, 100):.0f} frames/s")


if __name__ == "__main__":
    main()
