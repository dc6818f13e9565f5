"""What the tracker looks at: small evened luma of a frame, and where it may be believed."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.frame_source import Frame
from endogs.tracking.config import TrackingConfig

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Look:
    """A frame as the tracker sees it."""

    frame: int
    time: float
    grey: Grey
    """(h, w) luma with its local contrast evened out (CLAHE: K. Zuiderveld, Graphics Gems IV, 1994)."""
    usable: Grey
    """(h, w), 1 on tissue that is neither a highlight nor near an edge of the view or an instrument."""
    K: NDArray[np.float64]
    """(3, 3) intrinsics in pixels of this view, centres at +0.5."""
    scale: NDArray[np.float64]
    """(2,) pixels of this view per pixel of the frame, along x and y."""
    dark: float
    """Share of the field of view that is dark."""
    saturated: float
    """Share of the field of view that is as bright as can be."""
    sharpness: float
    """Mean square of the Laplacian of the luma where it is usable, by the mean square of its contrast."""

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.grey.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.grey.shape[0])

    def inside(self, pixels: NDArray[np.float64], border: float = 4.0) -> NDArray[np.bool_]:
        """(N,) whether pixels (N, 2), centres at +0.5, are usable and not within `border` of the view's edges."""
        x, y = pixels[:, 0], pixels[:, 1]
        with np.errstate(invalid="ignore"):
            found = (x > border) & (y > border) & (x < self.width - border) & (y < self.height - border)
        column, row = np.where(found, x, 0).astype(int), np.where(found, y, 0).astype(int)
        return np.asarray(found & (self.usable[row, column] > 0))


def looking_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """(width, height) after halving a frame's until the longer side is at most `longest`."""
    factor = 1
    while max(width, height) / factor > longest:
        factor *= 2
    return max(1, round(width / factor)), max(1, round(height / factor))


def look_at(frame: Frame, config: TrackingConfig) -> Look:
    """The looking view of a frame; the frame is not changed."""
    height, width = frame.image.shape[:2]
    size = looking_size(width, height, config.longest)
    image = frame.image if size == (width, height) else cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    tissue = frame.tissue_mask.view(np.uint8)
    if size != (width, height):
        tissue = np.asarray(cv2.resize(tissue, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    area = max(1, int(np.count_nonzero(tissue)))
    bright = (luma > config.highlight * 255).view(np.uint8)
    dark = float(np.count_nonzero((luma < config.dark * 255) & (tissue > 0))) / area
    saturated = float(np.count_nonzero(bright & tissue)) / area
    usable = tissue
    if area < tissue.size:
        usable = cv2.erode(tissue, np.ones((2 * config.rim + 1,) * 2, np.uint8), borderValue=1)
    if saturated > 0:
        grown = cv2.dilate(bright, np.ones((2 * config.highlight_rim + 1,) * 2, np.uint8))
        usable = usable & (1 - grown)
    grey = np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(luma), np.uint8)
    scale = np.array([size[0] / width, size[1] / height])
    K = frame.K.copy()
    K[:2] *= scale[:, None]
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.0)
    detail = cv2.Laplacian(smooth, cv2.CV_16S, ksize=3)[::2, ::2].astype(np.float32)
    contrast = cv2.subtract(smooth, cv2.blur(smooth, (31, 31)), dtype=cv2.CV_16S)[::2, ::2].astype(np.float32)
    seen = usable[::2, ::2] > 0
    power = float(np.square(contrast[seen]).mean()) if seen.any() else 0.0
    sharpness = float(np.square(detail[seen]).mean()) / max(power, 1e-3) if seen.any() else 0.0
    return Look(frame.number, frame.time, grey, np.asarray(usable, np.uint8), K, scale, dark, saturated, sharpness)
