"""A scene's depth where frames see known points, as `endogs evaluate --sparse-points` measures it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.evaluate.evaluate import render_frame
from endogs.evaluate.judged_frames import MaskOf
from endogs.evaluate.metrics.point_visibility import visible_points
from endogs.evaluate.metrics.pose_alignment import Poses
from endogs.evaluate.metrics.pose_association import match_times
from endogs.evaluate.metrics.sparse_depth import sparse_depth_errors
from endogs.evaluate.pose_files import CameraPath
from endogs.evaluate.scene_cameras import SAME_TIME
from endogs.evaluate.sparse_points import SparsePoints
from endogs.geometry import invert_rigid
from endogs.output import to_json
from endogs.plain_text import plain
from endogs.scene import Scene

MOST_POINTS = 10_000
"""Points of a cloud without lists of who sees what, evenly taken: more make no difference in the third digit."""
FEWEST_IN_VIEW = 0.5
"""Share of the sightings that must lie in the picture, or points and poses are of two worlds."""
OTHER_UNITS = 3.0
"""A scale of a scene in mm beyond it, or below its inverse, is worth a word."""


def point_poses(points: SparsePoints, clip: Clip, reference: CameraPath | None, scenes: Sequence[Scene] = ()) -> Poses:
    """World to camera (F, 4, 4) of the clip's frames in the points' world, NaN where a frame has none: those in the
    points' own file, else of the `reference`, else the clip's.

    Raises InputError for a reference without poses at the clip's frames, and for a clip without poses whose `scenes`
    have cameras that move, since nobody knows then where the points are.
    """
    if points.world_to_camera is not None:
        return points.world_to_camera
    if reference is None:
        if clip.static_camera and any(np.ptp(scene.world_to_camera, axis=0).max() > 1e-9 for scene in scenes):
            raise InputError(
                f"{points.source}: the clip has no poses and the scene's cameras move, so the points have no place in "
                "its frames; give the poses that belong to them with --trajectory."
            )
        return np.asarray(clip.world_to_camera, np.float64)
    ours, theirs = match_times(clip.times + clip.time_offset, reference.times, SAME_TIME)
    if not len(ours):
        raise InputError(f"{reference.source}: its times are not those of the clip's frames, so points have no place.")
    found = np.full((len(clip), 4, 4), np.nan)
    found[ours] = invert_rigid(reference.poses[theirs])
    return found


def depth_at_points(
    scene: Scene, path: Path, points: SparsePoints, poses: Poses, clip: Clip, masks: MaskOf, backend: str = "auto"
) -> dict[str, Any]:
    """Errors of the scene's z-depth at the pixels where the points fall, as a JSON object.

    A point counts in the frames that are said to see it, where that is said, and otherwise where no other point hides
    it; and only on tissue, where the scene draws something. Its true depth is that in its own camera, and the scene
    draws with its own. Raises InputError where the points do not lie in the pictures, and where nothing is left.
    """
    depth, true, frame = [], [], []
    named = in_view = on_tissue = 0
    for index in range(len(clip)):
        chosen = _points_of(points, index)
        if not np.isfinite(poses[index]).all() or not len(chosen):
            continue
        camera = chosen @ poses[index, :3, :3].T + poses[index, :3, 3]
        named += len(camera)
        pixel, inside = _pixels(camera, clip.K[index], clip.width, clip.height)
        if points.frame is None:
            inside[inside] = visible_points(camera[inside])
        in_view += int(inside.sum())
        column, row = np.floor(pixel[inside]).astype(int).T
        tissue = masks(index)[row, column]
        on_tissue += int(tissue.sum())
        if not tissue.any():
            continue
        _, drawn = render_frame(scene, float(scene.times[index]), scene.camera(index), backend)
        values = drawn[row, column][tissue].astype(np.float64)
        known = np.isfinite(values) & (values > 0)
        depth.append(values[known])
        true.append(camera[inside, 2][tissue][known])
        frame.append(np.full(int(known.sum()), index))
    if points.frame is not None and in_view < FEWEST_IN_VIEW * named:
        raise InputError(
            f"{points.source}: {in_view} of its {named} sightings lie in the picture before the camera, so the points "
            "are not in the world of these poses; give the poses that belong to them with --trajectory."
        )
    if not sum(map(len, depth)):
        raise InputError(
            f"{points.source}: of {named} sightings {in_view} lie in view and {on_tissue} on tissue, and the scene "
            "draws nothing there; give points of this clip."
        )
    errors = sparse_depth_errors(np.concatenate(depth), np.concatenate(true), np.concatenate(frame))
    metric = scene.units == clip.units == "mm"
    if metric and not 1 / OTHER_UNITS < errors.scale < OTHER_UNITS:
        print(
            f"note: {plain(path)} is in mm, and its depth has to be multiplied by {errors.scale:.4g} to be that of "
            f"{plain(points.source)}: the points seem to be in another unit",
            file=sys.stderr,
        )
    found: dict[str, Any] = to_json(errors)
    if not metric:
        del found["abs_rel_unscaled"], found["median_abs_unscaled"]
    found["share_drawn"] = errors.sightings / on_tissue
    found["visibility"] = "listed" if points.frame is not None else "by other points"
    return found


def _points_of(points: SparsePoints, index: int) -> NDArray[np.float64]:
    """Positions (s, 3) of the points that frame `index` may see."""
    if points.frame is None or points.point is None:
        return points.points[:: -(-len(points.points) // MOST_POINTS)]
    return points.points[points.point[points.frame == index]]


def _pixels(
    camera: NDArray[np.float64], K: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where points (s, 3) in the camera's axes fall (s, 2), and whether that is in the picture, before the camera."""
    before = camera[:, 2] > 0
    z = np.where(before, camera[:, 2], 1)
    pixel = camera[:, :2] / z[:, None] * K[[0, 1], [0, 1]] + K[:2, 2]
    return pixel, before & (pixel >= 0).all(1) & (pixel < (width, height)).all(1)
