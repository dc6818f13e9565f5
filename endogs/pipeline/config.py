"""Options of `endogs inspect`. No torch, no numpy here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional

from endogs.clip.config import ClipOptions
from endogs.priors.instruments.config import MaskChoice, Sam2Options


@dataclass(frozen=True)
class Inspect:
    """Say what the reader understood of a clip, and draw a contact sheet of it."""

    input: Positional[Path]
    """A video, a folder of images, or a data set folder."""
    clip: Annotated[ClipOptions, OmitArgPrefixes] = field(default_factory=ClipOptions)
    """How the clip is read."""
    out: Path | None = None
    """Where the contact sheet PNG goes; by default NAME-inspect.png in the current folder."""
    masks: bool = False
    """Also show what reconstruct would mask: on the contact sheet, and in a video of all frames beside it."""
    masks_from: MaskChoice = "auto"
    """Whose masks these are, as --masks of reconstruct says."""
    sam2: Annotated[Sam2Options, OmitArgPrefixes] = field(default_factory=Sam2Options)
    """What SAM 2 follows."""
