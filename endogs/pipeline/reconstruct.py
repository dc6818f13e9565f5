"""`endogs reconstruct`: read, guess, initialize, fit, write and evaluate."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from endogs import native
from endogs.clip import Clip, load_clip
from endogs.clip.fingerprint import clip_fingerprint, given_fingerprint
from endogs.clip.splits import Split
from endogs.device import choose_device, device_name
from endogs.errors import InputError
from endogs.evaluate.evaluate import FLOWS_KEPT, evaluate_scene, write_metrics
from endogs.evaluate.path_chart import write_path_chart
from endogs.evaluate.pose_corrections import pose_lines
from endogs.evaluate.summary import value_text
from endogs.fit.camera_poses import current_poses
from endogs.fit.checkpoint import Checkpoint, load_checkpoint
from endogs.fit.loop import Fit, run_fit
from endogs.fit.memory import fit_bytes, memory_note
from endogs.fit.setup import finished_scene
from endogs.memory_budget import machine_bytes
from endogs.output import to_json
from endogs.pictures.find_visibility import find_visibility
from endogs.pictures.preview import write_preview
from endogs.pictures.source_clip import masks_in_use, options_as_json, path_from
from endogs.pipeline.camera_plan import with_cameras
from endogs.pipeline.chain_fit import fit_chain
from endogs.pipeline.held_out_poses import align_frames
from endogs.pipeline.notes import (
    below_interpolation_note,
    check_disk,
    few_frames_note,
    longer_fit_note,
    nothing_fitted_note,
    segments_note,
    slow_note,
)
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import Plan, resolve
from endogs.pipeline.prepared_fit import Priors, find_priors, say, start_fit
from endogs.pipeline.recipe import with_recipe
from endogs.pipeline.run_folder import RunFolder, claim
from endogs.pipeline.run_record import (
    StageClock,
    peak_memory_mb,
    software_versions,
    write_json_lines,
)
from endogs.pipeline.tissueless_frames import without_tissueless
from endogs.pipeline.track_picture import track_picture
from endogs.plain_text import plain
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.motion.flow import ClipFlows
from endogs.render import choose_backend
from endogs.scene import Scene
from endogs.scene.chain import SceneChain
from endogs.scene.origin import FittedDepth, Origin
from endogs.scene.scene_file import FILE_NAME, load_scene, save_scene
from endogs.scene.stored_masks import StoredMasks
from endogs.tracking.tracked_points import FILE_NAME as POINTS
from endogs.tracking.tracked_points import TrackedPoints, write_points
from endogs.tracking.trajectory import write_trajectory


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


SEGMENT_CACHE = 150.0
"""Megabytes of decoded pictures that a clip in segments keeps, beside those that the segment holds."""


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
        shown = clip_fingerprint(clip)
        plan = resolve(options, clip)
        say(plan.notes)
        tell_before_the_fit(clip, plan)
    folder.begin()
    if not plan.pieces.one:
        check_disk(plan, folder.work)
    with clock.stage("priors"):
        clip = find_masks(clip, options)
        clip, plan = without_tissueless(clip, plan)
        clip, plan, cameras = with_cameras(clip, plan)
        fingerprints = shown, given_fingerprint(clip)
    run = _Run(clip, plan, folder, fingerprints, checkpoint, watcher, clock)
    done = _fit_whole(run) if plan.pieces.one else _fit_segments(run)
    if cameras.trajectory is not None:
        write_trajectory(cameras.trajectory, folder.work)
        if (points := TrackedPoints.of(cameras.trajectory.frames)) is not None:
            write_points(points, folder.work / POINTS)
        write_path_chart(folder.work / "trajectory.png", track_picture(cameras.trajectory))
    metrics: dict[str, Any] = {}
    if done.stopped_by is None:
        metrics = judge(done.scene, clip, plan.split, done.flows, folder.work, clock)
    record = {
        "seconds": clock.record(),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "gaussians": len(done.scene),
        "iterations": done.steps,
        "interrupted": done.stopped_by is not None,
        "stopped_by": None if done.stopped_by is None else done.stopped_by.name,
        "backend": choose_backend(device=plan.device),
        "device": device_name(plan.device),
        "depth": done.depth,
        "camera": cameras.record(),
        "config": to_json(options) | {"fit": to_json(plan.fit)},
        "versions": software_versions(),
        "seed": options.seed,
    }
    if not plan.pieces.one:
        record["segments"] = [[one.first, one.last] for one in plan.pieces.segments]
    return done.result(folder.publish(record, complete=done.stopped_by is None), metrics, record)


@dataclass(frozen=True)
class _Run:
    """What a fit of a whole clip, or of its segments, works with."""

    clip: Clip
    plan: Plan
    folder: RunFolder
    fingerprints: tuple[str, str]
    """Of the clip's pictures, and of what else is given with them."""
    checkpoint: Checkpoint | None
    watcher: Watcher | None
    clock: StageClock

    def begin(self, fit: Fit, metric: bool) -> None:
        """Tells the watcher that a fit begins."""
        if self.watcher is not None:
            self.watcher.begin(fit, self.clip, metric)

    @property
    def on_step(self) -> Callable[[Fit], None] | None:
        """What is called between steps."""
        return None if self.watcher is None else self.watcher.on_step


@dataclass(frozen=True)
class _Fitted:
    """What a fit leaves, of a whole clip or of segments."""

    scene: Scene
    stopped_by: signal.Signals | None
    steps: int
    depth: dict[str, Any]
    flows: ClipFlows

    def result(self, out: Path, metrics: dict[str, Any], record: dict[str, Any]) -> Result:
        """With the scene from where it is now, if it is a chain: its segments are read from there."""
        chain = isinstance(self.scene, SceneChain)
        return Result(load_scene(out) if chain else self.scene.to("cpu"), out, metrics, record)


def _fit_whole(run: _Run) -> _Fitted:
    """Fit all frames at once, and write scene.safetensors and metrics.jsonl."""
    with run.clock.stage("priors"):
        priors = find_priors(run.clip, run.plan, run.folder)
    with run.clock.stage("init"):
        fit = start_fit(run.clip, run.plan, priors, run.fingerprints, run.checkpoint)
    if run.checkpoint is None:
        run.folder.forget_earlier()
    run.begin(fit, priors.window.metric)
    run.folder.fitting = True
    with run.clock.stage("fit"):
        run_fit(fit, run.folder.checkpoints, on_step=run.on_step)
    with run.clock.stage("write"):
        scene = write_scene(fit, run.clip, run.plan, priors, run.fingerprints[0], run.folder)
    return _Fitted(scene, fit.stopped_by, fit.step, priors.depth.record(), priors.flows)


def _fit_segments(run: _Run) -> _Fitted:
    """Fit one segment after the other, and write their files, the one that names them, and metrics.jsonl."""

    def origin_of(frames: list[int], steps: int, kind: FittedDepth) -> Origin:
        return origin(run.clip, run.plan, run.folder, run.fingerprints[0], frames, steps, kind)

    done = fit_chain(
        run.clip,
        run.plan,
        run.folder,
        run.fingerprints,
        run.checkpoint,
        origin_of,
        {"config": to_json(run.plan.options)},
        run.begin,
        run.on_step,
        run.clock,
    )
    write_json_lines(done.log, run.folder.work / "metrics.jsonl")
    flows = ClipFlows(run.clip.image, most=FLOWS_KEPT)
    return _Fitted(done.chain, done.stopped_by, done.steps, done.depth, flows)


def origin(
    clip: Clip,
    plan: Plan,
    folder: RunFolder,
    fingerprint: str,
    training_frames: list[int],
    steps: int,
    depth_kind: FittedDepth,
) -> Origin:
    """What a scene of this run says of where it comes from."""
    options = plan.options
    return Origin(
        clip=str(options.input),
        clip_from_scene=path_from(options.input, folder.place),
        clip_name=clip.name,
        clip_options=options_as_json(options.clip),
        clip_fingerprint=fingerprint,
        time_offset=clip.time_offset,
        split=plan.split.name,
        training_frames=tuple(training_frames),
        cameras=plan.cameras,
        unplaced_frames=clip.unplaced or None,
        tissueless_frames=clip.tissueless or None,
        masks=masks_in_use(clip, options.masks),
        depth_kind=depth_kind,
        iterations=steps,
        seed=options.seed,
        versions=software_versions(),
    )


def write_scene(fit: Fit, clip: Clip, plan: Plan, priors: Priors, fingerprint: str, folder: RunFolder) -> Scene:
    """The scene as it stands, with what it was seen and masked by, in the run's folder; and the fit's log."""
    options = plan.options
    of = origin(clip, plan, folder, fingerprint, plan.split.train, fit.step, priors.depth.kind)
    about = {"config": to_json(options), "depth_prior": priors.depth.about()}
    poses = current_poses(fit.window, clip.world_to_camera)
    scene = finished_scene(fit.optimizer, clip, priors.window.metric, of, about, world_to_camera=poses)
    if fit.cameras is not None:
        align_frames(scene, clip, plan.split.unseen)
    scene.visibility = find_visibility(scene, clip.tissue_mask)
    if clip.has_masks:
        scene.masks = StoredMasks.of(clip.tissue_mask, len(clip), clip.width, clip.height)
    save_scene(scene, folder.work / FILE_NAME)
    write_json_lines(fit.log, folder.work / "metrics.jsonl")
    return scene


def tell_before_the_fit(clip: Clip, plan: Plan) -> None:
    """To standard error: what was guessed, what will be heavy, and what happens until the first step."""
    options, device = plan.options, plan.device
    needed = fit_bytes(plan.pieces.longest, clip.width, clip.height, plan.fit)
    if not plan.pieces.one:
        clip.keep(SEGMENT_CACHE)
    say([*clip.notes, memory_note(needed, machine_bytes()) if device.type == "cpu" else None, slow_note(device)])
    say([few_frames_note(len(clip), plan.split), nothing_fitted_note(plan.fit.iterations)])
    say([longer_fit_note(len(clip), options.fit_config().iterations, plan.fit.iterations)])
    if not plan.pieces.one:
        say([segments_note(plan, clip.width, clip.height)])
    what = f"{len(clip)} frame{'s' * (len(clip) != 1)} of {clip.width} x {clip.height}"
    then = "the fit" if plan.fit.iterations else "the scene, as it is placed"
    print(f"{what}; first their motion and depth, then {then}", file=sys.stderr, flush=True)


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
        baselines = result.metrics["baseline"].items()
        others = [f"{name.replace('_', ' ')} {value_text(row['psnr'], 2)}" for name, row in baselines]
        beside = f"; without a scene: {', '.join(others)}" if others else ""
        whole, over_tissue = (value_text(mean[name], 2) for name in ("psnr", "psnr_masked"))
        print(f"{result.metrics['label']} {whole} dB (over tissue {over_tissue} dB{beside})")
        for line in pose_lines(result.metrics.get("poses")):
            print(line)
    cost = f"{seconds['total']:.1f} s, {record['peak_memory_mb']:.0f} MB"
    print(f"{record['gaussians']} Gaussians, {cost}: {plain(result.out)}")
    for path in sorted(result.out.iterdir()):
        if path.is_file():
            print(f"  {plain(path)}")
    if result.metrics:
        say([below_interpolation_note(result.metrics, options, len(result.scene.times))])
