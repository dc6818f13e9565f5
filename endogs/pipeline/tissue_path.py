"""Whether a path that was found before a camera of which nothing is known may be tissue's motion instead."""

import numpy as np

from endogs.tracking.camera_motion import CameraMotion
from endogs.tracking.rigid_motion import centre
from endogs.tracking.trajectory import Trajectory

SMALL_PATH = 0.08
"""Width of a path, by the tissue's distance, up to which it may be breathing: by that pulled and breathing tissue seems
to move a still camera by 0.05 to 0.06, and the smallest path of nine moving endoscopes is 0.10 wide."""
SMALL_TURN = 5.0
"""Degrees that such a path may turn by."""
TISSUE_PATH, TISSUE_TURN = 0.35, 30.0
"""The same where tissue moves by itself: of a still camera before pulled tissue paths up to 0.22 wide are found, which
turn by up to 16 degrees, and the smallest of moving ones before such tissue is 0.60 wide."""
RIGID_PATH = 0.02
"""Share of the points' motion that a path leaves, from which on they may be tissue's that moves by itself. Of still
cameras before pulled tissue paths leave 0.036 to 0.18, and of moving ones through rigid worlds 0.005 to 0.013, also
straight ahead, where points grow so fast that two pictures alone leave up to 0.10 (`CameraMotion.unexplained`)."""


def path_doubt(motion: CameraMotion, extent: float, turn: float, left: float = np.inf) -> str | None:
    """Why a path (`path_extent`) that leaves a share of the motion (`path_left`) may be made of tissue's motion; None
    where it is too large for that."""
    tissue = motion.may_be_tissue and left > RIGID_PATH
    widest, most = (TISSUE_PATH, TISSUE_TURN) if tissue else (SMALL_PATH, SMALL_TURN)
    if extent >= widest or turn >= most:
        return None
    return (
        f"the path that was found is {extent:.0%} of the tissue's distance wide and turns by {turn:.1f} degrees, as "
        "tissue that breathes or is pulled looks too; --camera track takes it"
    )


def path_extent(trajectory: Trajectory) -> tuple[float, float]:
    """Width of the path by the points' median distance, and the largest turn from its first frame in degrees."""
    poses = trajectory.world_to_camera[trajectory.found]
    centres = centre(poses)
    turns = np.einsum("fij,kj->fik", poses[:, :3, :3], poses[0, :3, :3])
    cosine = (np.trace(turns, axis1=1, axis2=2) - 1) / 2
    points = trajectory.landmarks.points if trajectory.landmarks is not None else np.zeros((0, 3))
    far = float(np.median(np.linalg.norm(points - centres[0], axis=1))) if len(points) else np.inf
    return float(np.ptp(centres, axis=0).max()) / far, float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).max())


def path_left(trajectory: Trajectory) -> float:
    """Share of the map's points' motion in the pictures that the path does not explain, in medians; infinite where
    nothing is known of it.

    A point's motion is how far it moved from the first keyframe that saw it to the last.
    """
    landmarks = trajectory.landmarks
    residuals = [one.residual_px for one in trajectory.frames if one.world_to_camera is not None]
    if landmarks is None or not len(landmarks.point) or not np.isfinite(residuals).any():
        return np.inf
    order = np.lexsort((landmarks.seen_by, landmarks.point))
    begins = np.flatnonzero(np.diff(landmarks.point[order], prepend=-1))
    ends = np.r_[begins[1:], len(order)] - 1
    moved = np.linalg.norm(landmarks.pixels[order[ends]] - landmarks.pixels[order[begins]], axis=1)
    return float(np.nanmedian(residuals) / max(float(np.median(moved)), 1e-9))
