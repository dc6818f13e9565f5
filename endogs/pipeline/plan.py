"""What a run will do, resolved once from its options and its clip."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.clip.splits import Split, split_frames, without
from endogs.device import choose_device
from endogs.errors import InputError
from endogs.fit.config import FitConfig, PoseConfig
from endogs.fit.memory import gpu_fit_bytes, require_room
from endogs.fit.optimize.autograd_adam import form_of
from endogs.fit.segments import Pieces, begun_where_seen, pieces_of
from endogs.memory_budget import machine_bytes
from endogs.pipeline.options import WITH_APPEARANCE, Reconstruct
from endogs.priors.depth.pair_doubt import pair_doubt
from endogs.priors.motion.flow import check_flow_size
from endogs.scene.deformation.registry import DEFORMATIONS
from endogs.scene.origin import FittedCameras

REST_PULL = 1.0
"""`FitConfig.rest_pull` where a camera moves with known poses: 3 leaves less motion to a rigid scene, and costs .2 to
.4 dB."""


@dataclass(frozen=True)
class Plan:
    """Options that fit each other and the clip."""

    options: Reconstruct
    fit: FitConfig
    """Every number of the fit."""
    split: Split
    """Frames to train on, and to test."""
    device: torch.device
    pieces: Pieces
    """What is fitted at a time: the whole clip, or segments of it one after the other."""
    notes: tuple[str, ...]
    """What was decided that the user should know, a sentence each."""
    cameras: FittedCameras = "given"
    """Where the clip's poses come from."""

    def with_split(self, split: Split) -> "Plan":
        """The same with other frames to learn from, among which the first segment has some."""
        return replace(self, split=split, pieces=begun_where_seen(self.pieces, split.train))


def resolve(options: Reconstruct, clip: Clip) -> Plan:
    """The plan for a clip.

    Raises InputError for options that do not go with each other or with the clip, a clip whose files contradict its
    pictures so that the fit would be wrong, and a fit that this machine's memory cannot hold.
    """
    numbers = options.fit_config(len(clip))
    numbers = replace(numbers, form=form_of(numbers))
    split = without(split_frames(len(clip), options.split), {*clip.unplaced, *clip.tissueless})
    if len(split.train) > 1:
        try:
            check_flow_size(clip.height, clip.width)
        except InputError as error:
            raise InputError(f"{clip.source}: {error}") from error
    numbers = numbers if clip.static_camera else by_poses(numbers, options, clip.times[split.train])
    judges_right_view = split.test_view == "right"
    if judges_right_view and not (clip.has_right and clip.has_depth):
        raise InputError(f"{clip.source}: --split novel-view needs right views and depth; use --split standard")
    check_looks(clip, judges_right_view)
    pieces = pieces_of(len(clip), clip.width, clip.height, numbers, machine_bytes(), options.segment_frames)
    device, notes = with_room(choose_device(options.device), clip, pieces, numbers, options.device == "auto")
    if options.deterministic and device.type == "cuda" and not DEFORMATIONS[numbers.deformation].linear:
        raise InputError(
            f"--deterministic: on a GPU only splines repeat exactly; leave it out for --deformation "
            f"{numbers.deformation}, or use --device cpu"
        )
    try:
        require_room(clip, numbers, device, pieces.longest)
    except InputError as error:
        raise InputError(" ".join([f"{error}", *(f"({note})" for note in notes)])) from error
    return Plan(options, numbers, split, device, begun_where_seen(pieces, split.train), notes)


def by_poses(numbers: FitConfig, options: Reconstruct, times: NDArray[np.float64]) -> FitConfig:
    """The numbers of a fit whose camera moves with known poses, over training frames at `times` (F,) seconds.

    The first Gaussians are placed by the poses, which are refined unless `--hold-poses` says otherwise, and splines pay
    for deforming. The lamp moves with the camera, so every frame gets an exposure, unless `--even-exposure` or the
    deformation says otherwise, or frames at equal times leave none to be found. Plain colours that nothing else may
    change over time (`--deformation none`) are then seen in a headlight.
    """
    numbers = replace(
        numbers,
        initialization="poses",
        poses=None if options.hold_poses else PoseConfig(),
        rest_pull=REST_PULL if numbers.deformation == "spline" else 0.0,
    )
    found = numbers.deformation in WITH_APPEARANCE and bool(np.all(np.diff(times) > 0))
    if options.even_exposure or not found:
        return numbers
    # A spline's own colours follow the light as well or better: they lose up to .3 dB with a headlight.
    colors = numbers.appearance.colors
    colors = "headlight" if colors == "plain" and numbers.deformation == "none" else colors
    return replace(numbers, appearance=replace(numbers.appearance, colors=colors, exposure=True))


def check_looks(clip: Clip, judges_right_view: bool) -> None:
    """InputError when what the clip's files say contradicts its pictures, so that the fit would be wrong."""
    if clip.contradictions:
        raise InputError(f"{clip.source}: {clip.contradictions[0].rstrip('.')}")
    pair = clip.pair_check
    if judges_right_view and pair is not None and (doubt := pair_doubt(clip)) is not None:
        raise InputError(f"{clip.source}: {doubt}; use --split standard")
    if judges_right_view and pair is not None and (pair.fault is not None or pair.disagrees_with_given):
        raise InputError(f"{clip.source}: {pair.notes[0].rstrip('.')}; use --split standard")


def with_room(
    device: torch.device, clip: Clip, pieces: Pieces, numbers: FitConfig, may_change: bool
) -> tuple[torch.device, tuple[str, ...]]:
    """The device, or the CPU where a GPU that is too small `may_change`; and what to say about it."""
    if device.type != "cuda":
        return device, ()
    needed = gpu_fit_bytes(pieces.longest, clip.width, clip.height, numbers)
    free = torch.cuda.mem_get_info(device)[0]
    if needed <= free:
        return device, ()
    short = f"this fit needs about {needed / 1e9:.1f} GB of the GPU's memory, of which {free / 1e9:.1f} GB are free"
    note = f"{short}; {'it runs on the processor' if may_change else 'it may run out of it'}"
    return torch.device("cpu") if may_change else device, (note,)
