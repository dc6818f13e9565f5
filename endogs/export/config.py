"""Options of `endogs export points`, `endogs export splats` and `endogs export html`. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

PointFormat = Literal["ply", "pcd", "xyz"]


@dataclass(frozen=True)
class ExportPoints:
    """Write the scene's surface as a coloured point cloud, at one time or as a sequence."""

    scene: Positional[Path]
    """Scene file, or the folder that `endogs reconstruct` wrote."""
    time: tuple[float, ...] | Literal["first", "all"] = "first"
    """Seconds since the clip's first frame, one or several; "first" frame; or "all" frames of the clip."""
    out: Path | None = None
    """File to write, or folder when there are several times; default: `points` beside the scene."""
    format: PointFormat | None = None
    """File format; default: what the ending of `out` says, else ply."""
    min_opacity: float = 0.1
    """Leave out Gaussians whose opacity at that time is less than this, in [0, 1]."""


@dataclass(frozen=True)
class ExportSplats:
    """Write the scene's Gaussians as the PLY of 3D Gaussian Splatting, which splat viewers open."""

    scene: Positional[Path]
    """Scene file, or the folder that `endogs reconstruct` wrote."""
    time: tuple[float, ...] | Literal["canonical", "all"] = "canonical"
    """Seconds since the clip's first frame, one or several; "canonical" without deformation; or "all" frames."""
    out: Path | None = None
    """File to write, or folder when there are several times; default: `splats` beside the scene."""
    min_opacity: float = 0.0
    """Leave out Gaussians whose opacity at that time is less than this, in [0, 1]."""


@dataclass(frozen=True)
class ExportHtml:
    """Write one HTML file that plays the scene in any browser, without a server or a network."""

    scene: Positional[Path]
    """Scene file, or the folder that `endogs reconstruct` wrote."""
    out: Path | None = None
    """File to write; default: `player.html` beside the scene."""
    title: str | None = None
    """Heading of the page; default: the clip's name."""
    max_gaussians: int = 200_000
    """Reduce a larger scene to the Gaussians that contribute most."""
