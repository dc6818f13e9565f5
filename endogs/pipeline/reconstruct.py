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
from endogs.clip.splits import Split, split_frames
from endogs.device import choose_device, device_name
from endogs.errors import InputError
from endogs.evaluate.evaluate import evaluate_scene, write_metrics
from endogs.evaluate.preview import write_preview
from endogs.evaluate.summary import value_text
from endogs.fit.checkpoint import ANEW, load_checkpoint
from endogs.fit.config import Reconstruct
from endogs.fit.loop import Fit, run_fit, run_identity
from endogs.fit.memory import fit_bytes, gpu_fit_bytes, memory_note, require_room
from endogs.fit.setup import differences, finished_scene, new_optimizer
from endogs.fit.views import TrainingViews, frames_with_depth
from endogs.memory_budget import machine_bytes
from endogs.pipeline.notes import (
    below_interpolation_note,
    few_frames_note,
    longer_fit_note,
    nothing_fitted_note,
    slow_note,
)
from endogs.pipeline.prior_progress import PriorProgress
from endogs.pipeline.recipe import with_recipe
from endogs.pipeline.run_folder import RunFolder, claim
from endogs.pipeline.run_record import (
    StageClock,
    peak_memory_mb,
    software_versions,
    to_json,
    write_json_lines,
)
from endogs.plain_text import plain
from endogs.priors.depth import ClipDepth, choose_depth_prior
from endogs.priors.flow import ClipFlows
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.render import choose_backend
from endogs.scene import Scene
from endogs.scene.origin import Origin
from endogs.scene.scene_file import FILE_NAME, save_scene
from endogs.scene.source_clip import masks_in_use, options_as_json, path_from
from endogs.scene.stored_masks import StoredMasks
from endogs.scene.visibility import find_visibility


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
    """The command line's verb; leaves with 130 after Ctrl-C and 143 after SIGTERM, so that scripts stop too."""
    result = execute(config, StageClock(from_process_start=True), watcher)
    print_summary(result)
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


def execute(config: Reconstruct, clock: StageClock, watcher: Watcher | None = None) -> Result:
    """The whole pipeline. Raises InputError also when a GPU's memory runs out."""
    config.fit_config()  # wrong options are said before anything is looked at
    folder = claim(config.out, _stem(config.input), config.resume, config.overwrite)
    try:
        with native.cores_for_kernels():
            return _execute(config, folder, clock, watcher)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"{config.input}: the GPU's memory is too small for this fit; use --device cpu, or a shorter range "
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


def check_looks(clip: Clip, judges_right_view: bool) -> None:
    """InputError when what the clip's files say contradicts its pictures, so that the fit would be wrong."""
    if clip.contradictions:
        raise InputError(f"{clip.source}: {clip.contradictions[0].rstrip('.')}")
    pair = clip.pair_check
    if judges_right_view and pair is not None and (pair.fault is not None or pair.disagrees_with_given):
        raise InputError(f"{clip.source}: {pair.notes[0].rstrip('.')}; use --split standard")


def _execute(config: Reconstruct, folder: RunFolder, clock: StageClock, watcher: Watcher | None) -> Result:
    say([folder.place_note()])
    checkpoint = None if folder.resumes is None else load_checkpoint(folder.resumes)
    device = choose_device(config.device)
    with clock.stage("read"):
        clip = load_clip(config.input, config.clip)
        shows, given = clip_fingerprint(clip), given_fingerprint(clip)
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
        tell_before_the_fit(clip, split, config, device)
    folder.begin()
    with clock.stage("priors"):
        clip = find_masks(clip, config)
        flows = ClipFlows(clip.image)
        prior = choose_depth_prior(config.depth, clip, config.depth_model, config.depth_model_output, str(device))
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
            what_the_clip_shows=shows,
            its_training_frames=arrays_fingerprint(views.observations.recorded),
            its_cameras_masks_and_depth=given,
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
        kind = config.deformation_kind()
        optimizer = new_optimizer(clip, views, fit_config, kind, device, config.seed, checkpoint)
        fit = Fit(optimizer, views, fit_config, config.seed, identity, deterministic=config.deterministic)
        if checkpoint is not None:
            if checkpoint.run != identity:
                raise InputError(
                    f"{checkpoint.path}: the checkpoint belongs to a run with other input or options, or of another "
                    f"version ({plain(differences(checkpoint.run, identity))}); repeat them, or {ANEW}"
                )
            fit.restore(checkpoint)
    if checkpoint is None:
        folder.forget_earlier()
    if watcher is not None:
        watcher.begin(fit, clip, views.metric)
    folder.fitting = True
    with clock.stage("fit"):
        run_fit(fit, folder.checkpoints, on_step=None if watcher is None else watcher.on_step)
    origin = Origin(
        clip=str(config.input),
        clip_from_scene=path_from(config.input, folder.place),
        clip_name=clip.name,
        clip_options=options_as_json(config.clip),
        clip_fingerprint=shows,
        time_offset=clip.time_offset,
        split=split.name,
        training_frames=tuple(split.train),
        masks=masks_in_use(clip, config.masks),
        depth_kind=depth.kind,
        iterations=fit.step,
        seed=config.seed,
        versions=software_versions(),
    )
    record_of_fit = {"config": to_json(config), "depth_prior": depth.about()}
    scene = finished_scene(optimizer, clip, views.metric, origin, record_of_fit)
    with clock.stage("write"):
        scene.visibility = find_visibility(scene, clip.tissue_mask)
        if clip.has_masks:
            scene.masks = StoredMasks.of(clip.tissue_mask, len(clip), clip.width, clip.height)
        save_scene(scene, folder.work / FILE_NAME)
        write_json_lines(fit.log, folder.work / "metrics.jsonl")
    metrics: dict[str, Any] = {}
    if fit.stopped_by is None:
        metrics = judge(scene, clip, split, flows, folder.work, clock)
    record = {
        "seconds": clock.record(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "gaussians": len(scene),
        "iterations": fit.step,
        "interrupted": fit.stopped_by is not None,
        "stopped_by": None if fit.stopped_by is None else fit.stopped_by.name,
        "backend": choose_backend(device=device),
        "device": device_name(device),
        "depth": depth.about() | {"frames_computed": depth.computed, "frames_from_cache": depth.loaded},
        "config": to_json(config) | {"fit": to_json(fit_config)},
        "versions": software_versions(),
        "seed": config.seed,
    }
    return Result(scene.to("cpu"), folder.publish(record, complete=fit.stopped_by is None), metrics, record)


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


def tell_before_the_fit(clip: Clip, split: Split, config: Reconstruct, device: torch.device) -> None:
    """To standard error: what was guessed, what will be heavy, and what happens until the first step.

    Raises InputError for a fit that this machine's memory cannot hold.
    """
    fit_config = config.fit_config(len(clip))
    require_room(clip, fit_config, config.deformation_kind(), device)
    needed = fit_bytes(len(clip), clip.width, clip.height, fit_config, config.deformation_kind())
    say([*clip.notes, memory_note(needed, machine_bytes()) if device.type == "cpu" else None, slow_note(device)])
    say([few_frames_note(len(clip), split), nothing_fitted_note(fit_config.iterations)])
    say([longer_fit_note(len(clip), config.fit_config().iterations, fit_config.iterations)])
    what = f"{len(clip)} frame{'s' * (len(clip) != 1)} of {clip.width} x {clip.height}"
    print(f"{what}; first their motion and depth, then the fit", file=sys.stderr, flush=True)


def say(notes: Sequence[str | None]) -> None:
    """Notes to standard error."""
    for note in notes:
        if note is not None:
            print(f"note: {plain(note)}", file=sys.stderr, flush=True)


def find_masks(clip: Clip, config: Reconstruct) -> Clip:
    """The clip with the instrument masks that `--masks` asks for; what was found goes to standard error."""
    masked = with_instrument_masks(clip, config.masks, config.sam2)
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


def print_summary(result: Result) -> None:
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
        say([below_interpolation_note(result.metrics)])
