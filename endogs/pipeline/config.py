"""Options of `endogs inspect` and `endogs track`. No torch, no numpy here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional

from endogs.clip.config import ClipOptions
from endogs.options import Options, Range
from endogs.pipeline.pose_prior_options import PosePriorOptions
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
    edit: bool = False
    """With --masks: correct the masks by clicks in the browser, at an address that is printed, and save them."""
    clicks: Path | None = None
    """With --masks: clicks that correct the masks, a clicks.json as --edit saves it beside them."""
    masks_out: Path | None = None
    """With --masks: folder to write the masks to, for --mask-folder of other commands; with --edit or --clicks by
    default NAME_masks in the current folder, after the clip's name, with a number where there is one already."""
    host: str = "127.0.0.1"
    """With --edit: address to serve at. Any but this machine's own asks for a token, which the URL holds."""
    port: Annotated[int, Range(0, 65_535)] = 8080
    """With --edit: port to serve at; where it is taken, the next free one."""


@dataclass(frozen=True)
class Track(Options):
    """Find the camera of a moving endoscope in its pictures, and write its path."""

    input: Positional[Path]
    """Video file, image folder or data set; poses that come with it are not looked at."""
    out: Path | None = None
    """TUM file for the path (time tx ty tz qx qy qz qw, camera to world), by default NAME-trajectory.tum in the current
    folder; beside it come a .json with every frame's state and a .png picture of the path."""
    clip: Annotated[ClipOptions, OmitArgPrefixes] = field(default_factory=ClipOptions)
    """How the clip is read."""
    depth: Literal["auto", "given", "stereo", "none"] = "auto"
    """What gives distances, and with them the path's unit: the data set's depth (given), right views (stereo), or
    nothing but the motion (none: the path has no unit). auto takes the first that there is."""
    prior: Annotated[PosePriorOptions, OmitArgPrefixes] = field(default_factory=PosePriorOptions)
    """Poses from elsewhere, and how far they are off."""
    breathing: Literal["auto", "keep"] = "auto"
    """auto takes out of the path what comes and goes along one line with a steady rhythm, where that is sure; keep
    leaves the path as it is beside the tissue. With --pose-prior the prior tells breathing, and keep is refused."""
    masks: MaskChoice = "auto"
    """Instrument masks, whose pixels are not followed: as --masks of reconstruct."""
    sam2: Annotated[Sam2Options, OmitArgPrefixes] = field(default_factory=Sam2Options)
    """What SAM 2 follows; F counts frames as they are read, X and Y are pixels of such a frame."""
