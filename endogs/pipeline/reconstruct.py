"""`endogs reconstruct`: read, guess, initialize, fit, write and evaluate."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from endogs import native
from endogs.clip import Clip, load_clip
from endogs.clip.fingerprint import arrays_fingerprint, clip_fingerprint, given_fingerprint
from endogs.clip.splits import Split
from endogs.device import choose_device, device_name
from endogs.errors import InputError
from endogs.evaluate.evaluate import evaluate_scene, write_metrics
from endogs.evaluate.summary import value_text
from endogs.fit.checkpoint import ANEW, Checkpoint, load_checkpoint
from endogs.fit.loop import Fit, run_fit, run_identity
from endogs.fit.memory import fit_bytes, memory_note
from endogs.fit.setup import differences, finished_scene, new_optimizer
from endogs.fit.window import Window, frames_with_depth, whole_clip
from endogs.memory_budget import machine_bytes, return_freed_memory
from endogs.output import to_json
from endogs.pictures.find_visibility import find_visibility
from endogs.pictures.preview import write_preview
from endogs.pictures.source_clip import masks_in_use, options_as_json, path_from
from endogs.pipeline.notes import (
    below_interpolation_note,
    few_frames_note,
    longer_fit_note,
    nothing_fitted_note,
    slow_note,
)
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import Plan, resolve
from endogs.pipeline.recipe import with_recipe
from endogs.pipeline.run_folder import RunFolder, claim
from endogs.pipeline.run_record import (
    StageClock,
    peak_memory_mb,
    software_versions,
    write_json_lines,
)
from endogs.plain_text import plain
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.motion.flow import ClipFlows
from endogs.progress import Progress
from endogs.render import choose_backend
from endogs.scene import Scene
from endogs.scene.origin import Origin
from endogs.scene.scene_file import FILE_NAME, save_scene
from endogs.scene.stored_masks import StoredMasks


@dataclass(frozen=True)
class Result:
    """What a reconstruction leaves."""

    scene: Scene
    """On the CPU, wherever it was fitted."""
    out: Path
    """Folder of scene.safetensors, run.json, metrics.json, metrics.jsonl and preview.mp4: the one that was asked for,
    or the one beside it, where a run that was interrupted may not replace what stands there."""
    metrics: dict[str, Any]
    """As in metrics.json; empty after Ctrl-C."""
    record: dict[str, Any]
    """As in run.json."""


def reconstruct(input: str | Path, **options: Any) -> Result:
    """Fit a deformable scene to a clip; options are those of `endogs.pipeline.options.Reconstruct`.

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


def run(options: Reconstruct, watcher: Watcher | None = None) -> None:
    """The command line's verb; leaves with 130 after Ctrl-C and 143 after SIGTERM, so that scripts stop too."""
    result = execute(options, StageClock(from_process_start=True), watcher)
    print_summary(result, options)
    if watcher is not None:
        watcher.finished(result.scene, result.record["interrupted"])
    if result.record["stopped_by"] is not None:
        raise SystemExit(128 + signal.Signals[result.record["stopped_by"]])


def _stem(clip: Path) -> str:
    """The name of the clip behind all links, without its ending; InputError for links that lead in a circle."""
    try:
        return clip.resolve().stem
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{clip}: cannot be reached ({plain(error, 200)}): check the path.") from error


def execute(options: Reconstruct, clock: StageClock, watcher: Watcher | None = None) -> Result:
    """The whole pipeline. Raises InputError also when a GPU's memory runs out."""
    options.fit_config()  # wrong options are said before anything is looked at
    folder = claim(options.out, _stem(options.input), options.resume, options.overwrite)
    try:
        with native.cores_for_kernels():
            return _execute(options, folder, clock, watcher)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"{options.input}: the GPU's memory is too small for this fit; use --device cpu, or a shorter range "
            "(--start, --end), --stride, --preset fast, --gaussians or --max-size"
        ) from error
    except KeyboardInterrupt:
        say([folder.kept_note()])
        raise
    except InputError as error:
        kept = folder.kept_note()
        if kept is None:
            raise
        raise InputError(f"{str(error).rstrip('.')}. {kept}") from error
    finally:
        folder.release()


def _execute(options: Reconstruct, folder: RunFolder, clock: StageClock, watcher: Watcher | None) -> Result:
    say([folder.place_note()])
    choose_device(options.device)  # one that is not there is said before anything is read
    checkpoint = None if folder.resumes is None else load_checkpoint(folder.resumes)
    with clock.stage("read"):
        clip = load_clip(options.input, options.clip)
        fingerprints = clip_fingerprint(clip), given_fingerprint(clip)
        plan = resolve(options, clip)
        say(plan.notes)
        tell_before_the_fit(clip, plan)
    folder.begin()
    with clock.stage("priors"):
        clip = find_masks(clip, options)
        priors = find_priors(clip, plan, folder)
    with clock.stage("init"):
        fit = start_fit(clip, plan, priors, fingerprints, checkpoint)
    if checkpoint is None:
        folder.forget_earlier()
    if watcher is not None:
        watcher.begin(fit, clip, priors.window.metric)
    folder.fitting = True
    with clock.stage("fit"):
        run_fit(fit, folder.checkpoints, on_step=None if watcher is None else watcher.on_step)
    with clock.stage("write"):
        scene = write_scene(fit, clip, plan, priors, fingerprints[0], folder)
    metrics: dict[str, Any] = {}
    if fit.stopped_by is None:
        metrics = judge(scene, clip, plan.split, priors.flows, folder.work, clock)
    record = {
        "seconds": clock.record(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "gaussians": len(scene),
        "iterations": fit.step,
        "interrupted": fit.stopped_by is not None,
        "stopped_by": None if fit.stopped_by is None else fit.stopped_by.name,
        "backend": choose_backend(device=plan.device),
        "device": device_name(plan.device),
        "depth": priors.depth.about()
        | {"frames_computed": priors.depth.computed, "frames_from_cache": priors.depth.loaded},
        "config": to_json(options) | {"fit": to_json(plan.fit)},
        "versions": software_versions(),
        "seed": options.seed,
    }
    return Result(scene.to("cpu"), folder.publish(record, complete=fit.stopped_by is None), metrics, record)


@dataclass(frozen=True)
class Priors:
    """What was guessed before the fit, and the window of all training frames."""

    flows: ClipFlows
    depth: ClipDepth
    window: Window


def find_priors(clip: Clip, plan: Plan, folder: RunFolder) -> Priors:
    """Motion and depth of the training frames. Raises InputError for depth that does not do for the options."""
    options, split = plan.options, plan.split
    flows = ClipFlows(clip.image)
    prior = choose_depth_prior(options.depth, clip, options.depth_model, options.depth_model_output, str(plan.device))
    depth = ClipDepth(
        clip,
        prior,
        split.train,
        clip.tissue_mask,
        flows,
        folder.priors,
        earlier=folder.earlier_priors,
        outputs=folder.outputs,
    )
    folder.keep_depth(depth.folder)
    if options.depth_weight is not None and depth.kind != "metric":
        raise InputError(
            f"{clip.source}: --depth-weight is for depth that is given or from a right view, and here it is "
            "known only up to scale; leave it out"
        )
    if split.test_view == "right" and depth.kind != "metric":
        given = "--depth given, or " if clip.has_depth and not clip.has_inverse_depth else ""
        raise InputError(
            f"{clip.source}: --split novel-view needs depth in the clip's units; use {given}--split standard"
        )
    say(depth.notes)
    if depth.kind != "metric":
        say(["depth is only known up to scale here: the pictures can be trusted, lengths and shapes cannot."])
    with Progress("frame", bar="motion") as progress:
        flows.precompute(split.train, progress)
    with Progress("frame", bar=f"{depth.about()['prior']} depth") as progress:
        depth.precompute(frames_with_depth(split.train, depth.kind), progress)
    return_freed_memory()
    window = whole_clip(clip, split.train, flows, depth, plan.fit, plan.device)
    if not window.metric and not clip.static_camera:
        say(
            [
                "the camera moves but depth is only relative, so tissue and camera motion have different scales; "
                "expect blur, and give depth if there is any"
            ]
        )
    return_freed_memory()
    return Priors(flows, depth, window)


def start_fit(
    clip: Clip, plan: Plan, priors: Priors, fingerprints: tuple[str, str], checkpoint: Checkpoint | None
) -> Fit:
    """The fit before its next step. Raises InputError for a checkpoint of another run."""
    options, window = plan.options, priors.window
    identity = to_json(
        run_identity(
            plan.fit,
            what_the_clip_shows=fingerprints[0],
            its_training_frames=arrays_fingerprint(frame.image for frame in window.frames),
            its_cameras_masks_and_depth=fingerprints[1],
            **to_json(options.clip),
            preset=options.preset,
            frames=[len(clip), clip.width, clip.height],
            duration=float(clip.times[-1]),
            backend=choose_backend(device=plan.device),
            device=plan.device.type,
            deterministic=options.deterministic,
            split=plan.split.name,
            depth=priors.depth.about(),
            masks=options.masks,
            **to_json(options.sam2),
            seed=options.seed,
        )
    )
    optimizer = new_optimizer(clip, window, plan.fit, plan.device, options.seed, checkpoint)
    fit = Fit(optimizer, window, plan.fit, options.seed, identity, deterministic=options.deterministic)
    if checkpoint is not None:
        if checkpoint.run != identity:
            raise InputError(
                f"{checkpoint.path}: the checkpoint belongs to a run with other input or options, or of another "
                f"version ({plain(differences(checkpoint.run, identity))}); repeat them, or {ANEW}"
            )
        fit.restore(checkpoint)
    return_freed_memory()
    return fit


def write_scene(fit: Fit, clip: Clip, plan: Plan, priors: Priors, fingerprint: str, folder: RunFolder) -> Scene:
    """The scene as it stands, with what it was seen and masked by, in the run's folder; and the fit's log."""
    options = plan.options
    origin = Origin(
        clip=str(options.input),
        clip_from_scene=path_from(options.input, folder.place),
        clip_name=clip.name,
        clip_options=options_as_json(options.clip),
        clip_fingerprint=fingerprint,
        time_offset=clip.time_offset,
        split=plan.split.name,
        training_frames=tuple(plan.split.train),
        masks=masks_in_use(clip, options.masks),
        depth_kind=priors.depth.kind,
        iterations=fit.step,
        seed=options.seed,
        versions=software_versions(),
    )
    about = {"config": to_json(options), "depth_prior": priors.depth.about()}
    scene = finished_scene(fit.optimizer, clip, priors.window.metric, origin, about)
    scene.visibility = find_visibility(scene, clip.tissue_mask)
    if clip.has_masks:
        scene.masks = StoredMasks.of(clip.tissue_mask, len(clip), clip.width, clip.height)
    save_scene(scene, folder.work / FILE_NAME)
    write_json_lines(fit.log, folder.work / "metrics.jsonl")
    return scene


def tell_before_the_fit(clip: Clip, plan: Plan) -> None:
    """To standard error: what was guessed, what will be heavy, and what happens until the first step."""
    options, device = plan.options, plan.device
    needed = fit_bytes(len(clip), clip.width, clip.height, plan.fit)
    say([*clip.notes, memory_note(needed, machine_bytes()) if device.type == "cpu" else None, slow_note(device)])
    say([few_frames_note(len(clip), plan.split), nothing_fitted_note(plan.fit.iterations)])
    say([longer_fit_note(len(clip), options.fit_config().iterations, plan.fit.iterations)])
    what = f"{len(clip)} frame{'s' * (len(clip) != 1)} of {clip.width} x {clip.height}"
    then = "the fit" if plan.fit.iterations else "the scene, as it is placed"
    print(f"{what}; first their motion and depth, then {then}", file=sys.stderr, flush=True)


def say(notes: Sequence[str | None]) -> None:
    """Notes to standard error."""
    for note in notes:
        if note is not None:
            print(f"note: {plain(note)}", file=sys.stderr, flush=True)


def find_masks(clip: Clip, options: Reconstruct) -> Clip:
    """The clip with the instrument masks that `--masks` asks for; what was found goes to standard error."""
    masked = with_instrument_masks(clip, options.masks, options.sam2)
    say(masked.notes[len(clip.notes) :])
    return masked


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


def print_summary(result: Result, options: Reconstruct) -> None:
    """What was made, where it is, and how good it is."""
    record, seconds = result.record, result.record["seconds"]
    if record["interrupted"]:
        where = f"; the scene so far is in {result.out}; continue with the same options and --resume"
        print(f"interrupted after {record['iterations']} steps{where}", file=sys.stderr)
    if result.metrics:
        mean = result.metrics["mean"]
        others = [f"{name.replace('_', ' ')} {row['psnr']:.2f}" for name, row in result.metrics["baseline"].items()]
        beside = f"; without a scene: {', '.join(others)}" if others else ""
        over_tissue = value_text(mean["psnr_masked"], 2)  # nothing, where the test frames show no tissue
        print(f"{result.metrics['label']} {mean['psnr']:.2f} dB (over tissue {over_tissue} dB{beside})")
    cost = f"{seconds['total']:.1f} s, {record['peak_memory_mb']:.0f} MB"
    print(f"{record['gaussians']} Gaussians, {cost}: {plain(result.out)}")
    for path in sorted(result.out.iterdir()):
        if path.is_file():
            print(f"  {plain(path)}")
    if result.metrics:
        say([below_interpolation_note(result.metrics, options, len(result.scene.times))])
