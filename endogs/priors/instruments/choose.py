"""The clip with the instrument masks that `--masks` asks for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from endogs.errors import InputError
from endogs.priors.instruments.config import Sam2Options

if TYPE_CHECKING:
    from endogs.clip import Clip

Progress = Callable[[int, int], None]


LOOK = {
    "found": "Look at them with endogs inspect --masks.",
    "color": "Look at them with endogs inspect --masks --masks-from color.",
    "sam2": "Look at them with endogs inspect --masks --masks-from sam2 and the same prompts.",
}
"""What to do before a fit believes what was found."""


def with_instrument_masks(
    clip: "Clip",
    name: str,
    sam2: Sam2Options | None = None,
    progress: Progress | None = None,
    option: str = "--masks",
) -> "Clip":
    """`clip` with its own masks (`given`), with those `found` by all that tells them, by `color` alone or by `sam2`, or
    with `none`.

    `auto` is `given` where the clip has masks, else `found`. What was found is said in a new note of the clip;
    `progress(done, total)` is called after each frame of a search; `option` is where the user said `name`. Raises
    InputError for `given` without masks, an unknown name, and what SAM 2 cannot use.
    """
    if name == "auto":
        name = "given" if clip.has_masks else "found"
    if name == "given":
        if not clip.has_masks:
            raise InputError(f"{clip.source}: the clip has no instrument masks; use {option} found or {option} none")
        return clip
    if name == "none":
        return clip.with_masks(None)
    if name == "found":
        from endogs.priors.instruments.by_fusion import find_by_fusion

        found = find_by_fusion(clip, progress)
    elif name == "color":
        from endogs.priors.instruments.by_color import find_by_color

        found = find_by_color(clip, progress)
    elif name == "sam2":
        from endogs.priors.instruments.sam2 import follow_with_sam2

        found = follow_with_sam2(clip, sam2 or Sam2Options(), progress)
    else:
        raise InputError(f"{option} {name}: no such masks; use auto, given, found, color, sam2 or none")
    other = clip.with_masks(found.masks)
    looked_at = found.masks is None or option != "--masks"  # inspect, which calls it otherwise, draws them
    other.notes = [*clip.notes, found.note if looked_at else f"{found.note} {LOOK[name]}"]
    return other
