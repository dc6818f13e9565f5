"""The tissue's surface at a time, as a triangle mesh; a scene holds no instruments, and so neither does its mesh."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from endogs.errors import InputError
from endogs.export.config import ExportMesh, MeshFormat
from endogs.export.file_format import file_format
from endogs.export.formats.mesh_files import write_mesh
from endogs.export.meshing import DepthView, Mesh, fuse, without_edges
from endogs.export.moments import requested_seconds, shown_from_clip
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
"""Of a pixel of every view, and of the one that is being looked at for edges, in float64."""
MOST_VIEWS = 12
"""Views of a moving camera where nothing else is asked for."""
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
    times: list[float | None] = list(requested_seconds(scene, config.time))

    remedy = "raise --steepest" if config.voxel is None else "give a smaller --voxel, or leave it out"

    def write(file: Path, time: float | None) -> None:
        assert time is not None
        mesh = surface(scene, time, config)
        if not len(mesh.triangles):
            raise InputError(f"{scene.called}: shows no surface at {time:g} s with these options; {remedy}.")
        write_mesh(file, mesh, scene, time, chosen)

    return write_one_or_many(path, f".{chosen}", times, write)


def mesh_format(path: Path | None, format: MeshFormat | None) -> MeshFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    return file_format(path, format, get_args(MeshFormat), "ply")


def surface(scene: Scene, time: float, config: ExportMesh) -> Mesh:
    """The mesh at `time` (seconds), fused from what the clip's cameras would see at that time, all of them."""
    frames = _frames(scene, time, config.views or MOST_VIEWS)
    pixels = FINER**2 * scene.width * scene.height
    require_memory(
        pixels * (VIEW_BYTES * len(frames) + EDGE_BYTES),
        f"a surface from {len(frames)} depth maps of {FINER * scene.width:.0f} x {FINER * scene.height:.0f} pixels",
        "give fewer --views, fit the scene with a smaller --max-size of reconstruct, or use a machine with more memory",
    )
    views = [_seen_by(scene, time, frame, config.steepest) for frame in frames]
    known = [view.depth[view.depth > 0] for view in views]
    depths = np.concatenate(known)
    if not len(depths):
        raise InputError(f"{scene.called}: shows no surface at {time:g} s; fit it again.")
    footprint = float(np.median(depths)) / float(scene.K[0, 0, 0])
    voxel = config.voxel or VOXEL_PIXELS * footprint
    across = max(scene.width, scene.height) * footprint
    if across / voxel > MOST_VOXELS:
        raise InputError(
            f"--voxel {voxel:g} would take {across / voxel:.0f} voxels across the tissue; give "
            f"{across / MOST_VOXELS:.2g} or more."
        )
    return fuse(views, voxel)


def _frames(scene: Scene, time: float, most: int) -> Sequence[int]:
    """Frames whose cameras look: one for a still camera, else some spread over the clip, and the one of the time."""
    own = scene.nearest_frame(time)
    if scene.static_camera or most == 1:
        return [own]
    spread = np.linspace(0, len(scene.times) - 1, min(most - 1, len(scene.times))).round().astype(int).tolist()
    return sorted({own, *spread})


@torch.no_grad()
def _seen_by(scene: Scene, time: float, frame: int, steepest: float) -> DepthView:
    camera, packed = scene.camera(frame).scaled(FINER), shown_from_clip(scene, time)
    z = packed[:, :3] @ camera.world_to_camera[2, :3] + camera.world_to_camera[2, 3]
    offset = (z - z.median()).clamp(-FARTHEST, FARTHEST)
    rendering = rasterize_packed(packed, camera, features=torch.stack([offset, offset**2], 1))
    assert rendering.features is not None
    depth = torch.where(rendering.alpha >= SURE, rendering.depth, 0).float().cpu().numpy()
    color = rendering.color / rendering.alpha.clamp_min(SURE)[..., None]
    mean, square = (rendering.features / rendering.alpha.clamp_min(SURE)[..., None]).unbind(-1)
    spread = (square - mean**2).clamp_min(0).sqrt()
    blended = (spread > BLEND * FINER * rendering.depth / camera.K[0, 0]).cpu().numpy()
    kept = without_edges(depth, camera.K.double().cpu().numpy(), steepest, blended)
    return DepthView(camera, kept, color.clamp(0, 1).float().contiguous().cpu().numpy())
