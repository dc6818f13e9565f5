"""Gaussians as the files that splat viewers open: the PLY of 3D Gaussian Splatting, .splat and glTF."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from endogs.export.chain_map import instant
from endogs.export.config import SplatFormat
from endogs.export.file_format import file_format
from endogs.export.formats.antimatter_splat import write_splat
from endogs.export.formats.gltf_splats import write_gltf_splats
from endogs.export.formats.ply import write_ply
from endogs.export.moments import Moment, moment, requested_times
from endogs.export.selection import Selection
from endogs.export.spherical_harmonics import constant_coefficients, view_dependent_coefficients
from endogs.export.units import about
from endogs.output import json_text, new_file, write_json, write_one_or_many
from endogs.render.normals import gaussian_normals
from endogs.scene import Scene
from endogs.scene.appearance import PLAIN


def export_splats(
    scene: Scene,
    times: Sequence[float] | str,
    path: Path,
    min_opacity: float = 0.0,
    format: SplatFormat | None = None,
    written: list[int] | None = None,
    selection: Selection | None = None,
) -> list[Path]:
    """Writes the Gaussians as `ply`, `splat` or `glb`, by default what the ending of `path` says, else PLY.

    `times` are seconds since the clip's first frame, "canonical" (no deformation) or "all"; one writes the file
    `path`, several the folder `path` with 000000.ply, 000001.ply... PLY and .splat are in the scene's units and axes;
    .splat has no room to say so, and gets a JSON file of its name beside it (in a folder: units.json). glTF is +Y up
    and in metres where the scene is in millimetres. `written` gets the number of Gaussians in every file. `selection`
    replaces `min_opacity` where more is asked.

    Returns the files, without the JSON. Raises InputError for a time outside the clip, a filter that leaves nothing, an
    ending that contradicts `format`, and a path that cannot be written.
    """
    chosen = splat_format(path, format)
    wanted = selection or Selection(min_opacity)
    moments = requested_times(scene, times)
    writers: dict[SplatFormat, Callable[[Path, Scene, Moment], None]] = {
        "ply": write_splat_ply,
        "splat": lambda file, _, at: write_splat(file, at.gaussians),
        "glb": write_gltf_splats,
    }

    # A PLY holds harmonics, which its viewer evaluates; other formats get the colours that the clip's camera saw.
    def write(file: Path, time: float | None) -> None:
        there = instant(scene, time, wanted.view_only)
        held = chosen == "ply" and there.appearance.harmonics is not None
        at = moment(replace(there, appearance=PLAIN) if held else there, time, wanted)
        writers[chosen](file, there, at)
        if written is not None:
            written.append(len(at.rows))
        if chosen == "splat" and len(moments) > 1 and not (file.parent / "units.json").exists():
            write_json(file.parent / "units.json", about(scene) | {"times_seconds": moments})

    if chosen != "splat" or len(moments) > 1:
        return write_one_or_many(path, f".{chosen}", moments, write)
    # Both are open before either gets its name, so that there is no file without its units.
    with new_file(path.with_name(path.name + ".json")) as sidecar:
        sidecar.write_text(json_text(about(scene, moments[0])))
        return write_one_or_many(path, f".{chosen}", moments, write)


def splat_format(path: Path | None, format: SplatFormat | None) -> SplatFormat:
    """The format to write; raises InputError when the ending of `path` names another one than `format`."""
    return file_format(path, format, get_args(SplatFormat), "ply")


def write_splat_ply(path: Path, scene: Scene, at: Moment) -> None:
    """The PLY of the reference implementation (Kerbl et al. 2023), 62 floats per Gaussian.

    x y z, nx ny nz, f_dc_0..2, f_rest_0..44, opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz). Normals are the
    shortest axis, turned to face the camera; several viewers refuse files without.
    """
    gaussians = at.gaussians
    world_to_camera = torch.as_tensor(scene.world_to_camera[0], dtype=torch.float32)
    normals = (gaussian_normals(gaussians.packed(), world_to_camera) @ world_to_camera[:3, :3]).numpy()
    if not scene.static_camera:
        away = (normals * (gaussians.means.numpy() - at.eyes)).sum(1, keepdims=True) > 0
        normals = np.where(away, -normals, normals).astype(np.float32)
    f_dc, f_rest = constant_coefficients(gaussians.colors.numpy()), view_dependent_coefficients(scene, at.rows)
    columns = dict(zip("xyz", gaussians.means.numpy().T, strict=True))
    columns |= dict(zip(("nx", "ny", "nz"), normals.T, strict=True))
    columns |= {f"f_dc_{i}": f_dc[:, i] for i in range(3)}
    columns |= {f"f_rest_{i}": np.ascontiguousarray(f_rest[:, i]) for i in range(f_rest.shape[1])}
    columns["opacity"] = gaussians.opacity_logits.numpy()
    columns |= {f"scale_{i}": gaussians.log_scales.numpy()[:, i] for i in range(3)}
    columns |= {f"rot_{i}": gaussians.quats.numpy()[:, i] for i in range(4)}
    write_ply(path, columns, at.comments)
