"""What the tracker looks at: small evened luma of a frame, and where it may be believed."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.frame_source import Frame
from endogs.priors.speculars import bright_mask
from endogs.tracking.config import TrackingConfig

Grey = NDArray[np.uint8]
CELLS = 6
"""Along each side of the picture, by which it is told where points lie."""
AROUND = 17
"""Pixels across which luma is evened out."""
SMOOTHING = 0.7
"""Pixels over which luma is averaged first, since evening out blows up the noise of compressed video."""
LIFT = 8.0
"""Grey levels added before the logarithm, about the noise of the dark."""
FLOOR = 0.01
"""Deviation of the logarithm that is added to the measured one, so that noise alone is not blown up."""
LEVELS = 45.0
"""Grey levels of one deviation."""


@dataclass(frozen=True)
class Look:
    """A frame as the tracker sees it."""

    frame: int
    time: float
    grey: Grey
    """(h, w) `evened` luma, in which corners are followed."""
    luma: Grey
    """(h, w) as it is, in which features are found."""
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
    cells: int
    """How many of its CELLS x CELLS cells show usable tissue in a third of their pixels or more."""
    colour: float
    """Median of how far the channels are apart, by the brightest, where it is usable: smoke and steam are grey."""
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

    def without_picture(self) -> "Look":
        """The same without pixels, since thousands are kept: its pictures are of the same size and empty."""
        nothing = np.broadcast_to(np.zeros((), np.uint8), self.grey.shape)
        return replace(self, grey=nothing, luma=nothing, usable=nothing)

    def inside(self, pixels: NDArray[np.float64], border: float = 4.0) -> NDArray[np.bool_]:
        """(N,) whether pixels (N, 2), centres at +0.5, are usable and not within `border` of the view's edges."""
        x, y = pixels[:, 0], pixels[:, 1]
        with np.errstate(invalid="ignore"):
            found = (x > border) & (y > border) & (x < self.width - border) & (y < self.height - border)
        column, row = np.where(found, x, 0).astype(int), np.where(found, y, 0).astype(int)
        return np.asarray(found & (self.usable[row, column] > 0))


def looking_size(tissue_mask: NDArray[np.bool_], longest: int) -> tuple[int, int]:
    """(width, height) after halving frames (H, W) until the longer side of the box around their tissue is at most that.

    A round view that fills a part of the picture is looked at in as many pixels as one that fills it.
    """
    height, width = tissue_mask.shape
    box = max([int(np.ptp(np.flatnonzero(tissue_mask.any(axis)))) + 1 for axis in (0, 1) if tissue_mask.any()] or [1])
    factor = 1
    while box / factor > longest:
        factor *= 2
    return max(1, round(width / factor)), max(1, round(height / factor))


def evened(luma: Grey) -> Grey:
    """Luma (h, w) whose logarithm has mean 0 and deviation 1 around every pixel, as grey levels.

    The lamp moves with the camera, so that shading slides over the tissue and takes corners along. Small windows leave
    least of it; unlike CLAHE's, whose tiles stand still in the picture, they move with the tissue. Measured on a
    rigid colon, corners followed for 8 to 16 frames slid .49 pixels in the median, .97 with CLAHE, 1.5 with luma alone.
    """
    light = np.log(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), SMOOTHING) + LIFT)
    light -= cv2.blur(light, (AROUND, AROUND))
    light /= np.sqrt(cv2.blur(light * light, (AROUND, AROUND))) + FLOOR
    return np.asarray(cv2.convertScaleAbs(light, alpha=LEVELS, beta=128), np.uint8)


def look_at(frame: Frame, size: tuple[int, int], config: TrackingConfig) -> Look:
    """The looking view, of `size` (width, height), of a frame; the frame is not changed."""
    height, width = frame.image.shape[:2]
    image = frame.image
    if size != (width, height):
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    tissue = frame.tissue_mask.view(np.uint8)
    if size != (width, height):
        tissue = np.asarray(cv2.resize(tissue, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    area = max(1, int(np.count_nonzero(tissue)))
    bright = (luma > config.highlight * 255).view(np.uint8)
    shiny = bright | bright_mask(image).view(np.uint8)
    dark = float(np.count_nonzero((luma < config.dark * 255) & (tissue > 0))) / area
    saturated = float(np.count_nonzero(bright & tissue)) / area
    usable = tissue
    if area < tissue.size:
        rim = np.ones((2 * config.rim + 1,) * 2, np.uint8)
        usable = np.asarray(cv2.erode(tissue, rim, borderValue=1), np.uint8)
    if shiny.any():
        grown = cv2.dilate(shiny, np.ones((2 * config.highlight_rim + 1,) * 2, np.uint8))
        usable = np.asarray(usable * (1 - np.asarray(grown, np.uint8)), np.uint8)
    grey = evened(luma)
    scale = np.array([size[0] / width, size[1] / height])
    K = frame.K.copy()
    K[:2] *= scale[:, None]
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.0)
    detail = cv2.Laplacian(smooth, cv2.CV_16S, ksize=3)[::2, ::2].astype(np.float32)
    contrast = cv2.subtract(smooth, cv2.blur(smooth, (31, 31)), dtype=cv2.CV_16S)[::2, ::2].astype(np.float32)
    seen = usable[::2, ::2] > 0
    power = float(np.square(contrast[seen]).mean()) if seen.any() else 0.0
    sharpness = float(np.square(detail[seen]).mean()) / max(power, 1e-3) if seen.any() else 0.0
    shares = np.asarray(cv2.resize(usable * np.float32(1), (CELLS, CELLS), interpolation=cv2.INTER_AREA))
    cells = int((shares > 1 / 3).sum())
    picked = image[::4, ::4][usable[::4, ::4] > 0].astype(np.float32)
    colour = float(np.median(1 - picked.min(1) / np.maximum(picked.max(1), 1))) if len(picked) else 0.0
    sure = np.asarray(usable, np.uint8)
    return Look(frame.number, frame.time, grey, luma, sure, K, scale, dark, saturated, cells, colour, sharpness)
