"""`endogs inspect`: what the reader understood, and what would be masked, before anyone waits for a fit."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.contact_sheet import contact_sheet, mask_overlay, write_png
from endogs.clip.inspect import describe
from endogs.clip.view.coverage import coverage
from endogs.pictures.video import frame_rate, pixel_aspect, write_video
from endogs.pipeline.config import Inspect
from endogs.pipeline.frame_states import frame_states
from endogs.pipeline.mask_corrections import Editor, check_mask_options, corrected, masks_place, wanted_clicks
from endogs.plain_text import plain
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.tracking.camera_motion import Verdict, camera_motion

MOTIONS: dict[Verdict, str] = {
    "still": "the camera stands still, for all that can be seen",
    "moving": "the camera moves, and reconstruct looks for it",
    "turning": "the camera turns, and reconstruct looks for it",
    "unclear": "the camera may move, and reconstruct looks for it",
    "unseen": "unknown whether the camera moves, and reconstruct looks for it",
}
"""What `inspect` says of the camera's motion."""


def inspect(config: Inspect, editor: Editor | None = None) -> None:
    """Print what the reader understood of `config.input` and write a contact sheet; InputError for bad input.

    With `config.masks` also a video of all frames with what would be masked tinted, and the masks themselves where the
    options ask for it, corrected by clicks of a file or with `editor`.
    """
    from rich.console import Console
    from rich.table import Table

    check_mask_options(config)
    clip = load_clip(config.input, config.clip)
    written = ""
    if config.masks:
        place, clicks = masks_place(config, clip), wanted_clicks(config, clip)
        if config.masks_from not in ("none", "given") and not (config.masks_from == "auto" and clip.has_masks):
            print("looking for instruments", file=sys.stderr, flush=True)
        clip = with_instrument_masks(clip, config.masks_from, config.sam2, option="--masks-from")
        clip, written = corrected(clip, config, clicks, place, editor)
    seen = coverage(clip)
    motion = None if clip.poses_are_given else camera_motion(clip)
    console = Console(highlight=False, markup=False)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in describe(clip, seen, config.masks):
        if name == "pose" and motion is not None:
            value = f"not given; {MOTIONS[motion.verdict]}: {motion.evidence}"
        table.add_row(name, plain(value), style=None)
    if states := frame_states(clip):
        table.add_row("no tissue", states)
    console.print(table)
    for note in clip.notes:
        console.print(f"note: {plain(note)}", style="yellow", soft_wrap=True)

    # A little beyond the percentiles, so that the nearest and farthest tissue keeps its shade.
    depth_range = (seen.depth_range[0], seen.depth_range[2]) if seen.depth_range else None
    out = config.out or Path(f"{clip.name}-inspect.png")
    write_png(out, contact_sheet(clip, depth_range))
    console.print(f"contact sheet: {plain(out)}", soft_wrap=True)
    if config.masks:
        video = out.with_suffix(".mp4")
        aspect = pixel_aspect(clip.K[0])
        write_video(video, _overlays(clip), frame_rate(clip.times), times=clip.times, pixel_aspect=aspect)
        console.print(f"masks over every frame: {plain(video)}", soft_wrap=True)
    if written:
        console.print(plain(written), soft_wrap=True)


def _overlays(clip: Clip) -> Iterator[NDArray[np.uint8]]:
    return (mask_overlay(clip, i) for i in range(len(clip)))
