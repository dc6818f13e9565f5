"""The tissue's surface at a time, as a triangle mesh; a scene holds no instruments, and so neither does its mesh."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from endogs.camera import Camera
from endogs.errors import InputError
from endogs.export.chain_map import instant
from endogs.export.config import ExportMesh, MeshFormat
from endogs.export.file_format import file_format
from endogs.export.formats.mesh_files import write_mesh
from endogs.export.map_cameras import covering_frames
from endogs.export.meshing import DepthView, Mesh, fuse, without_edges
from endogs.export.moments import requested_times, selected, shown_from_clip
from endogs.export.selection import Selection
from endogs.memory_budget import require_memory
from endogs.output import write_one_or_many
from endogs.pictures.scene_frames import SURE
from endogs.render import rasterize_packed
from endogs.scene import Scene

VOXEL_PIXELS = 2.0
"""Default voxel, in pixel footprints at the median depth."""
FINER = 2.0
"""Depth is rendered at this multiple of the clip's size: open3d reads the nearest pixel, which makes terraces."""
BLEND = 6.0
"""A pixel blends a near and a far surface when the depths of its Gaussians spread over more of the clip's pixel
footprints than this (standard deviation); on one surface they spread over one or two."""
VIEW_BYTES, EDGE_BYTES = 20, 120
"""Of a pixel of the view that is fused, and of the one that is being looked at for edges, in float64."""
GLANCE = 160
"""Longest side in pixels of the depth maps from which the voxel's size is taken where there are several."""
FARTHEST = 1e15
"""World units from the middle beyond which depths are not told apart: their squares still fit into float32."""
MOST_VOXELS = 4000
"""Voxels across the surface's widest extent beyond which a voxel is too small to be meant."""


def export_mesh(scene: Scene, config: ExportMesh, path: Path, format: MeshFormat | None = None) -> list[Path]:
    """Writes the mesh at one time to the file `path`, or at several times to the folder `path`.

    Returns the files. Raises InputError for a time outside the clip, a scene that shows no
    surface, an ending that contradicts `format`, and a path that cannot be written.
    """
    chosen = mesh_format(path, format)
    if config.views is not None and scene.static_camera:
        raise InputError("--views is not used by a scene of a still camera, which has one view; leave it out.")
    if config.views is not None and config.view_only:
        raise InputError("--views and --view-only contradict each other; leave one of them out.")
    remedy = "raise --steepest" if config.voxel is None else "give a smaller --voxel, or leave it out"

    def write(file: Path, time: float | None) -> None:
        mesh = surface(scene, time, config)
        if not len(mesh.triangles):
            raise InputError(f"{scene.called}: shows no surface {_when(time)} with these options; {remedy}.")
        write_mesh(file, mesh, scene, time, chosen)

    return write_one_or_many(path, f".{chosen}", requested_times(scene, config.time), write)


def mesh_format(path: Path | None, format: MeshFormat | None) -> MeshFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    return file_format(path, format, get_args(MeshFormat), "ply")


def surface_selection(config: ExportMesh) -> Selection:
    """Which Gaussians the surface is made of."""
    return Selection(show=config.show, view_only=config.view_only)


@torch.no_grad()
def surface(scene: Scene, time: float | None, config: ExportMesh) -> Mesh:
    """The mesh at `time` (seconds; None: canonical), fused from what the clip's cameras would see at that time.

    With a moving camera those are the frames that together see the whole map, as if time stood still.
    """
    scene = instant(scene, time, config.view_only)
    if scene.static_camera and config.show is None and not config.view_only:
        packed = shown_from_clip(scene, time)
    else:
        packed = selected(scene, time, surface_selection(config))[0]
    own = scene.nearest_frame(float(scene.times[0]) if time is None else time)
    still = scene.static_camera or config.view_only
    frames: Sequence[int] = [own] if still else covering_frames(scene, own, config.views)
    one = len(frames) == 1
    pixels = FINER**2 * scene.width * scene.height
    require_memory(
        pixels * (VIEW_BYTES + EDGE_BYTES),
        f"a surface from depth maps of {FINER * scene.width:.0f} x {FINER * scene.height:.0f} pixels",
        "fit the scene with a smaller --max-size of reconstruct, or use a machine with more memory",
    )
    views = RenderedViews(packed, tuple(scene.camera(frame).to(packed.device) for frame in frames), config.steepest)
    seen: RenderedViews | list[DepthView] = [*views] if one else views
    known = [view.depth[view.depth > 0] for view in (seen if isinstance(seen, list) else views.glances())]
    depths = np.concatenate(known)
    if not len(depths):
        raise InputError(f"{scene.called}: shows no surface {_when(time)}; fit it again.")
    footprint = float(np.median(depths)) / float(scene.K[0, 0, 0])
    voxel = config.voxel or VOXEL_PIXELS * footprint
    across = max(scene.width, scene.height) * footprint if one else _across(packed)
    if across / voxel > MOST_VOXELS:
        raise InputError(
            f"--voxel {voxel:g} would take {across / voxel:.0f} voxels across the tissue; give "
            f"{across / MOST_VOXELS:.2g} or more."
        )
    return fuse(seen, voxel)


@dataclass(frozen=True)
class RenderedViews:
    """What cameras see of Gaussians, drawn anew whenever it is asked for, so that one view is in memory at a time."""

    packed: Tensor
    """(N, 14)."""
    cameras: tuple[Camera, ...]
    steepest: float
    """Degrees between surface and line of sight beyond which a view leaves surface out."""

    def __len__(self) -> int:
        return len(self.cameras)

    def __contains__(self, view: object) -> bool:
        return any(view is one for one in self)

    def __iter__(self) -> Iterator[DepthView]:
        return (_seen_by(self.packed, camera.scaled(FINER), self.steepest, FINER) for camera in self.cameras)

    def glances(self) -> Iterator[DepthView]:
        """The same in small."""
        for camera in self.cameras:
            factor = min(1.0, GLANCE / max(camera.width, camera.height))
            yield _seen_by(self.packed, camera.scaled(factor), self.steepest, factor)


def _across(packed: Tensor) -> float:
    """The widest extent of nearly all of the Gaussians (N, 14)."""
    low, high = (np.percentile(packed[:, :3].cpu().numpy(), share, axis=0) for share in (1, 99))
    return float((high - low).max())


def _when(time: float | None) -> str:
    return "without deformation" if time is None else f"at {time:g} s"


@torch.no_grad()
def _seen_by(packed: Tensor, camera: Camera, steepest: float, finer: float) -> DepthView:
    """What a camera of `finer` times the clip's size sees of Gaussians (N, 14)."""
    z = packed[:, :3] @ camera.world_to_camera[2, :3] + camera.world_to_camera[2, 3]
    offset = (z - z.median()).clamp(-FARTHEST, FARTHEST)
    rendering = rasterize_packed(packed, camera, features=torch.stack([offset, offset**2], 1))
    assert rendering.features is not None
    depth = torch.where(rendering.alpha >= SURE, rendering.depth, 0).float().cpu().numpy()
    color = rendering.color / rendering.alpha.clamp_min(SURE)[..., None]
    mean, square = (rendering.features / rendering.alpha.clamp_min(SURE)[..., None]).unbind(-1)
    spread = (square - mean**2).clamp_min(0).sqrt()
    blended = (spread > BLEND * finer * rendering.depth / camera.K[0, 0]).cpu().numpy()
    kept = without_edges(depth, camera.K.double().cpu().numpy(), steepest, blended)
    return DepthView(camera, kept, color.clamp(0, 1).float().contiguous().cpu().numpy())
