"""Training frames at the pitch of the carried motion: 256 to 511 pixels wide or high, whatever size the clip has."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.seeding.carried_motion import Grid, sample_pitch
from endogs.seeding.observations import Observations

Mask = NDArray[np.bool_]


class CoarseFrames:
    """Images and carried motion of observations, a pixel for each sample of the motion; smaller clips as they are."""

    def __init__(self, observations: Observations) -> None:
        """Of the frames that are there now."""
        self._observations = observations
        self.pitch = sample_pitch(observations.size)
        """Pixels of the clip in one of these."""
        height, width = observations.size
        self.size = -(-height // self.pitch), -(-width // self.pitch)
        """Height and width in pixels."""

    def __len__(self) -> int:
        return len(self._observations)

    @cached_property
    def images(self) -> list[NDArray[np.uint8]]:
        """uint8 RGB (h, w, 3)."""
        if self.pitch == 1:
            return self._observations.images
        size = self.size[::-1]
        images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in self._observations.images]
        return [np.asarray(image, np.uint8) for image in images]

    def coarse(self, mask: Mask, least: float = 0.5) -> Mask:
        """The pixels (h, w) of which at least this part lies in a mask (H, W)."""
        if self.pitch == 1:
            return mask
        part = cv2.resize(mask.astype(np.float32), self.size[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(part > least - 1e-3)

    def carried(self, start: int, end: int) -> Grid:
        """Motion (h, w, 3) between two neighbours in these pixels, as of `carried_motion`."""
        per_pixel = np.array([self.pitch, self.pitch, 1], np.float32)
        return np.asarray(self._observations.carried(start, end) / per_pixel, np.float32)

    def carry_all(self) -> None:
        """Make all of these motions now."""
        self._observations.carry_all()
