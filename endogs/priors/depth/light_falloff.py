"""How brightness falls off with depth: on an open field of tissue (laparoscopy), or along a tube (the colon)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.geometry import pixel_rays
from endogs.priors.depth.brightness import COARSE, log_linear, masked_low_pass, view_mask

TUBE_CORRELATION = 0.3
"""Brightness that grows towards the rim this clearly (correlation with log|ray|) is a tube's. Measured: bowel through a
laparoscope -0.9, prostatectomy -0.25; a rendered tube seen along its axis +0.9."""
TUBE_CONTRAST = 1.0
"""The tube's far end must be darker than its median by this factor's logarithm, or it is no tube."""


@dataclass(frozen=True)
class Falloff:
    """p and q in log z = -p log I - q log|ray| + const."""

    name: str
    """"fixed" or "lumen"."""
    intensity: float
    """p. Theory: 1/2 for a surface that faces the camera, 1/3 for the wall of a cylinder; a camera's tone curve and
    scattered light make it anything."""
    ray: float
    """q: vignetting and the longer way to the image's corners."""
    stray_light: float
    """Linear light, 1 = white, that reaches every pixel by other ways than the lamp's direct one. On open, wet
    tissue it is more than in a tube, whose far end is truly dark."""
    note: str = ""
    """A sentence for the user when the choice is not the usual one."""


FIXED = Falloff("fixed", 0.35, 1.3, 0.01)
"""For open fields. The textbook p = 0.5 over-ranges nearly flat laparoscopic scenes two to three times; 0.35 was
the best single value over colonoscopy, laparoscopy and sinus clips with reference depth. Stray light of 0.01 instead of
0.001 lowers the error on bowel seen through a laparoscope from 0.077 to 0.073 (log-affine abs-rel)."""


def lumen_falloff(rim_correlation: float) -> Falloff:
    """The fall-off in a tube, for the correlation of log brightness with log|ray| in [-1, 1].

    The line was fitted to clips with reference depth: the brighter the rim, the more of a tube, the steeper.
    """
    t = float(np.clip(rim_correlation, -1, 1))
    note = "depth: bright at the rim and dark inside, this looks like a tube; the lumen's fall-off of light is used."
    return Falloff("lumen", 0.42 + 0.26 * t, 1.38 + 0.62 * t, 0.001, note)


def rim_correlation(
    image: NDArray[np.uint8], tissue_mask: NDArray[np.bool_], K: NDArray[np.float64]
) -> tuple[float, float]:
    """Correlation of smoothed log red light with log|ray| over the tissue, and log(median / dark)."""
    height, width = tissue_mask.shape
    seen = view_mask(image) & tissue_mask
    if np.count_nonzero(seen) < 16:
        return 0.0, 0.0
    smooth, _ = masked_low_pass(log_linear(0.001)[image[..., 0]], seen.astype(np.float32), COARSE * width)
    log_ray = np.log(np.linalg.norm(pixel_rays(K, width, height), axis=-1))[seen]
    light = smooth[seen].astype(np.float64)
    dark, middle = np.percentile(light, (2, 50))
    if light.std() < 1e-3 or log_ray.std() < 1e-6:
        return 0.0, float(middle - dark)
    return float(np.corrcoef(light, log_ray)[0, 1]), float(middle - dark)


def choose_falloff(frames: list[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float64]]]) -> Falloff:
    """The fall-off for a clip by what a few of its frames (image, tissue mask, K) look like; one for the whole clip.

    A tube is bright at the rim, which is near, and dark where it goes on; an open field is brightest in the middle.
    """
    looks = np.array([rim_correlation(*frame) for frame in frames])
    correlation, contrast = (float(x) for x in np.median(looks, axis=0))
    tube = correlation > TUBE_CORRELATION and contrast > TUBE_CONTRAST
    return lumen_falloff(correlation) if tube else FIXED
