"""Triangle meshes as PLY, OBJ and glTF files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.export.config import MeshFormat
from endogs.export.formats.glb import GlbBuffer, write_glb
from endogs.export.formats.gltf_axes import gltf_about, metres, turned
from endogs.export.formats.ply import write_ply
from endogs.export.meshing import Mesh
from endogs.export.units import header_lines
from endogs.scene import Scene


def write_mesh(path: Path, mesh: Mesh, scene: Scene, time: float | None, format: MeshFormat) -> None:
    """Writes the mesh of one time (seconds; None: canonical), with vertex normals and colours.

    PLY and OBJ are in the scene's units and axes with sRGB colours (OBJ: r g b after x y z, as MeshLab and Blender read
    it); glTF is +Y up, in metres through its node where the scene is in millimetres, with linear colours as it demands,
    and unlit, since the endoscope's light is in the colours already.
    """
    if format == "glb":
        _write_gltf(path, mesh, scene, time)
    elif format == "obj":
        _write_obj(path, mesh, header_lines(scene, time))
    else:
        columns: dict[str, NDArray] = dict(zip("xyz", mesh.vertices.T, strict=True))
        columns |= dict(zip(("nx", "ny", "nz"), mesh.normals.T, strict=True))
        colors = np.round(mesh.colors * 255).astype(np.uint8)
        columns |= dict(zip(("red", "green", "blue"), colors.T, strict=True))
        write_ply(path, columns, header_lines(scene, time), mesh.triangles)


def _write_obj(path: Path, mesh: Mesh, comments: tuple[str, ...]) -> None:
    corners = np.repeat(mesh.triangles + 1, 2, axis=1)
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"# {line}\n" for line in comments)
        np.savetxt(file, np.column_stack([mesh.vertices, mesh.colors]), fmt="v %.6f %.6f %.6f %.4f %.4f %.4f")
        np.savetxt(file, mesh.normals, fmt="vn %.4f %.4f %.4f")
        np.savetxt(file, corners, fmt="f %d//%d %d//%d %d//%d")


def _write_gltf(path: Path, mesh: Mesh, scene: Scene, time: float | None) -> None:
    buffer = GlbBuffer()
    linear = np.where(mesh.colors <= 0.04045, mesh.colors / 12.92, ((mesh.colors + 0.055) / 1.055) ** 2.4)
    rgba = np.column_stack([linear, np.ones(len(linear))])
    attributes = {
        "POSITION": buffer.add(turned(mesh.vertices), bounds=True),
        "NORMAL": buffer.add(turned(mesh.normals)),
        "COLOR_0": buffer.add(np.round(rgba * 65535).astype(np.uint16), normalized=True),
    }
    indices = buffer.add(mesh.triangles.astype(np.uint32).ravel(), indices=True)
    primitive = {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}
    material = {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "doubleSided": True,
        "extensions": {"KHR_materials_unlit": {}},
    }
    root = {
        "asset": gltf_about(scene, time),
        "extensionsUsed": ["KHR_materials_unlit"],
        "materials": [material],
    }
    write_glb(path, primitive, buffer, root, metres(scene))
