"""Options of `endogs export`, one dataclass per kind. No torch here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from endogs.options import Options, Range

PointFormat = Literal["ply", "ply-ascii", "pcd", "xyz", "npz"]
SplatFormat = Literal["ply", "splat", "glb"]
MeshFormat = Literal["ply", "obj", "glb"]
DepthFormat = Literal["png", "exr", "npy"]
CameraFormat = Literal["tum", "colmap", "nerfstudio"]
TrackFormat = Literal["csv", "npz"]
Film = Literal["render", "depth", "side-by-side", "orbit", "instruments-removed"]
SECONDS = Range(-1e9, 1e9)
SCALE = Range(0, 8, above=True, what="a factor")
Times = Annotated[tuple[float, ...] | Literal["first", "all"], SECONDS, arg(metavar="first|all|SECONDS [SECONDS ...]")]
Moments = Annotated[
    tuple[float, ...] | Literal["first", "all", "canonical"],
    SECONDS,
    arg(metavar="first|all|canonical|SECONDS [SECONDS ...]"),
]
Shown = Literal["all", "seen", "filled-in"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class ExportPoints(Options):
    """Write the scene's surface as a coloured point cloud, at one time or as a sequence."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    time: Moments = "first"
    """The first frame, all frames of the clip, without deformation (canonical), or one or several times in seconds
    since the first."""
    view_only: bool = False
    """With a moving camera: only what the clip's camera sees at that time, and not the whole map."""
    out: Path | None = None
    """File to write, or folder for several times; default: points.ply (by --format) or points/ beside the scene."""
    format: PointFormat | None = None
    """File format; default: what the ending of --out says, else ply (binary)."""
    albedo: bool = False
    """Colour by the tissue's albedo, without the lamp's falloff and highlights; for scenes fitted with --colors lit."""
    min_opacity: Annotated[float, Range(0, 1)] = 0.1
    """Leave out Gaussians whose opacity at that time is less than this, in [0, 1]."""
    min_frames: Annotated[int, Range(0, 10**9)] = 0
    """Leave out Gaussians that fewer training frames than this show."""
    show: Shown | None = None
    """All Gaussians, only those that some training frame shows, or only those filled in where none does; default: all,
    and with a moving camera those that are seen."""
    outlier_deviations: Annotated[float | None, Range(0, 1e6, above=True)] = None
    """Leave out points whose mean distance to their 20 nearest neighbours exceeds the average by more than so many
    standard deviations; 2 is usual, and by default all are kept."""


@dataclass(frozen=True)
class ExportSplats(Options):
    """Write the scene's Gaussians for splat viewers: the PLY of 3D Gaussian Splatting, .splat, or glTF."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    time: Moments = "canonical"
    """Without deformation (canonical), the first frame, all frames of the clip, or one or several times in seconds
    since the first."""
    view_only: bool = False
    """With a moving camera: only what the clip's camera sees at that time, and not the whole map."""
    out: Path | None = None
    """File to write, or folder for several times; default: splats.ply (by --format) or splats/ beside the scene."""
    format: SplatFormat | None = None
    """File format; default: what the ending of --out says, else ply. glb is glTF with KHR_gaussian_splatting."""
    albedo: bool = False
    """Colour by the tissue's albedo, without the lamp's falloff and highlights; for scenes fitted with --colors lit."""
    min_opacity: Annotated[float, Range(0, 1)] = 0.0
    """Leave out Gaussians whose opacity at that time is less than this, in [0, 1]."""
    show: Shown | None = None
    """All Gaussians, only those that some training frame shows, or only those filled in where none does; default: all,
    and with a moving camera those that are seen."""


@dataclass(frozen=True)
class ExportMesh(Options):
    """Write the tissue's surface as a coloured triangle mesh, fused from rendered depth; instruments are not in it."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    time: Moments = "first"
    """The first frame, all frames of the clip, without deformation (canonical), or one or several times in seconds
    since the first."""
    view_only: bool = False
    """With a moving camera: only the surface that the clip's camera sees at that time, and not the whole map."""
    out: Path | None = None
    """File to write, or folder for several times; default: mesh.ply (by --format) or mesh/ beside the scene."""
    format: MeshFormat | None = None
    """File format; default: what the ending of --out says, else ply."""
    voxel: Annotated[float | None, Range(0, 1e6, above=True, what="a size")] = None
    """Size of the voxels, in the scene's units, about the length of the triangles' sides; default: two pixels of the
    clip at the tissue's median depth."""
    views: Annotated[int | None, Range(1, 10**6)] = None
    """With a moving camera: most frames whose cameras look at the surface; default: as many as it takes to see all that
    the clip saw."""
    show: Shown | None = None
    """The surface of all Gaussians, of those that some training frame shows, or of those filled in where none does;
    default: all, and with a moving camera those that are seen."""
    steepest: Annotated[float, Range(10, 89, what="an angle from")] = 80.0
    """Leave out surface that a camera sees more slantingly than this, in degrees, 90 being edge-on: there a single view
    knows nothing of its shape."""


@dataclass(frozen=True)
class ExportVideo(Options):
    """Write an H.264 video: what the scene shows, its depth, beside the clip, from a moving viewpoint, or the clip
    without its instruments."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    out: Path | None = None
    """File to write, NAME.mp4; default: the name of --what beside the scene, such as render.mp4."""
    what: Film = "render"
    """The rendering; its depth (turbo, blue near, red far, the range in the file's metadata); clip | rendering | depth
    side by side; an orbit around the camera's place; or the clip with instruments replaced by the rendering."""
    scale: Annotated[float, SCALE] = 1.0
    """Size of each picture over the size of the clip, above 0 and up to 8."""
    fps: Annotated[float | None, Range(1, 240)] = None
    """Pictures per second, drawn at those moments, so that the speed stays true; default: the clip's frames."""
    crf: Annotated[int, Range(1, 51)] = 18
    """Quality of the video, 1 (nearly perfect) to 51 (smallest file)."""
    orbit_degrees: Annotated[float | None, Range(0, 60, above=True, what="an angle")] = None
    """With orbit: largest angle between the camera and the clip's, seen from the tissue, above 0 and up to 60; default:
    8."""
    clip: Path | None = None
    """The clip, for side-by-side and instruments-removed; by default the one that the scene was fitted to."""
    masks: Literal["fitted", "given", "found", "color", "none"] = "fitted"
    """With instruments-removed: those of the fit (fitted), those beside the clip (given), found in the
    pictures (found), by colour alone, or none."""
    device: Device = "auto"
    """Where pictures are drawn: an NVIDIA GPU when one can be used, or the processor."""


@dataclass(frozen=True)
class ExportDepth(Options):
    """Write rendered depth maps, with a depth.json that says their unit, cameras and times."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    time: Times = "all"
    """The first frame, all frames of the clip, or one or several times in seconds since the first."""
    out: Path | None = None
    """Folder to write; default: depth/ beside the scene."""
    format: DepthFormat = "png"
    """16-bit PNG (0.01 of the scene's unit per level, or more where depth is beyond 655), or float32 as EXR or npy."""
    scale: Annotated[float, SCALE] = 1.0
    """Size of the maps over the size of the clip, above 0 and up to 8."""


@dataclass(frozen=True)
class ExportCameras(Options):
    """Write the clip's cameras, one per frame whose pose is known, for other programs."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    out: Path | None = None
    """File to write (tum, nerfstudio), or folder (colmap); default: cameras.tum, colmap or transforms.json beside the
    scene."""
    format: CameraFormat = "tum"
    """TUM trajectory (poses only), COLMAP text model with the Gaussians' centres as its points, or nerfstudio's
    transforms.json."""
    max_points: Annotated[int | None, Range(0, 10**9)] = None
    """With colmap: most points in points3D.txt; default: 20000."""


@dataclass(frozen=True)
class ExportTracks(Options):
    """Write where points of the tissue are at every frame, as the Gaussians carry them."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    out: Path | None = None
    """File to write; default: tracks.csv (by --format) beside the scene."""
    format: TrackFormat | None = None
    """File format; default: what the ending of --out says, else csv."""
    count: Annotated[int | None, Range(1, 10**7)] = None
    """Number of points, evenly spread over the tissue that the first frame shows; default: 500."""
    gaussian: Annotated[tuple[int, ...], Range(0, 2**31 - 1)] = ()
    """Follow these Gaussians instead, by their index in the scene."""


@dataclass(frozen=True)
class ExportHtml(Options):
    """Write one HTML file that plays the scene in any browser, without a server or a network."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    out: Path | None = None
    """File to write; default: player.html beside the scene."""
    title: str | None = None
    """Heading of the page; default: the clip's name."""
    max_gaussians: Annotated[int, Range(1, 10**9)] = 200_000
    """Reduce a larger scene to the Gaussians that contribute most."""
    start: Annotated[float | None, SECONDS] = None
    """Show the clip from this time on, in seconds since its first frame; default: from its beginning."""
    end: Annotated[float | None, SECONDS] = None
    """Show the clip up to this time, in seconds since its first frame; default: to its end."""
    megabytes: Annotated[float | None, Range(0, 10_000, above=True, what="a size")] = None
    """Largest size of the page, in MB of 10^6 bytes; Gaussians that contribute least are left out until it fits."""
