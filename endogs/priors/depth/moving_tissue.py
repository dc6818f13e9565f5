"""Whether the tissue before a moving camera moves as a whole."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.prediction import TissueMasks
from endogs.priors.motion.common_motion import CommonMotion, common_motion
from endogs.priors.motion.long_tracks import followed_corners
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

MARGIN = 4
"""Pixels from an instrument within which motion is partly the instrument's."""


class MovingTissue:
    """What the tissue of a clip's training frames does as a whole, found when it is first asked for.

    Segments of a long clip share one, so that one scale holds for all of them.
    """

    def __init__(
        self,
        clip: "Clip",
        frames: Sequence[int],
        masks: TissueMasks,
        depth: Callable[[int], NDArray[np.float32]] | None = None,
    ) -> None:
        """`frames` are numbers of training frames, ascending, and `depth` their z-depth (H, W), 0 = unknown; without it
        the motion's scale is a guess."""
        self._clip, self._frames, self._masks, self._depth = clip, list(frames), masks, depth
        self._place = {frame: k for k, frame in enumerate(self._frames)}

    @cached_property
    def motion(self) -> CommonMotion | None:
        """None where the tissue stands still."""
        clip, frames = self._clip, self._frames
        tracks = followed_corners(clip.image, lambda i: erode_tissue_mask(self._masks(i), MARGIN), frames)
        known = None
        if self._depth is not None:
            known = np.zeros(len(tracks.frame))
            for place, frame in enumerate(frames):
                own = tracks.frame == place
                column, row = tracks.pixels[own].astype(np.intp).T
                known[own] = self._depth(frame)[row, column]
        return common_motion(tracks, clip.K[frames], clip.world_to_camera[frames], known)

    def offset(self, frame: int) -> NDArray[np.float64]:
        """(3,) where the tissue is at a training frame, from its mean place in the world; zeros where it stands
        still."""
        return np.zeros(3) if self.motion is None else self.motion.offsets[self._place[frame]]

    def poses(self) -> NDArray[np.float64]:
        """World to camera (F, 4, 4) of the clip's frames; of training frames from the world in which tissue rests."""
        if self.motion is None:
            return self._clip.world_to_camera
        poses = self._clip.world_to_camera.copy()
        poses[self._frames, :3, 3] += np.einsum("fij,fj->fi", poses[self._frames, :3, :3], self.motion.offsets)
        return poses

    def corners(self, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (M, 2) and z-depth (M,) of corners that a training frame sees and many others did; none where the
        tissue stands still."""
        if self.motion is None:
            return np.zeros((0, 2)), np.zeros(0)
        return self.motion.seen_at(self._place[frame])

    def notes(self) -> list[str]:
        """A sentence for the user where the tissue moves."""
        if self.motion is None:
            return []
        unit = "mm" if self._clip.units == "mm" else "world units"
        return [
            f"the tissue moves as a whole beside the poses, by {self.motion.root_mean_square():.2g} {unit} (root mean "
            f"square): corners miss still tissue by {self.motion.still:.2g} pixels, tissue that moves so by "
            f"{self.motion.left:.2g}."
        ]
