"""What the tissue of a clip looks like, in colours from which the light's strength cancels.

The two chromaticities are log ratios, `rg = log((R + 10) / (G + 10))` and `gb = log((G + 10) / (B + 10))`: a factor on
all three channels (distance, shading, exposure) nearly vanishes, and the 10 keeps sensor noise out of the dark. Blood
makes tissue red (rg about .35 to .7), steel and plastic are grey, black, white or blue (rg below .1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Chroma = NDArray[np.float32]

OFFSET = 10.0
DARK = 40.0
"""Mean of R, G, B below which a pixel says too little about colour to learn from."""
PALEST_TISSUE = 0.15
"""Median rg of tissue below which a clip is grey or lit by a narrow band, where steel and tissue look alike."""


@dataclass(frozen=True)
class TissueColors:
    """A Gaussian of tissue chromaticity, and the redness below which a pixel is not tissue."""

    redness: float
    """Median rg of tissue."""
    threshold: float
    """rg below which a pixel is more likely instrument than tissue."""
    mean: NDArray[np.float32]
    """(2,) of (rg, gb)."""
    precision: NDArray[np.float32]
    """(2, 2) inverse covariance of (rg, gb)."""
    spread: float
    """Standard deviation of rg."""

    @property
    def are_red(self) -> bool:
        """Whether tissue is red enough to be told from metal by its colour."""
        return self.redness >= PALEST_TISSUE


def chroma(image: NDArray[np.uint8]) -> tuple[Chroma, Chroma, Chroma]:
    """rg, gb and the mean of the channels (H, W) of a uint8 RGB image (H, W, 3), smoothed by one pixel."""
    values = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    logs = np.log(values + np.float32(OFFSET))
    brightness = values.sum(2) * np.float32(1 / 3)
    return logs[..., 0] - logs[..., 1], logs[..., 1] - logs[..., 2], brightness


def fit_tissue_colors(images: Sequence[NDArray[np.uint8]], views: Sequence[NDArray[np.bool_]]) -> TissueColors | None:
    """The tissue of a few uint8 RGB images (H, W, 3) within their views (H, W); None when all of it is dark or clipped.

    Most of an endoscopic picture is tissue: the Gaussian starts from the redder pixels and is refitted to what lies
    within 2.5 of its standard deviations.
    """
    samples = []
    for image, view in zip(images, views, strict=True):
        rg, gb, brightness = chroma(image)
        usable = view & (brightness > DARK) & (image.min(2) < 200)
        samples.append(np.stack([rg[usable], gb[usable]], 1)[::7])
    pixels = np.concatenate(samples)
    if len(pixels) < 100:
        return None
    # Instruments are at most about half of what is seen, and are less red: the threshold comes from the redder side.
    threshold = float(np.clip(0.42 * np.median(pixels[:, 0]), 0.10, 0.20))
    chosen = pixels[:, 0] > threshold
    if chosen.sum() < 100:
        return TissueColors(float(np.median(pixels[:, 0])), threshold, pixels.mean(0), np.eye(2, dtype=np.float32), 1.0)
    for _ in range(4):
        mean = pixels[chosen].mean(0)
        covariance = np.cov(pixels[chosen].T) + 1e-4 * np.eye(2)
        precision = np.linalg.inv(covariance).astype(np.float32)
        offset = pixels - mean
        distance = np.sqrt(np.einsum("ni,ij,nj->n", offset, precision, offset))
        inside = (pixels[:, 0] > threshold) & (distance < 2.5)
        if inside.sum() < 100:
            break
        chosen = inside
    redder = pixels[pixels[:, 0] > threshold, 0]
    # A clip that is mostly grey has a few reddish pixels too: then the median of all is what counts.
    redness = float(np.median(redder)) if len(redder) > 0.25 * len(pixels) else float(np.median(pixels[:, 0]))
    return TissueColors(redness, threshold, mean.astype(np.float32), precision, float(np.sqrt(covariance[0, 0])))
