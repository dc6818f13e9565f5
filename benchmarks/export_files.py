"""Size and time of every export of a scene.

    python benchmarks/export_files.py SCENE [--rounds 1]

Each row is one `endogs export` in this process, after one that is not counted (imports): processor seconds of all
threads, wall seconds, bytes of all files. With a phantom's clip at hand (`truth/` in the scene's clip) the mesh is also
compared with the true surface, along the first camera's lines of sight.
"""

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from endogs.cli import main as endogs
from endogs.open3d_library import import_open3d
from endogs.scene.scene_file import load_scene

KINDS: list[list[str]] = [
    *(["points", "--format", format] for format in ("ply", "ply-ascii", "pcd", "xyz", "npz")),
    ["points", "--outlier-deviations", "2"],
    *(["splats", "--format", format] for format in ("ply", "splat", "glb")),
    *(["mesh", "--format", format] for format in ("ply", "obj", "glb")),
    *(["video", "--what", what] for what in ("render", "depth", "side-by-side", "orbit", "instruments-removed")),
    *(["depth", "--format", format] for format in ("png", "exr", "npy")),
    *(["cameras", "--format", format] for format in ("tum", "colmap", "nerfstudio")),
    *(["tracks", "--format", format] for format in ("csv", "npz")),
    ["html"],
]
ENDINGS = {"ply-ascii": "ply", "tum": "tum", "nerfstudio": "json"}


def name_for(kind: list[str]) -> str:
    """A name that suits the kind."""
    if kind[0] == "depth" or "colmap" in kind:
        return "out"
    standard = {"points": "ply", "video": "mp4", "html": "html"}
    return "out." + (ENDINGS.get(kind[2], kind[2]) if "--format" in kind else standard[kind[0]])


def export(scene: Path, kind: list[str], folder: Path) -> tuple[float, float, int, Path]:
    """Processor seconds, wall seconds, bytes, and the path written."""
    path = folder / name_for(kind)
    processor, wall = time.process_time(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = endogs(["export", kind[0], str(scene), *kind[1:], "--out", str(path)])
    seconds = time.process_time() - processor, time.perf_counter() - wall
    if code:
        raise SystemExit(code)
    files = [file for file in folder.rglob("*") if file.is_file()]
    return *seconds, sum(file.stat().st_size for file in files), path


def mesh_error(scene_path: Path, mesh_path: Path) -> str:
    """Median and 90th percentile of the mesh's error against the phantom's true surface at the first frame."""
    scene = load_scene(scene_path)
    clip = Path(scene.origin.clip or "")
    truth = clip / "truth" / "depth_without_instruments" / "000000.png"
    if not truth.is_file():
        return "no truth at hand"
    depth = cv2.imread(str(truth), cv2.IMREAD_UNCHANGED) * 0.01
    hidden = cv2.imread(str(clip / "masks" / "000000.png"), cv2.IMREAD_UNCHANGED) > 0
    open3d = import_open3d()
    mesh = open3d.t.geometry.TriangleMesh.from_legacy(open3d.io.read_triangle_mesh(str(mesh_path)))
    caster = open3d.t.geometry.RaycastingScene()
    caster.add_triangles(mesh)
    K = open3d.core.Tensor(scene.K[0])
    rays = caster.create_rays_pinhole(K, open3d.core.Tensor(scene.world_to_camera[0]), scene.width, scene.height)
    found = caster.cast_rays(rays)["t_hit"].numpy()  # directions have z = 1 in the camera: this is z-depth
    hit = np.isfinite(found)
    parts = []
    for name, where in (("visible", ~hidden), ("behind instruments", hidden)):
        if where.any():
            error = np.abs(found - depth)[hit & where]
            parts.append(
                f"{name}: median {np.median(error):.3f} mm, 90 % within {np.quantile(error, 0.9):.3f} mm, "
                f"{100 * hit[where].mean():.1f} % covered"
            )
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    scene = load_scene(options.scene)
    print(f"{len(scene)} Gaussians, {len(scene.times)} frames of {scene.width} x {scene.height}\n")
    print("| export | CPU s | s | MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        export(options.scene, KINDS[0], Path(folder))
    for kind in KINDS:
        rows = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                *numbers, path = export(options.scene, kind, Path(folder))
                rows.append(numbers)
                error = mesh_error(options.scene, path) if kind == ["mesh", "--format", "ply"] else ""
        processor, wall, size = np.median(np.array(rows), axis=0)
        print(f"| {' '.join(kind)} | {processor:.2f} | {wall:.2f} | {size / 1e6:.2f} |", flush=True)
        if error:
            print(f"mesh against the truth: {error}", flush=True)


if __name__ == "__main__":
    main()
