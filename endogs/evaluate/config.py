"""Options of `endogs evaluate`; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from endogs.clip.config import POSE_CONVENTIONS, PoseConvention
from endogs.options import Options, Range

Measure = Literal["psnr", "ssim", "ms-ssim", "flip", "lpips", "depth", "temporal", "tracks"]


@dataclass(frozen=True)
class Evaluate(Options):
    """Measure a scene against its clip, beside the baselines that need no scene; several scenes are compared."""

    scenes: Annotated[Positional[tuple[Path, ...]], arg(metavar="PATH [PATH ...]", help_behavior_hint="(required)")]
    """Scene files, or the folders that reconstruct wrote. With several, all are judged on the first one's clip, frames
    and masks, and their differences to the first are shown frame by frame."""
    clip: Path | None = None
    """The clip; by default the one the scene was fitted to, read with the same options."""
    masks: Literal["fitted", "given", "found", "color", "none"] = "fitted"
    """Instruments: as the scene was fitted (fitted), those beside the clip, found in the pictures
    (found), by colour alone, or none."""
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
    trajectory: Annotated[Literal["clip"] | Path | None, arg(metavar="[{clip}|PATH]")] = None
    """The true camera trajectory to compare the scene's cameras with: a TUM file (time tx ty tz qx qy qz qw; seconds
    from the input's first frame, positions in mm, or in any unit for a scene that is not in mm), or the poses that come
    with the clip (clip, or no word at all)."""
    trajectory_plot: Path | None = None
    """Also draw both camera paths into this picture (.png); needs --trajectory."""
    keyframes: Path | None = None
    """Times of keyframes, over which the cameras are also compared alone: a TUM file, or one time in seconds a line."""
    sparse_points: Path | None = None
    """Known points of the tissue, to compare the scene's depth with: an npz file of points (P, 3) with the pairs frame
    and point that say which frame sees which, a COLMAP model, or a PLY file, whose points are where the clip's poses,
    or --trajectory's, place them."""
    out: Path | None = None
    """Also write the numbers to this JSON file, in the form of metrics.json."""
    report: Path | None = None
    """Also write a report to this HTML file: tables, curves, and the worst frames with their error maps."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where pictures are drawn: an NVIDIA GPU when one can be used, or the processor."""
    backend: Literal["auto", "native", "gsplat", "reference"] = "auto"
    """Rasterizer; gsplat is the library of that name, on a GPU."""


@dataclass(frozen=True)
class ComparePoses(Options):
    """Measure how far an estimated camera trajectory is from a reference, in all the ways that papers report it."""

    estimate: Annotated[Positional[Path], arg(metavar="EST", help_behavior_hint="(required)")]
    """The trajectory to judge: a TUM file (time tx ty tz qx qy qz qw, T_world_camera), a scene, or a clip's folder."""
    reference: Annotated[Positional[Path], arg(metavar="REF", help_behavior_hint="(required)")]
    """The trajectory to judge it by, in the same forms; lengths are reported in its units."""
    keyframes: Path | None = None
    """Times of keyframes, over which the paths are also compared alone: a TUM file, or one time in seconds a line."""
    max_difference: Annotated[float, Range(0, 1e9)] = 0.01
    """Seconds by which the times of poses that belong together may differ."""
    time_offset: Annotated[float, Range(-1e12, 1e12)] = 0.0
    """Seconds that are added to the estimate's times, and the keyframes', before they are compared."""
    pose_convention: Annotated[PoseConvention, arg(metavar=POSE_CONVENTIONS)] = "auto"
    """What the estimate's poses mean, where they are not camera-to-world-opencv, as TUM files are."""
    reference_convention: Annotated[PoseConvention, arg(metavar=POSE_CONVENTIONS)] = "auto"
    """What the reference's poses mean."""
    out: Path | None = None
    """Also write the numbers to this JSON file."""
    plot: Path | None = None
    """Also draw both paths into this picture (.png)."""
    positional: ClassVar[tuple[str, ...]] = ("estimate", "reference")
