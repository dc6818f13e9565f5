"""The clip's cameras, drawn over a free view: the path that they go, and the pyramids of what some of them see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import invert_rigid
from endogs.live.overlay import polyline
from endogs.live.viewpoint import Viewpoint
from endogs.scene import Scene

MOST_FRUSTA = 16
"""Frames, spread evenly over the clip, whose pyramids are drawn; the present frame's comes on top."""
LENGTH, LEAST_LENGTH = 0.15, 0.04
"""Of the distance from a camera to its tissue: how deep a pyramid is drawn, at most and at least."""
ALONG_PATH = 0.2
"""Of the extent of the path: how deep, between these two."""
BESIDE_EYE = 2.0
"""Depths of a pyramid within which it stands around the viewer's own eye, and is not drawn."""
PRESENT = 1.6
"""How many times as large the present frame's pyramid is."""
PAST_COLOR, FUTURE_COLOR, PRESENT_COLOR, LOST_COLOR = (110, 190, 255), (62, 88, 112), (255, 236, 92), (255, 70, 60)
"""RGB."""


@dataclass(frozen=True)
class CameraPath:
    """Cameras of a clip as lines in the world."""

    centres: NDArray[np.float64]
    """(F, 3) where the frames were taken."""
    corners: NDArray[np.float64]
    """(F, 4, 3) the corners of their pictures at a small depth, in turn around the picture."""
    drawn: NDArray[np.int64]
    """Frames whose pyramids are always drawn."""
    depth: float
    """World units from the tip of a pyramid to its picture."""
    placed: NDArray[np.bool_]
    """(F,) False for frames for which no pose was found: the path leaves them out."""

    @staticmethod
    def of(scene: Scene, distance: float) -> "CameraPath":
        """The path of a scene whose tissue is `distance` (world units) away; a still camera is one pyramid."""
        camera_to_world = invert_rigid(scene.world_to_camera)
        extent = float(np.linalg.norm(np.ptp(camera_to_world[:, :3, 3], axis=0)))
        K, depth = scene.K, min(LENGTH * distance, max(ALONG_PATH * extent, LEAST_LENGTH * distance))
        if scene.static_camera:
            depth = LENGTH * distance
        sides = [(0, 0), (scene.width, 0), (scene.width, scene.height), (0, scene.height)]
        corners = np.stack(
            [
                np.stack([(x - K[:, 0, 2]) / K[:, 0, 0], (y - K[:, 1, 2]) / K[:, 1, 1], np.ones(len(K))], 1) * depth
                for x, y in sides
            ],
            1,
        )
        in_world = np.einsum("fij,fcj->fci", camera_to_world[:, :3, :3], corners) + camera_to_world[:, None, :3, 3]
        count = 1 if scene.static_camera else min(MOST_FRUSTA, len(K))
        placed = scene.placed
        there = np.flatnonzero(placed) if placed.any() else np.arange(len(K))
        drawn = np.unique(there[np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(np.int64)])
        return CameraPath(camera_to_world[:, :3, 3], in_world, drawn, depth, placed)


def draw_cameras(image: NDArray[np.uint8], view: Viewpoint, path: CameraPath, frame: int) -> None:
    """Draws the path (bright until `frame`, dim from there on) and the pyramids, that of `frame` largest, in place.

    It is red where no pose was found for the frame, and stands between those of others.

    Nothing hides them: from outside they lie behind the tissue, and are to be seen all the same.
    """
    thickness = max(1, round(image.shape[0] / 500))
    polyline(image, view, path.centres[frame:][path.placed[frame:]], FUTURE_COLOR, thickness)
    for other in path.drawn[path.drawn != frame]:
        _pyramid(image, view, path, int(other), PAST_COLOR if other < frame else FUTURE_COLOR, 1, 1.0)
    polyline(image, view, path.centres[: frame + 1][path.placed[: frame + 1]], PAST_COLOR, thickness)
    color = PRESENT_COLOR if path.placed[frame] else LOST_COLOR
    _pyramid(image, view, path, frame, color, thickness + 1, PRESENT)


def _pyramid(
    image: NDArray[np.uint8],
    view: Viewpoint,
    path: CameraPath,
    frame: int,
    color: tuple[int, int, int],
    thickness: int,
    size: float,
) -> None:
    tip = path.centres[frame]
    eye = invert_rigid(view.camera.world_to_camera.double().cpu().numpy())[:3, 3]
    if np.linalg.norm(eye - tip) < BESIDE_EYE * size * path.depth:
        return
    corners = tip + size * (path.corners[frame] - tip)
    polyline(image, view, np.concatenate([corners, corners[:1]]), color, thickness)
    for corner in corners:
        polyline(image, view, np.stack([tip, corner]), color, thickness)
    # The upper edge is drawn twice as wide, as the pyramid looks the same upside down.
    polyline(image, view, corners[:2], color, 2 * thickness)
