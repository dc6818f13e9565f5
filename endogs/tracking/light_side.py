"""Whether a map lies before the camera as the light says: what is near is bright, as the lamp travels with the camera.

From one eye a path and its points can be mirrored in depth with hardly another picture, the more so under a wrong focal
length (P. Belhumeur et al., "The bas-relief ambiguity", 1999; R. Szeliski and S. Kang, "Shape ambiguities in structure
from motion", 1997). The light cannot.
"""

import numpy as np

from endogs.clip.clip import Clip
from endogs.priors.depth.hole_filling import halved
from endogs.priors.depth.inside_out import AGAINST, FEWEST
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.prediction import DepthInput
from endogs.priors.depth.rank_correlation import rank_correlation
from endogs.tracking.projection import seen_from
from endogs.tracking.trajectory import Trajectory

LOOKED_AT = 6
"""Keyframes that are looked at, at most."""


def depth_by_light(clip: Clip, trajectory: Trajectory) -> float | None:
    """Spearman's correlation of the map's depths with those by brightness, median of a few keyframes, in [-1, 1].

    Of `clip` the pictures are looked at, and its intrinsics for the light's way alone. None where no keyframe sees
    enough points.
    """
    landmarks, found = trajectory.landmarks, []
    if landmarks is None:
        return None
    poses = {one.frame: one.world_to_camera for one in trajectory.frames if one.sub_map == trajectory.sub_map}
    frames, counts = np.unique(landmarks.seen_by, return_counts=True)
    known = [int(k) for k in frames[counts >= FEWEST] if poses.get(int(k)) is not None]
    prior = PhotometricDepth()
    for k in known[:: max(1, -(-len(known) // LOOKED_AT))]:
        small = halved(DepthInput(clip.image(k), clip.tissue_mask(k), clip.K[k]))
        guess = prior.predict(small).value
        rows = landmarks.seen_by == k
        pixels = (landmarks.pixels[rows] * (np.array(guess.shape[::-1]) / (clip.width, clip.height))).astype(int)
        column, row = (np.clip(pixels[:, axis], 0, guess.shape[1 - axis] - 1) for axis in (0, 1))
        pose = poses[k]
        assert pose is not None
        depth, light = seen_from(pose, landmarks.points[landmarks.point[rows]])[:, 2], guess[row, column]
        both = np.isfinite(light) & (depth > 0)
        if both.sum() >= FEWEST:
            found.append(rank_correlation(depth[both], light[both]))
    return float(np.median(found)) if found else None


def against_light(correlation: float | None) -> bool:
    """Whether a correlation by `depth_by_light` says that the map is inside out."""
    return correlation is not None and correlation <= AGAINST
