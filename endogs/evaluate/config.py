"""Options of `endogs evaluate`; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from endogs.options import Options

Measure = Literal["psnr", "ssim", "ms-ssim", "flip", "lpips", "depth", "temporal", "tracks"]


@dataclass(frozen=True)
class Evaluate(Options):
    """Measure a scene against its clip, beside the baselines that need no scene; several scenes are compared."""

    scenes: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH [PATH ...]", help_behavior_hint="(required)")]
    """Scene files, or the folders that reconstruct wrote. With several, all are judged on the first one's clip, frames
    and masks, and their differences to the first are shown frame by frame."""
    clip: Path | None = None
    """The clip; by default the one the scene was fitted to, read with the same options."""
    masks: Literal["fitted", "given", "color", "none"] = "fitted"
    """Instruments: as the scene was fitted (fitted), those beside the clip, found by colour, or none."""
    split: Literal["standard", "gap", "novel-view", "all"] | None = None
    """Frames that are judged; by default those the fit held out."""
    measures: tuple[Measure, ...] = ("psnr", "ssim", "ms-ssim", "flip", "lpips", "depth", "temporal", "tracks")
    """What is measured: temporal is flicker, tracks are followed points. What a clip or scene has no truth for is
    left out."""
    lpips_weights: Path | None = None
    """LPIPS's weights: a file or folder with AlexNet's of torchvision and LPIPS's linear layers; without them LPIPS is
    not measured."""
    tracks: Path | None = None
    """True tracks of tissue points, an npz file of positions (frames, points, 3) or pixels (frames, points, 2), with
    visible and times; by default the clip's own truth/tracks.npz."""
    trajectory: Path | None = None
    """The true camera trajectory, a TUM file (time tx ty tz qx qy qz qw), to compare the scene's cameras with: seconds
    from the input's first frame, and positions in mm, or in any unit for a scene that is not in mm."""
    out: Path | None = None
    """Also write the numbers to this JSON file, in the form of metrics.json."""
    report: Path | None = None
    """Also write a report to this HTML file: tables, curves, and the worst frames with their error maps."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where pictures are drawn: an NVIDIA GPU when one can be used, or the processor."""
    backend: Literal["auto", "native", "gsplat", "reference"] = "auto"
    """Rasterizer; gsplat is the library of that name, on a GPU."""
