"""What a browser looks through: a free camera or the endoscope, and where its picture sits on the canvas."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.camera import Camera
from endogs.geometry import invert_rigid, rigid, rotation_from_quaternion
from endogs.render.backends import rasterize_packed
from endogs.scene import Scene

SURE = 0.5
"""Tissue is where the Gaussians stop at least this share of the light."""
OUTSIDE_FOV = 0.8
"""Vertical field of view of the look from outside, radians."""
ROOM = 1.1
"""How much larger its picture is than the map."""
FAINT = 0.1
"""Opacity below which a Gaussian does not count for where the map is."""
STRAY = 1.0
"""Percentiles of the Gaussians, on either side of each axis, that do not count either."""
SAMPLE = 20_000
"""Gaussians that are enough to know that."""
LEVEL = 0.2
"""Sine of the angle between the look from outside and the endoscope's vertical below which that is no guide."""
LARGEST = 4096
"""Longest side of a canvas in pixels: what a browser asks for is not trusted further."""


@dataclass(frozen=True)
class Orbit:
    """A free camera, as browsers describe it."""

    wxyz: tuple[float, float, float, float]
    """Rotation from camera (OpenCV axes) to world."""
    position: tuple[float, float, float]
    """Camera centre, world units."""
    fov: float
    """Vertical field of view, radians."""


@dataclass(frozen=True)
class Viewpoint:
    """A camera, and the place of its picture on the canvas."""

    camera: Camera
    canvas: tuple[int, int]
    """(width, height) of the streamed image in pixels."""
    corner: tuple[int, int] = (0, 0)
    """Column and row of the canvas where the camera's picture begins."""
    free: bool = False
    """Whether it is a free camera's, and not the endoscope's."""

    def pixel(self, x: float, y: float) -> tuple[float, float] | None:
        """The camera's pixel (pixel centres at +0.5) at the fractions x, y in [0, 1] of the canvas; None beside it."""
        column, row = x * self.canvas[0] - self.corner[0], y * self.canvas[1] - self.corner[1]
        inside = 0 <= column < self.camera.width and 0 <= row < self.camera.height
        return (column, row) if inside else None

    def project(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Canvas pixels (..., 2) of world points (..., 3), and whether each is in front of the camera."""
        world_to_camera = self.camera.world_to_camera.double().numpy()
        K = self.camera.K.double().numpy()
        seen = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        front = seen[..., 2] > self.camera.near
        depth = np.where(front, seen[..., 2], 1.0)
        x = K[0, 0] * seen[..., 0] / depth + K[0, 2] + self.corner[0]
        y = K[1, 1] * seen[..., 1] / depth + K[1, 2] + self.corner[1]
        return np.stack([x, y], -1), front


def canvas_size(width: float, height: float, longest: float) -> tuple[int, int]:
    """Whole pixels of a canvas of this shape whose longer side is at most `longest`; at least 16 on either side."""
    factor = min(1.0, longest / max(width, height, 1), LARGEST / max(width, height, 1))
    return max(16, round(width * factor)), max(16, round(height * factor))


def orbit_view(orbit: Orbit, canvas: tuple[int, int], near: float = 1e-2) -> Viewpoint:
    """The free camera's view, which fills the canvas; its principal point is the middle."""
    width, height = canvas
    focal = 0.5 * height / np.tan(0.5 * float(np.clip(orbit.fov, 0.01, 3.1)))
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    camera_to_world = rigid(rotation_from_quaternion(np.asarray(orbit.wxyz, np.float64)), np.asarray(orbit.position))
    return Viewpoint(Camera.from_numpy(K, invert_rigid(camera_to_world), width, height, near), canvas, free=True)


def endoscope_view(scene: Scene, time: float, canvas: tuple[int, int], panel: int = 0, panels: int = 1) -> Viewpoint:
    """The view of the clip's camera at `time`, as large as fits, in the middle of its share of the canvas.

    The canvas is divided into `panels` columns, of which `panel` is meant. Between two frames the nearest one's camera
    serves.
    """
    share = canvas[0] // panels
    camera = scene.camera(scene.nearest_frame(time)).to("cpu")
    camera = camera.scaled(min(share / camera.width, canvas[1] / camera.height))
    corner = (panel * share + (share - camera.width) // 2, (canvas[1] - camera.height) // 2)
    return Viewpoint(camera, canvas, corner)


def orbit_of_frame(scene: Scene, frame: int) -> Orbit:
    """The free camera nearest to the clip's camera: same place, same direction, same vertical field of view."""
    from scipy.spatial.transform import Rotation

    camera_to_world = invert_rigid(scene.world_to_camera[frame])
    x, y, z, w = (float(value) for value in Rotation.from_matrix(camera_to_world[:3, :3]).as_quat())
    fov = 2 * np.arctan(0.5 * scene.height / scene.K[frame, 1, 1])
    position = camera_to_world[:3, 3]
    return Orbit((w, x, y, z), (float(position[0]), float(position[1]), float(position[2])), float(fov))


@torch.no_grad()
def pivot(scene: Scene, time: float) -> NDArray[np.float64]:
    """The point (3,) of the tissue to turn around: on the clip camera's axis, at the median depth of its middle.

    Where nothing is drawn there, the median of all Gaussians' centres.
    """
    camera = scene.camera(scene.nearest_frame(time)).to("cpu")
    camera = camera.scaled(160 / max(camera.width, camera.height))
    packed = scene.packed_at(time)
    rendering = rasterize_packed(packed, camera.to(packed.device))
    rows, columns = (
        slice(camera.height // 4, 1 + 3 * camera.height // 4),
        slice(camera.width // 4, 3 * camera.width // 4),
    )
    depth = rendering.depth[rows, columns][rendering.alpha[rows, columns] >= SURE]
    if depth.numel() == 0:
        return np.asarray(packed[:, :3].double().cpu().median(0).values.numpy()) if len(packed) else np.zeros(3)
    camera_to_world = invert_rigid(camera.world_to_camera.double().numpy())
    return np.asarray(camera_to_world[:3, 2] * float(depth.median()) + camera_to_world[:3, 3])


@torch.no_grad()
def outside_orbit(scene: Scene, time: float, canvas: tuple[int, int]) -> tuple[Orbit, NDArray[np.float64]]:
    """A free camera that has the whole map at `time` and all of the clip's cameras in its picture, and the middle (3,)
    of that.

    It looks across the map, along the direction in which that is thinnest, from the side from which the endoscope
    looks, and with the endoscope's upward direction as far as that goes.
    """
    from scipy.spatial.transform import Rotation

    camera_to_world = invert_rigid(scene.world_to_camera)
    points = camera_to_world[:, :3, 3]
    packed = scene.packed_at(time)
    means = packed[torch.sigmoid(packed[:, 10]) >= FAINT, :3].double().cpu().numpy()
    means = means[:: max(1, len(means) // SAMPLE)]
    if len(means):
        low, high = np.percentile(means, [STRAY, 100 - STRAY], axis=0)
        points = np.concatenate([points, means[((means >= low) & (means <= high)).all(1)]])
    centre = (points.min(0) + points.max(0)) / 2
    axes = np.linalg.svd(points - points.mean(0), full_matrices=False)[2]
    forward, down = (camera_to_world[:, :3, axis].mean(0) for axis in (2, 1))
    z = axes[2] if axes[2] @ forward >= 0 else -axes[2]
    y = down - (down @ z) * z
    if np.linalg.norm(y) < LEVEL:  # it looks along the endoscope's own vertical
        y = axes[1]
    y = y / np.linalg.norm(y)
    rotation = np.stack([np.cross(y, z), y, z], 1)
    half = np.abs((points - centre) @ rotation).max(0)
    slope = np.tan(OUTSIDE_FOV / 2)
    away = ROOM * max(half[0] / (slope * canvas[0] / max(canvas[1], 1)), half[1] / slope) + half[2]
    place = centre - z * max(away, 1e-3)
    qx, qy, qz, qw = (float(value) for value in Rotation.from_matrix(rotation).as_quat())
    return Orbit((qw, qx, qy, qz), (float(place[0]), float(place[1]), float(place[2])), OUTSIDE_FOV), centre


def camera_json(view: Viewpoint, time: float, units: str) -> dict[str, Any]:
    """The camera as JSON: `K`, `world_to_camera`, size, time, units, and the convention in words."""
    camera = view.camera
    return {
        "width": camera.width,
        "height": camera.height,
        "K": camera.K.double().tolist(),
        "world_to_camera": camera.world_to_camera.double().tolist(),
        "time_seconds": time,
        "units": units,
        "axes": "OpenCV: x right, y down, z forward; pixel centres at +0.5",
    }
