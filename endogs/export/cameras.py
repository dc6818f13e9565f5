"""The clip's cameras in the forms of other programs: TUM, COLMAP and nerfstudio."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from endogs.errors import InputError
from endogs.export.config import CameraFormat
from endogs.export.moments import moment
from endogs.export.selection import Selection
from endogs.export.units import about
from endogs.geometry import invert_rigid
from endogs.output import new_file, new_folder, write_json
from endogs.scene import Scene
from endogs.scene.units import units_phrase

DEFAULT_NAMES: dict[CameraFormat, str] = {"tum": "cameras.tum", "colmap": "colmap", "nerfstudio": "transforms.json"}
MOST_POINTS = 20_000
"""Points of a COLMAP model where nothing else is asked for."""
ENDINGS: dict[CameraFormat, tuple[str, ...]] = {"tum": (".tum", ".txt"), "colmap": ("",), "nerfstudio": (".json",)}


def export_cameras(scene: Scene, path: Path, format: CameraFormat = "tum", max_points: int | None = None) -> None:
    """Writes one camera per frame of the clip that has a pose; frames are named images/000000.png, 000001.png...

    `tum`: lines "time tx ty tz qx qy qz qw", T_world_camera, seconds; it knows no intrinsics. `colmap`: the folder of a
    text model, world-to-camera, with at most `max_points` (MOST_POINTS; for `colmap` alone) of the first frame's
    Gaussians as points. `nerfstudio`: transforms.json with OpenGL camera axes (x right, y up, z backward).

    Raises InputError for an ending that is not the format's, a number out of range, and a path that cannot be written.
    """
    if path.suffix.lower() not in ENDINGS[format]:
        wanted = "a folder's name, without an ending" if format == "colmap" else f"a name in {ENDINGS[format][0]}"
        raise InputError(f"{path}: the cameras' --format is {format}; give {wanted}.")
    if max_points is not None and format != "colmap":
        raise InputError(f"--max-points is not used by --format {format}; leave it out, or use colmap.")
    if max_points is not None and max_points < 0:
        raise InputError(f"--max-points {max_points} is out of range; give 0 or more.")
    if format == "tum":
        with new_file(path) as partial:
            partial.write_text(_tum(scene), encoding="ascii")
    elif format == "nerfstudio":
        write_json(path, _transforms(scene))
    else:
        with new_folder(path) as folder:
            for name, text in _colmap(scene, MOST_POINTS if max_points is None else max_points).items():
                (folder / name).write_text(text, encoding="ascii")


def image_name(frame: int) -> str:
    """What the frames are called in COLMAP and nerfstudio files."""
    return f"{frame:06d}.png"


def _tum(scene: Scene) -> str:
    lines = [f"# endogs; T_world_camera, OpenCV axes, units {units_phrase(scene)}", "# time tx ty tz qx qy qz qw"]
    if scene.origin.time_offset is not None:
        lines.insert(1, f"# time_offset {scene.origin.time_offset:.9f}")
    for time, camera_to_world, placed in zip(
        scene.times, invert_rigid(scene.world_to_camera), scene.placed, strict=True
    ):
        if not placed:
            lines.append(f"# lost {time:.9f}")
            continue
        quaternion = Rotation.from_matrix(camera_to_world[:3, :3]).as_quat()
        lines.append(" ".join(f"{value:.9f}" for value in (time, *(camera_to_world[:3, 3] + 0.0), *quaternion)))
    return "\n".join(lines) + "\n"


def _transforms(scene: Scene) -> dict:
    camera_to_world = invert_rigid(scene.world_to_camera)
    camera_to_world[:, :, 1:3] *= -1
    shared = bool((scene.K[:1] == scene.K).all())
    frames = []
    for frame in np.flatnonzero(scene.placed).tolist():
        pose = camera_to_world[frame]
        entry = {"file_path": f"images/{image_name(frame)}", "transform_matrix": (pose + 0.0).tolist()}
        entry["time_seconds"] = float(scene.times[frame])
        frames.append(entry if shared else entry | _intrinsics(scene.K[frame]))
    described = about(scene) | {"camera_axes": "OpenGL: x right, y up, z backward", "camera_model": "PINHOLE"}
    described |= {"w": scene.width, "h": scene.height, **(_intrinsics(scene.K[0]) if shared else {})}
    return described | {"frames": frames}


def _intrinsics(K: NDArray[np.float64]) -> dict[str, float]:
    return {"fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2])}


def _colmap(scene: Scene, max_points: int) -> dict[str, str]:
    """cameras.txt, images.txt and points3D.txt; COLMAP's pixel centres are at +0.5 too."""
    note = f"# endogs; units {units_phrase(scene)}"
    distinct, camera_of = np.unique(scene.K, axis=0, return_inverse=True)
    cameras = [note, "# CAMERA_ID, MODEL, WIDTH, HEIGHT, fx, fy, cx, cy"]
    for number, K in enumerate(distinct, 1):
        values = " ".join(repr(float(value)) for value in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        cameras.append(f"{number} PINHOLE {scene.width} {scene.height} {values}")
    images = [note, "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then a line of 2D points, empty here"]
    for frame in np.flatnonzero(scene.placed).tolist():
        pose = scene.world_to_camera[frame]
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        values = " ".join(f"{value:.12g}" for value in (w, x, y, z, *(pose[:3, 3] + 0.0)))
        images += [f"{frame + 1} {values} {camera_of.ravel()[frame] + 1} {image_name(frame)}", ""]
    points = [note, "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]"]
    if max_points and len(scene):
        at = moment(scene, float(scene.times[0]), Selection())
        chosen = np.unique(np.linspace(0, len(at.rows) - 1, min(max_points, len(at.rows))).round().astype(int))
        means = at.gaussians.means.numpy()[chosen]
        colors = np.round(at.gaussians.colors.clamp(0, 1).numpy()[chosen] * 255).astype(int)
        rows = zip(range(1, len(chosen) + 1), means, colors, strict=True)
        points += [f"{i} {x:.6f} {y:.6f} {z:.6f} {r} {g} {b} 0" for i, (x, y, z), (r, g, b) in rows]
    texts = {"cameras.txt": cameras, "images.txt": images, "points3D.txt": points}
    return {name: "\n".join(lines) + "\n" for name, lines in texts.items()}
