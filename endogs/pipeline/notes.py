"""Notes of `endogs reconstruct`: each function looks for one thing worth a sentence, and gives None otherwise."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from endogs import native
from endogs.clip.splits import Split
from endogs.errors import InputError
from endogs.fit.config import PRESET_FRAMES
from endogs.fit.memory import fit_bytes
from endogs.gaussians import CHANNELS
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.plan import Plan
from endogs.progress import duration
from endogs.render import choose_backend
from endogs.scene.deformation.registry import DEFORMATIONS

LONGER = 1.5
"""Times the preset's own steps from which on a fit is worth a note."""

FAR_BELOW = 3.0
"""dB below interpolation from which a fit went wrong: twice its squared error. Good fits of calm tissue, where the
neighbours are nearly the answer, lie up to 2 dB below."""

DECENT = 30.0
"""dB of a scene that is an image of its clip, 8 of 255 off: one that poses, depth or masks made wrong is worse."""

FEW = 2
"""Times fewer than the preset's own steps or Gaussians from which on that is the first thing to blame."""

PRESET_SECONDS = {"fast": 25.0, "balanced": 60.0, "best": 240.0}
"""Seconds of a fit of PRESET_FRAMES frames of PRESET_PIXELS on two cores."""
PRESET_PIXELS = 640 * 512

CHECK = (
    "check with endogs inspect that the clip is one shot, that its poses, depth and focal length fit the pictures and "
    "that the masks hide instruments and not tissue"
)
"""What else is to blame for a scene that is far too bad."""


def slow_note(device: torch.device) -> str | None:
    """Without the compiled kernels a fit takes hours, and nothing else would say why."""
    if choose_backend(device=device) != "reference":
        return None
    return (
        f"the compiled kernels are missing ({native.problem()}), and plain torch is hundreds of times slower, hours "
        "instead of a minute; install GCC or Clang and then endogs again (pip install . in its folder)"
    )


def few_frames_note(frames: int, split: Split) -> str | None:
    """With one frame to learn from nothing can be known of motion, and with two next to nothing."""
    if frames > 2:
        return None
    if len(split.train) > 1:
        return "the clip has two frames only, so all motion is a guess between them; read more frames"
    if frames == 1:
        return "a single frame is learned from, so the scene will stand still"
    return (
        "a single frame is learned from, as the other is held out for testing, so the scene will stand still; read "
        "more frames, or use --split all"
    )


def longer_fit_note(frames: int, usual: int, steps: int) -> str | None:
    """A clip of minutes takes hours, where a user may expect the preset's own time."""
    if steps < LONGER * usual or steps == usual:
        return None
    return (
        f"{frames} frames take {steps} steps, where short clips take {usual}; --iterations, --stride or --start and "
        "--end make it shorter"
    )


def segments_note(plan: Plan, width: int, height: int) -> str:
    """What a fit in segments takes: time as the preset usually has it, memory, and room on the disk."""
    pieces, config = plan.pieces, plan.fit
    frames = sum(len(one) for one in pieces.segments)
    seconds = PRESET_SECONDS[plan.options.preset] * frames / PRESET_FRAMES * width * height / PRESET_PIXELS
    usual_steps = replace(plan.options, iterations=None).fit_config(pieces.segments[-1].last + 1).iterations
    seconds *= config.iterations / max(1, usual_steps)
    needed = fit_bytes(pieces.longest, width, height, config)
    return (
        f"{len(pieces.segments)} segments of up to {pieces.longest} frames are fitted one after the other: about "
        f"{duration(seconds)} on two cores, {needed / 1e9:.1f} GB of memory, and up to {disk_bytes(plan) / 1e9:.1f} GB "
        "on the disk"
    )


def disk_bytes(plan: Plan) -> float:
    """Bytes of the files of a chain's segments, at most, about."""
    rows = 4 * CHANNELS * plan.fit.gaussians_cap
    kind = DEFORMATIONS[plan.fit.deformation]
    trained = sum(
        4 * kind.trained_numbers(plan.fit.form, plan.fit.gaussians_cap, len(one) / plan.fit.knot_frames)
        for one in plan.pieces.segments
    )
    return rows * len(plan.pieces.segments) + trained


def check_disk(plan: Plan, folder: Path) -> None:
    """Raises InputError where the disk has less room than a chain's files may take."""
    free, needed = shutil.disk_usage(folder).free, disk_bytes(plan)
    if needed > free:
        raise InputError(
            f"{folder}: the scene may take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free on this disk: give "
            "an --out on another one, or choose a shorter range (--start, --end), --stride or --preset fast"
        )


def nothing_fitted_note(iterations: int) -> str | None:
    """No steps are a valid wish, and the files look like a fit's."""
    return "--iterations 0: nothing is fitted, the scene stays as it was initialized" if iterations == 0 else None


def weakening(options: Reconstruct, frames: int) -> list[tuple[str, str]]:
    """Options that were set and that make a scene of so many frames worse by themselves: (what was set, what to type).

    In the order in which they are worth a try.
    """
    preset = replace(options, iterations=None, gaussians=None).fit_config(frames)
    found = []
    if options.deformation == "none":
        found.append(("--deformation none, which lets nothing move", "--deformation spline"))
    if options.iterations is not None and options.iterations < preset.iterations / FEW:
        steps = f"--iterations {options.iterations}, where the preset takes {preset.iterations}"
        found.append((steps, f"--iterations {preset.iterations}"))
    if options.gaussians is not None and options.gaussians < preset.initial_gaussians / FEW:
        most = f"--gaussians {options.gaussians}, where the preset takes up to {preset.gaussians_cap}"
        found.append((most, f"--gaussians {preset.gaussians_cap}"))
    return found


def below_interpolation_note(metrics: dict[str, Any], options: Reconstruct, frames: int) -> str | None:
    """A scene below its baseline looks like a failure, and on the standard split it need not be one.

    None where nothing was fitted, which `nothing_fitted_note` said.
    """
    if metrics["split"] != "standard" or options.iterations == 0:
        return None
    scene, flow = metrics["mean"]["psnr"], metrics["baseline"].get("flow_midpoint", {}).get("psnr")
    if scene is None or flow is None or scene >= flow:
        return None
    below = f"the scene is {flow - scene:.2f} dB below interpolating between neighbours"
    if weak := weakening(options, frames):
        causes, remedies = (" and ".join(words) for words in zip(*weak, strict=True))
        below += f", most likely because of {causes}: use {remedies}"
        return f"{below}; if it stays far below then, {CHECK}" if flow - scene >= FAR_BELOW else below
    if flow - scene >= FAR_BELOW and scene >= DECENT and options.preset == "fast":
        return (
            f"{below}, most likely because of --preset fast, which has few Gaussians and steps: they reach {scene:.1f} "
            f"dB, and neighbours that hardly differ {flow:.1f}; use --preset balanced, and if it stays far below then, "
            f"{CHECK}"
        )
    if flow - scene >= FAR_BELOW:
        larger = "; --max-size leaves little of the pictures: raise it" if options.clip.max_size is not None else ""
        return f"{below}, so something is wrong: {CHECK}{larger}"
    return (
        f"{below}, which is hard to beat where they are one frame away; --split gap (from 16 frames on) holds out five "
        "in a row and asks more"
    )
