"""Noisy poses that are known besides the pictures (`--pose-prior`), read and laid beside a clip's frames."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.evaluate.matched_paths import covered
from endogs.evaluate.metrics.pose_association import match_times
from endogs.evaluate.tum_file import read_tum
from endogs.pipeline.pose_prior_options import PosePriorOptions
from endogs.tracking.prior_fusion import Noise

Array = NDArray[np.float64]
SAME_TIME = 0.02
"""Seconds by which a row's time may miss a frame's, and at most half an interval of frames."""
FEWEST = 6
"""Rows that belong to frames without which nothing is told."""
SAME_PLACE = 1e-9
"""Share of the distance from the origin within which places are the same."""


@dataclass(frozen=True)
class PosePrior:
    """Noisy poses of a clip's frames."""

    file: Path
    camera_to_world: Array
    """(F, 4, 4) mm, OpenCV axes; NaN for frames without a row."""
    noise: Noise
    """Of each coordinate, mm and radians."""
    notes: tuple[str, ...] = ()
    """Sentences a user should read."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """(F,) which frames have a row."""
        return np.isfinite(self.camera_to_world[:, 0, 0])


def read_pose_prior(options: PosePriorOptions, clip: Clip) -> PosePrior | None:
    """The poses that the options name, by the times of the clip's frames; None where they name none.

    Raises InputError for a file that holds no poses, poses of other times, poses that are all the same, and positions
    that lie nearer to each other than their noise says.
    """
    options.check()
    file = options.pose_prior
    if file is None or options.pose_prior_mm is None or options.pose_prior_deg is None:
        return None
    found = read_tum(file, lost_allowed=True)
    times = clip.times + clip.time_offset
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 2 * SAME_TIME
    frames, rows = match_times(times, found.times, min(SAME_TIME, usual / 2))
    if len(frames) < FEWEST:
        if len(times) < FEWEST:
            advice = "read more frames, with another --start, --end or --stride"
        elif len(frames) == len(found.times):
            advice = "give poses of more frames"
        else:
            advice = "give times in seconds from the input's first frame"
        raise InputError(
            f"{file}: {len(frames)} of its poses belong to a frame, and {FEWEST} are needed: it covers "
            f"{covered(found.times)}, and {clip.source} {covered(times)}; {advice}."
        )
    poses = np.full((len(clip), 4, 4), np.nan)
    poses[frames] = found.poses[rows]
    places = poses[frames, :3, 3]
    width = float(np.ptp(places, axis=0).max())
    same_turn = np.ptp(poses[frames, :3, :3].reshape(len(frames), 9), axis=0).max() < SAME_PLACE
    if width <= SAME_PLACE * max(1.0, float(np.abs(places).max())) and same_turn:
        raise InputError(
            f"{file}: its {len(frames)} poses of the clip's frames are all the same, so that it tells nothing of a "
            "moving camera; leave --pose-prior out, with --camera still where the camera stands still."
        )
    if width < options.pose_prior_mm:
        raise InputError(
            f"{file}: its positions lie within {width:.3g}, which is less than their noise of --pose-prior-mm "
            f"{options.pose_prior_mm:g}; give positions in mm (those in metres times 1000), or a smaller noise."
        )
    notes = list(found.notes)
    if len(frames) < len(clip):
        notes.append(f"{len(clip) - len(frames)} of {len(clip)} frames have no pose in {file.name}")
    return PosePrior(file, poses, Noise(options.pose_prior_mm, float(np.radians(options.pose_prior_deg))), tuple(notes))
