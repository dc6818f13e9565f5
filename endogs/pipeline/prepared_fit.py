"""From frames to a fit that can take its first step: motion, depth, the window, the first Gaussians."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from endogs.clip import Clip
from endogs.clip.fingerprint import arrays_fingerprint
from endogs.errors import InputError
from endogs.fit.checkpoint import ANEW, IDENTITY, Checkpoint
from endogs.fit.continuation import Continuation
from endogs.fit.loop import Fit, run_identity
from endogs.fit.setup import new_optimizer
from endogs.fit.window import Window, frames_with_depth, whole_clip
from endogs.memory_budget import return_freed_memory
from endogs.output import to_json
from endogs.pipeline.options import FIELDS
from endogs.pipeline.plan import Plan
from endogs.pipeline.run_folder import RunFolder
from endogs.plain_text import plain
from endogs.priors.depth.choose import choose_depth_prior
from endogs.priors.depth.clip_depth import ClipDepth
from endogs.priors.depth.moving_tissue import MovingTissue
from endogs.priors.motion.flow import ClipFlows
from endogs.progress import Progress
from endogs.render import choose_backend
from endogs.scene.chain import SegmentFrames
from endogs.scene.deformation.clip_time import ClipTime

SEGMENT = "segment"
"""Where a checkpoint's run says of which segment of a longer clip it is."""
SEGMENT_FRAMES = "segment_frames"
"""Where it says which frames these are."""
LONGEST_VALUE = 24
"""Letters of a value that is told where two runs differ."""


class _Notes:
    """Says each note once."""

    def __init__(self, said: set[str]) -> None:
        self._said = said

    def say(self, notes: Sequence[str]) -> None:
        say([note for note in notes if note not in self._said])
        self._said.update(notes)


def say(notes: Sequence[str | None]) -> None:
    """Notes to standard error."""
    for note in notes:
        if note is not None:
            print(f"note: {plain(note)}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Priors:
    """What was guessed before the fit, and the window of the training frames."""

    flows: ClipFlows
    depth: ClipDepth
    window: Window


def find_priors(
    clip: Clip, plan: Plan, folder: RunFolder, said: set[str] | None = None, tissue: MovingTissue | None = None
) -> Priors:
    """Motion and depth of the plan's training frames; notes that were `said` are not said again. `tissue` is that of
    the whole clip, where the plan is of a part.

    Raises InputError for depth that does not do for the options.
    """
    notes = _Notes(set() if said is None else said)
    options, split = plan.options, plan.split
    flows = ClipFlows(clip.image)
    prior = choose_depth_prior(
        options.depth, clip, options.depth_model, options.depth_model_output, str(plan.device), tissue
    )
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
    notes.say(depth.notes)
    if depth.kind != "metric":
        notes.say(["depth is only known up to scale here: the pictures can be trusted, lengths and shapes cannot."])
    with Progress("frame", bar="motion") as progress:
        flows.precompute(split.train, progress)
    with Progress("frame", bar=f"{depth.about()['prior']} depth") as progress:
        depth.precompute(frames_with_depth(split.train, depth.kind), progress)
    notes.say(depth.follow_tissue())
    return_freed_memory()
    window = whole_clip(clip, split.train, flows, depth, plan.fit, plan.device)
    if not window.metric and not clip.static_camera and not clip.only_turns:
        notes.say(
            [
                "the camera moves but depth is only relative, so tissue and camera motion have different scales; "
                "expect blur, and give depth if there is any"
            ]
        )
    return_freed_memory()
    return Priors(flows, depth, window)


@dataclass(frozen=True)
class SegmentStart:
    """Which part of a longer clip a fit is of, and what it goes on from."""

    number: int
    frames: SegmentFrames
    span: ClipTime
    before: Continuation | None
    """None for the first segment."""


def start_fit(
    clip: Clip,
    plan: Plan,
    priors: Priors,
    fingerprints: tuple[str, str],
    checkpoint: Checkpoint | None,
    segment: SegmentStart | None = None,
) -> Fit:
    """The fit before its next step, of a whole clip or of a `segment`.

    Raises InputError for a checkpoint of another run.
    """
    options, window = plan.options, priors.window
    part: dict[str, Any] = {}
    if segment is not None:
        part = {SEGMENT: segment.number, SEGMENT_FRAMES: [segment.frames.first, segment.frames.last]}
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
            **({"frames_without_tissue": list(clip.tissueless)} if clip.tissueless else {}),
            **part,
        )
    )
    before = None if segment is None else segment.before
    if before is not None:
        before.hand_cameras(window)
        before.hold_depth(window)
    span = None if segment is None else segment.span
    optimizer = new_optimizer(clip, window, plan.fit, plan.device, options.seed, checkpoint, span, before)
    fit = Fit(optimizer, window, plan.fit, options.seed, identity, deterministic=options.deterministic)
    if segment is not None:
        known = torch.zeros(len(optimizer.base), dtype=torch.int64) if before is None else before.identity
        fit.population.rows[IDENTITY] = known.to(plan.device)
    if before is not None and fit.cameras is not None:
        fit.cameras.hold(before.last_time)
    if checkpoint is not None:
        if checkpoint.run != identity:
            raise InputError(
                f"{checkpoint.path}: the checkpoint belongs to a run with other input or options, or of another "
                f"version ({plain(what_differs(checkpoint.run, identity))}); repeat them, or {ANEW}"
            )
        fit.restore(checkpoint)
    return_freed_memory()
    return fit


def what_differs(before: dict[str, Any], now: dict[str, Any]) -> str:
    """In words, the entries in which two runs' identities differ: by their options where they have some of their own,
    and with their values where these are short.
    """
    spans = before.get(SEGMENT_FRAMES), now.get(SEGMENT_FRAMES)
    if spans[0] != spans[1] and before.get("frames") == now.get("frames"):
        # Steps, depth and training frames differ by that alone.
        had, has = [f"frames {span[0]} to {span[1]}" if isinstance(span, list) else "no segments" for span in spans]
        return f"--segment-frames, by which segment {now.get(SEGMENT, 0) + 1} has {has} and had {had}"
    before, now = before | before.get("fit", {}), now | now.get("fit", {})
    options = {field: "--" + option.replace("_", "-") for option, field in FIELDS.items()}
    found = []
    for key in sorted((set(before) | set(now)) - {"fit"}):
        values = before.get(key), now.get(key)
        if values[0] != values[1]:
            told = all(isinstance(value, (int, float, str)) and len(str(value)) <= LONGEST_VALUE for value in values)
            name = options.get(key, key.replace("_", " "))
            found.append(f"{name} {values[0]} then, {values[1]} now" if told else name)
    return "; ".join(found)
