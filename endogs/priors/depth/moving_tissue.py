"""Whether the tissue before a moving camera moves as a whole."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.prediction import TissueMasks
from endogs.priors.motion.common_motion import CommonMotion, common_motion
from endogs.priors.motion.corner_tracks import followed_corners
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

MARGIN = 4
"""Pixels from an instrument within which motion is partly the instrument's."""


def tissue_motion(
    clip: "Clip",
    frames: Sequence[int],
    masks: TissueMasks,
    depth: Callable[[int], NDArray[np.float32]] | None = None,
) -> CommonMotion | None:
    """What the tissue of training frames does as a whole; None where it stands still.

    `depth` is their z-depth (H, W), 0 = unknown; without it the motion's scale is a guess.
    """
    tracks = followed_corners(clip.image, lambda i: erode_tissue_mask(masks(i), MARGIN), frames)
    known = None
    if depth is not None:
        known = np.zeros(len(tracks.frame))
        for place, frame in enumerate(frames):
            own = tracks.frame == place
            column, row = tracks.pixels[own].astype(np.intp).T
            known[own] = depth(frame)[row, column]
    return common_motion(tracks, clip.K[frames], clip.world_to_camera[frames], known)


def said(motion: CommonMotion, units: str) -> str:
    """A sentence for the user; `units` are the clip's."""
    unit = "mm" if units == "mm" else "world units"
    return (
        f"the tissue moves as a whole beside the poses, by {motion.root_mean_square():.2g} {unit} (root mean square): "
        f"corners miss still tissue by {motion.still:.2g} pixels, tissue that moves so by {motion.left:.2g}."
    )
