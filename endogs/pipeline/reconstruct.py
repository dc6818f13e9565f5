"""`endogs reconstruct`: read, guess, initialize, fit, write and evaluate."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from endogs import native
from endogs.clip import Clip, load_clip
from endogs.clip.splits import Split, split_frames
from endogs.device import choose_device, device_name
from endogs.errors import InputError
from endogs.evaluate.evaluate import evaluate_scene, write_metrics
from endogs.evaluate.preview import write_preview
from endogs.evaluate.summary import value_text
from endogs.fit.checkpoint import load_checkpoint
from endogs.fit.config import Reconstruct
from endogs.fit.loop import Fit, run_fit, run_identity
from endogs.fit.memory import fit_bytes, gpu_fit_bytes, memory_note
from endogs.fit.setup import differences, finished_scene, new_optimizer
from endogs.fit.views import TrainingViews, frames_with_depth
from endogs.memory_budget import machine_bytes
from endogs.pipeline.notes import (
    below_interpolation_note,
    few_frames_note,
    longer_fit_note,
    nothing_fitted_note,
    replaced_note,
    slow_note,
)
from endogs.pipeline.prior_progress import PriorProgress
from endogs.pipeline.recipe import with_recipe
from endogs.pipeline.run_record import (
    StageClock,
    peak_memory_mb,
    software_versions,
    to_json,
    write_json,
    write_json_lines,
)
from endogs.priors.depth import ClipDepth, choose_depth_prior
from endogs.priors.flow import ClipFlows
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.render import choose_backend
from endogs.scene import Scene
from endogs.scene.scene_file import FILE_NAME, save_scene
from endogs.scene.visibility import find_visibility

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT."""
PRIORS = "priors"
"""Folder in the output folder that keeps what was guessed for the next run."""


@dataclass(frozen=True)
class Result:
    """What a reconstruction leaves."""

    scene: Scene
    """On the CPU, wherever it was fitted."""
    out: Path
    """Folder of scene.safetensors, run.json, metrics.json, metrics.jsonl and preview.mp4."""
    metrics: dict[str, Any]
    """As in metrics.json; empty after Ctrl-C."""
    record: dict[str, Any]
    """As in run.json."""


def reconstruct(input: str | Path, **options: Any) -> Result:
    """Fit a deformable scene to a clip; options are those of `endogs.fit.config.Reconstruct`.

    `reconstruct("clip.mp4", preset="fast", clip=ClipOptions(stride=2))`; `reconstruct("scared", data="keyframe_1")`
    runs a data set's recipe, whose options are replaced by those given, `clip` as a whole. Raises InputError for bad
    input and FitDiverged when the fit produces numbers that are not finite.
    """
    if options.get("live"):
        raise InputError("live: a fit is watched from the command line; use endogs reconstruct --live")
    options = with_recipe({"input": input, **options})
    options = {key: Path(value) if key in ("input", "out") else value for key, value in options.items()}
    return execute(Reconstruct(**options), StageClock())


class Watcher(Protocol):
    """Somebody who looks on while a scene is fitted."""

    def begin(self, fit: Fit, clip: Clip, metric: bool) -> None:
        """Before the first step; `metric` says whether depth is in the clip's units."""

    def on_step(self, fit: Fit) -> None:
        """Between steps."""

    def finished(self, scene: Scene, interrupted: bool) -> None:
        """When everything is written."""


def run(config: Reconstruct, watcher: Watcher | None = None) -> None:
    """The command line's verb; leaves with 130 after Ctrl-C, so that scripts stop too."""
    result = execute(config, StageClock(from_process_start=True), watcher)
    print_summary(result)
    if watcher is not None:
        watcher.finished(result.scene, result.record["interrupted"])
    if result.record["interrupted"]:
        raise SystemExit(INTERRUPTED)


def execute(config: Reconstruct, clock: StageClock, watcher: Watcher | None = None) -> Result:
    """The whole pipeline. Raises InputError also when a GPU's memory runs out."""
    try:
        with native.cores_for_kernels():
            return _execute(config, clock, watcher)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"{config.input}: the GPU's memory is too small for this fit; use --device cpu, or a shorter range "
            "(--start, --end), --stride, --preset fast, --gaussians or --max-size"
        ) from error


def check_looks(clip: Clip, judges_right_view: bool) -> None:
    """InputError when what the clip's files say contradicts its pictures, so that the fit would be wrong."""
    if clip.contradictions:
        raise InputError(f"{clip.source}: {clip.contradictions[0].rstrip('.')}")
    pair = clip.pair_check
    if judges_right_view and pair is not None and (pair.fault is not None or pair.disagrees_with_given):
        raise InputError(f"{clip.source}: {pair.notes[0].rstrip('.')}; use --split standard")


def _execute(config: Reconstruct, clock: StageClock, watcher: Watcher | None) -> Result:
    out = config.out if config.out is not None else Path(f"{config.input.resolve().stem}_endogs")
    checkpoints = out / "checkpoints"
    check_output_folder(out)
    checkpoint = load_checkpoint(checkpoints) if config.resume else None
    config.fit_config()  # wrong options are said before anything is read
    device = choose_device(config.device)
    with clock.stage("read"):
        clip = load_clip(config.input, config.clip)
        fit_config = config.fit_config(len(clip))
        split = split_frames(len(clip), config.split)
        if split.test_view == "right" and not (clip.has_right and clip.has_depth):
            raise InputError(f"{clip.source}: --split novel-view needs right views and depth; use --split standard")
        check_looks(clip, split.test_view == "right")
        device = with_room(device, clip, config)
        if config.deterministic and device.type == "cuda" and config.deformation_kind() not in ("spline", "none"):
            raise InputError(
                f"--deterministic: on a GPU only splines repeat exactly; leave it out for --deformation "
                f"{config.deformation_kind()}, or use --device cpu"
            )
        tell_before_the_fit(clip, split, config, out, device)
    with clock.stage("priors"):
        clip = find_masks(clip, config)
        flows = ClipFlows(clip.image)
        prior = choose_depth_prior(config.depth, clip, config.depth_model, config.depth_model_output, str(device))
        depth = ClipDepth(clip, prior, split.train, clip.tissue_mask, flows, out / PRIORS)
        if config.depth_weight is not None and depth.kind != "metric":
            raise InputError(
                f"{clip.source}: --depth-weight is for depth that is given or from a right view, and here it is "
                "known only up to scale; leave it out"
            )
        if split.test_view == "right" and depth.kind != "metric":
            raise InputError(f"{clip.source}: --split novel-view needs depth in the clip's units; use --depth given")
        say(depth.notes)
        if depth.kind != "metric":
            say(["depth is only known up to scale here: the pictures can be trusted, lengths and shapes cannot."])
        with PriorProgress("motion") as progress:
            flows.precompute(split.train, progress)
        with PriorProgress(f"{depth.about()['prior']} depth") as progress:
            depth.precompute(frames_with_depth(split.train, depth.kind), progress)
        views = TrainingViews(clip, split.train, flows, clip.tissue_mask, depth, fit_config, device)
        if not views.metric and not clip.static_camera:
            print(
                "note: the camera moves but depth is only relative, so tissue and camera motion have different scales; "
                "expect blur, and give depth if there is any",
                file=sys.stderr,
            )
    identity = to_json(
        run_identity(
            fit_config,
            clip=clip.name,
            **to_json(config.clip),
            preset=config.preset,
            frames=[len(clip), clip.width, clip.height],
            duration=float(clip.times[-1]),
            backend=choose_backend(device=device),
            device=device.type,
            deterministic=config.deterministic,
            split=split.name,
            depth=depth.about(),
            masks=config.masks,
            **to_json(config.sam2),
            deformation=config.deformation_kind(),
            seed=config.seed,
        )
    )
    with clock.stage("init"):
        empty = checkpoint is not None
        optimizer = new_optimizer(clip, views, fit_config, config.deformation_kind(), device, empty, config.seed)
        fit = Fit(optimizer, views, fit_config, config.seed, identity, deterministic=config.deterministic)
        if checkpoint is not None:
            if checkpoint.run != identity:
                raise InputError(
                    f"{checkpoints}: the checkpoint belongs to a run with other input or options, or of another "
                    f"version ({differences(checkpoint.run, identity)}); repeat them or run without --resume"
                )
            fit.restore(checkpoint)
    make_output_folder(out)
    if not config.resume:  # an earlier run's checkpoint must not pass for this one's
        shutil.rmtree(checkpoints, ignore_errors=True)
    if watcher is not None:
        watcher.begin(fit, clip, views.metric)
    with clock.stage("fit"):
        run_fit(fit, checkpoints, on_step=None if watcher is None else watcher.on_step)
    about = {
        "clip": clip.name,
        "time_offset": clip.time_offset,
        "config": to_json(config),
        "split": to_json(split),
        "depth_kind": views.depth_kind,
        "depth_prior": depth.about(),
        "iterations": fit.step,
        "seed": config.seed,
        "versions": software_versions(),
    }
    scene = finished_scene(optimizer, clip, views.metric, about)
    with clock.stage("write"):
        scene.visibility = find_visibility(scene, clip.tissue_mask)
        for stale in ("metrics.json", "preview.mp4", "run.json"):  # an earlier run's would be taken for this scene's
            (out / stale).unlink(missing_ok=True)
        save_scene(scene, out / FILE_NAME)
        write_json_lines(fit.log, out / "metrics.jsonl")
    metrics: dict[str, Any] = {}
    if not fit.interrupted:
        metrics = judge(scene, clip, split, flows, out, clock)
        shutil.rmtree(checkpoints, ignore_errors=True)
    record = {
        "seconds": clock.record(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "gaussians": len(scene),
        "iterations": fit.step,
        "interrupted": fit.interrupted,
        "backend": choose_backend(device=device),
        "device": device_name(device),
        "depth": depth.about() | {"frames_computed": depth.computed, "frames_from_cache": depth.loaded},
        "config": to_json(config) | {"fit": to_json(fit_config)},
        "versions": software_versions(),
        "seed": config.seed,
    }
    write_json(record, out / "run.json")
    return Result(scene.to("cpu"), out, metrics, record)


def check_output_folder(out: Path) -> None:
    """Raises InputError now, and not after the fit, when `out` is a file, lies below one, or cannot be written to."""
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{out}: {existing} is a file; give a folder for --out")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{out}: {existing} may not be written to; give another --out")


def with_room(device: torch.device, clip: Clip, config: Reconstruct) -> torch.device:
    """The device, or the CPU where `--device auto` found a GPU that is too small, which is said."""
    if device.type != "cuda":
        return device
    needed = gpu_fit_bytes(len(clip), clip.width, clip.height, config.fit_config(len(clip)), config.deformation_kind())
    free = torch.cuda.mem_get_info(device)[0]
    if needed <= free:
        return device
    short = f"this fit needs about {needed / 1e9:.1f} GB of the GPU's memory, of which {free / 1e9:.1f} GB are free"
    auto = config.device == "auto"
    print(f"note: {short}; {'it runs on the processor' if auto else 'it may run out of it'}", file=sys.stderr)
    return torch.device("cpu") if auto else device


def tell_before_the_fit(clip: Clip, split: Split, config: Reconstruct, out: Path, device: torch.device) -> None:
    """To standard error: what was guessed, what will be heavy, and what happens until the first step."""
    fit_config = config.fit_config(len(clip))
    needed = fit_bytes(len(clip), clip.width, clip.height, fit_config, config.deformation_kind())
    say([*clip.notes, memory_note(needed, machine_bytes()) if device.type == "cpu" else None, slow_note(device)])
    say([few_frames_note(len(clip), split), nothing_fitted_note(fit_config.iterations)])
    say([longer_fit_note(len(clip), config.fit_config().iterations, fit_config.iterations)])
    say([replaced_note(out, config.resume)])
    what = f"{len(clip)} frame{'s' * (len(clip) != 1)} of {clip.width} x {clip.height}"
    print(f"{what}; first their motion and depth, then the fit", file=sys.stderr, flush=True)


def say(notes: Sequence[str | None]) -> None:
    """Notes to standard error."""
    for note in notes:
        if note is not None:
            print(f"note: {note}", file=sys.stderr, flush=True)


def find_masks(clip: Clip, config: Reconstruct) -> Clip:
    """The clip with the instrument masks that `--masks` asks for; what was found goes to standard error."""
    masked = with_instrument_masks(clip, config.masks, config.sam2)
    say(masked.notes[len(clip.notes) :])
    return masked


def make_output_folder(out: Path) -> None:
    """Makes `out`; raises InputError where the system refuses."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise InputError(f"{out}: cannot be made ({failure.strerror or failure}); give another --out") from failure


def judge(
    scene: Scene,
    clip: Clip,
    split: Split,
    flows: ClipFlows,
    out: Path,
    clock: StageClock,
) -> dict[str, Any]:
    """metrics.json and preview.mp4; returns the metrics, empty when the clip is too short to test anything."""
    with clock.stage("evaluate"):
        metrics: dict[str, Any] = {}
        if split.test:
            measured = evaluate_scene(scene, clip, split, tissue_mask=clip.tissue_mask, flows=flows)
            write_metrics(measured, out / "metrics.json")
            metrics = measured.as_dict()
    with clock.stage("write"):
        write_preview(scene, clip, out / "preview.mp4")
    return metrics


def print_summary(result: Result) -> None:
    """What was made, where it is, and how good it is."""
    record, seconds = result.record, result.record["seconds"]
    if record["interrupted"]:
        print(f"interrupted after {record['iterations']} steps; continue with --resume", file=sys.stderr)
    if result.metrics:
        mean = result.metrics["mean"]
        others = [f"{name.replace('_', ' ')} {row['psnr']:.2f}" for name, row in result.metrics["baseline"].items()]
        beside = f"; without a scene: {', '.join(others)}" if others else ""
        over_tissue = value_text(mean["psnr_masked"], 2)  # nothing, where the test frames show no tissue
        print(f"{result.metrics['label']} {mean['psnr']:.2f} dB (over tissue {over_tissue} dB{beside})")
    print(f"{record['gaussians']} Gaussians, {seconds['total']:.1f} s, {record['peak_memory_mb']:.0f} MB: {result.out}")
    for path in sorted(result.out.iterdir()):
        if path.is_file():
            print(f"  {path}")
    if result.metrics:
        say([below_interpolation_note(result.metrics)])
