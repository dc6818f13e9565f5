"""Options of `endogs inspect`. No torch, no numpy here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional

from endogs.clip.config import ClipOptions
from endogs.options import Options
from endogs.priors.instruments.config import MaskChoice, Sam2Options


@dataclass(frozen=True)
class Inspect(Options):
    """Say what the reader understood of a clip, and draw a contact sheet of it."""

    input: Positional[Path]
    """Video file, image folder or data set."""
    clip: Annotated[ClipOptions, OmitArgPrefixes] = field(default_factory=ClipOptions)
    """How the clip is read."""
    out: Path | None = None
    """PNG file for the contact sheet; by default NAME-inspect.png in the current folder, after the clip's name."""
    masks: bool = False
    """Also show what reconstruct would mask: on the contact sheet, and in a video of all frames beside it."""
    masks_from: MaskChoice = "auto"
    """Which masks these are: the same choice as --masks of reconstruct."""
    sam2: Annotated[Sam2Options, OmitArgPrefixes] = field(default_factory=Sam2Options)
    """What SAM 2 follows; F counts frames as they are read, X and Y are pixels of such a frame."""
