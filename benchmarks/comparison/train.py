"""One run: fit a model, with a clock that runs only while it trains, and measure what came out."""

import contextlib
import ctypes
import gc
import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from endogs import native
from endogs.depth_colors import color_depth, robust_range
from endogs.device import usable_cores
from endogs.evaluate.evaluate import render_frame
from endogs.evaluate.metrics.flip import flip_map
from endogs.evaluate.metrics.metrics import to_8bit
from endogs.fit.config import FitConfig
from endogs.fit.loop import Fit
from endogs.fit.setup import finished_scene, new_optimizer
from endogs.render.native import render_planes
from endogs.scene import Scene
from endogs.scene.origin import Origin

from .phantom_truth import phantom_errors
from .prepared import Prepared
from .rows import Run, fit_config

CURVE = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the steps after which the test frames are looked at."""
LEAST_STEPS = 20
BETWEEN_LOOKS = 20
"""Steps at a time, where a GPU takes many, of a run that is stopped by the clock."""
WARM_STEPS, WARM_GAUSSIANS = 3, 1000
DRAWN_FRAMES = 40
"""Frames drawn to time rendering, at most."""


class TooLong(RuntimeError):
    """A run trains longer than it may."""

    def __init__(self, seconds: float, step: int, clock: str) -> None:
        super().__init__(f"training was stopped after {seconds:.0f} s, at step {step}")
        self.progress = {"train_seconds": seconds, "steps": step, "clock": clock}


def execute(
    prepared: Prepared, run: Run, reference: dict[str, Any] | None, most_seconds: float, picture: Path
) -> dict[str, Any]:
    """Fit and measure; returns what the run's JSON file holds, and draws the worst test frame into `picture`.

    `reference` is a record of the same row, which says how many steps fit into `run.seconds`; a recipe keeps its
    schedule, and is stopped after its seconds. Raises whatever the fit raises, and TooLong after `most_seconds` of
    training.
    """
    with native.cores_for_kernels():
        return _execute(prepared, run, reference, most_seconds, picture)


def _execute(
    prepared: Prepared, run: Run, reference: dict[str, Any] | None, most_seconds: float, picture: Path
) -> dict[str, Any]:
    iterations = run.iterations
    stop = run.seconds if run.is_stopped and run.seconds is not None else math.inf
    if run.seconds is not None and not run.is_stopped:
        if reference is None or reference.get("clock", "wall") != clock_name(prepared.device):
            raise RuntimeError("no run of this model with a number of steps and this clock tells its speed")
        iterations = max(LEAST_STEPS, round(reference["steps"] * run.seconds / reference["train_seconds"]))
    config = fit_config(run.row, iterations, run.gaussians, len(prepared.clip))
    device = prepared.device
    warm_up(prepared, run, config)
    forget_peak(device)
    begin = time.perf_counter()
    window = prepared.window(config)
    synchronize(device)
    views_seconds, begin = time.perf_counter() - begin, time.perf_counter()
    fit = start(prepared, run, config)
    synchronize(device)
    init_seconds = time.perf_counter() - begin

    def scene() -> Scene:
        origin = Origin(depth_kind=prepared.depth.kind)
        return finished_scene(fit.optimizer, prepared.clip, window.metric, origin)

    marks = sorted({max(1, round(share * config.iterations)) for share in CURVE})
    curve: list[dict[str, float]] = []
    seconds = 0.0
    clock = training_clock(device)
    for mark in marks:
        if seconds >= stop:
            break
        begin = clock()
        while fit.step < mark and seconds + clock() - begin < stop:
            fit.advance(mark - fit.step if stop == math.inf else min(mark - fit.step, BETWEEN_LOOKS))
            if seconds + clock() - begin > most_seconds:
                raise TooLong(seconds + clock() - begin, fit.step, clock_name(device))
        synchronize(device)
        seconds += clock() - begin
        curve.append({"seconds": seconds, "step": fit.step, "psnr": prepared.curve_psnr(scene())})
    peak, gpu_peak = peak_megabytes(device)
    fitted = scene()
    parameters = fitted.base.numel() + sum(t.numel() for t in fitted.deformation.tensors().values())
    record = {
        "steps": fit.step,
        "train_seconds": seconds,
        "clock": clock_name(device),
        "init_seconds": init_seconds,
        "views_seconds": views_seconds,
        "priors_seconds": prepared.seconds,
        "gaussians": len(fitted),
        "parameters": parameters,
        "peak_mb": peak,
        "gpu_peak_mb": gpu_peak,
        "render_fps": frames_per_second(fitted),
        "curve": curve,
    }
    record |= prepared.measured(fitted)
    worst = min(record["per_frame"], key=lambda row: row["psnr"])
    draw_frame(prepared, fitted, worst["frame"], picture)
    record["phantom"] = phantom_errors(fitted, prepared.clip, prepared.folder, prepared.split)
    return record


def start(prepared: Prepared, run: Run, config: FitConfig) -> Fit:
    """The fit before its first step."""
    window = prepared.window(config)
    optimizer = new_optimizer(prepared.clip, window, config, prepared.device, seed=run.seed)
    return Fit(optimizer, window, config, run.seed)


def warm_up(prepared: Prepared, run: Run, config: FitConfig) -> None:
    """A few steps of a small fit, once per model and process: libraries load at their first use."""
    if run.row.name in prepared.warm:
        return
    prepared.warm.add(run.row.name)
    small = replace(config, iterations=WARM_STEPS, initial_gaussians=WARM_GAUSSIANS, insertions=())
    fit = start(prepared, run, small)
    while fit.step < WARM_STEPS:
        fit.advance(WARM_STEPS - fit.step)
    prepared.curve_psnr(finished_scene(fit.optimizer, prepared.clip, prepared.window(config).metric, Origin()))


def frames_per_second(scene: Scene) -> float:
    """Deforming and drawing colour, depth and alpha over the clip, one frame after the other."""
    frames = np.linspace(0, len(scene.times) - 1, min(DRAWN_FRAMES, len(scene.times))).round().astype(int)
    frames = np.concatenate([frames, frames]) if scene.base.device.type == "cuda" else frames
    cameras = [scene.camera(int(i)).to("cpu") for i in frames]
    with torch.no_grad():
        render_planes(scene.shown_at(float(scene.times[0]), cameras[0]), cameras[0])
        synchronize(scene.base.device)
        begin = time.perf_counter()
        for i, camera in zip(frames, cameras, strict=True):
            render_planes(scene.shown_at(float(scene.times[i]), camera), camera)
        synchronize(scene.base.device)
    return len(frames) / (time.perf_counter() - begin)


def draw_frame(prepared: Prepared, scene: Scene, index: int, file: Path) -> None:
    """A PNG of a judged frame: what was seen, what is drawn, where it would be noticed (FLIP), depth."""
    frame = next(judged for judged in prepared.judged if judged.frame == index)
    color, depth = render_frame(scene, frame.time, frame.camera)
    error = cv2.applyColorMap(
        (flip_map(color, frame.target, frame.tissue_mask) * 255).astype(np.uint8), cv2.COLORMAP_MAGMA
    )
    panels = [frame.target, to_8bit(color), error[..., ::-1], color_depth(depth, *robust_range([depth]))]
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.hstack(panels)[..., ::-1])


def training_clock(device: torch.device) -> Callable[[], float]:
    """Seconds that pass; of this process's work where it has one core, where other programs would only blur them."""
    return time.process_time if clock_name(device) == "processor" else time.perf_counter


def clock_name(device: torch.device) -> str:
    """What `training_clock` counts: "processor" or "wall"."""
    return "processor" if device.type == "cpu" and usable_cores() == 1 else "wall"


def synchronize(device: torch.device) -> None:
    """Wait for the GPU, where there is one."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    """Start measuring peak memory anew, with what earlier runs have left given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # elsewhere the peak is the process's own, of all its runs
        return


def peak_megabytes(device: torch.device) -> tuple[float, float | None]:
    """Largest resident size of the process, clip and priors included, and of torch's memory on the GPU, MB."""
    gpu = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), gpu
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, gpu
