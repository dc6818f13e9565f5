"""Depth from brightness: in an endoscope the light sits beside the camera, so near tissue is bright."""

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import NothingSeen
from endogs.geometry import pixel_rays
from endogs.priors.depth.brightness import COARSE, FINE, log_linear, masked_low_pass, view_mask
from endogs.priors.depth.light_falloff import FIXED, Falloff, choose_falloff
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks
from endogs.priors.speculars import large_clipped_mask, specular_mask
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

COARSE_SHARE = 0.7
"""Weight of the coarse one. Coarse is better on colonoscopy and laparoscopy, fine in the nose; hence a blend."""
NEAREST, FARTHEST = 0.35, 3.0
"""Depth is clipped to this range around its median."""


LOOKED_AT = 8
"""Frames by which the fall-off is chosen."""


def is_readable(image: NDArray[np.uint8], tissue_mask: NDArray[np.bool_]) -> bool:
    """Whether at least a hundredth of the tissue is neither black nor clipped."""
    bright = image.max(2)[tissue_mask]
    low = image.min(2)[tissue_mask]
    return bool(bright.size) and np.count_nonzero((bright > 15) & (low < 250)) > 0.01 * bright.size


def photometric_depth(
    image: NDArray[np.uint8],
    tissue_mask: NDArray[np.bool_],
    K: NDArray[np.float64],
    falloff: Falloff = FIXED,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log z-depth (H, W), median 0 over the tissue, and its confidence (H, W), from one uint8 sRGB image (H, W, 3).

    With a light of radiance g at the camera, `I = g rho cos(theta) / (z |ray|)^2`, so
    `log z = -p log I - q log|ray| + const` for constant albedo rho; a camera's tone curve makes the slope unknown,
    hence log z is meant up to an affine map (Prados & Faugeras 2005; Batlle et al., LightDepth, 2023). I is linear red,
    which haemoglobin absorbs least (vessels nearly vanish), mixed with green where red clips. `falloff` is p and q.
    Log z is NaN outside the view and a smooth guess behind instruments; there the confidence is 0.
    """
    height, width = tissue_mask.shape
    view = view_mask(image)
    large = large_clipped_mask(image)
    glint = specular_mask(image)
    valid = view & erode_tissue_mask(tissue_mask, 4) & ~glint
    if not valid.any():
        valid = view & tissue_mask
    table = log_linear(falloff.stray_light)
    red, green, blue = (table[image[..., c]] for c in range(3))
    clipped = np.count_nonzero((image[..., 0] > 250) & valid) / max(int(np.count_nonzero(valid)), 1)
    red_share = float(np.clip(1 - 4 * clipped, 0.3, 1))
    log_intensity = red_share * red + (1 - red_share) * green

    weight = valid.astype(np.float32)
    coarse, _ = masked_low_pass(log_intensity, weight, COARSE * width)
    fine, support = masked_low_pass(log_intensity, weight, FINE * width)
    # Under an instrument the fine filter has few samples or none: lean on the coarse one.
    fine_share = (1 - COARSE_SHARE) * np.clip(support / 0.3, 0, 1)
    smooth = coarse + fine_share * (fine - coarse)
    ray = np.linalg.norm(pixel_rays(K, width, height), axis=-1).astype(np.float32)
    log_z = -falloff.intensity * smooth - falloff.ray * np.log(ray)
    log_z -= np.median(log_z[valid]) if valid.any() else 0
    log_z = np.clip(log_z, np.log(NEAREST), np.log(FARTHEST)).astype(np.float32)

    # Too dark is noise, too bright is clipping; an odd colour is an odd albedo; where the two filters disagree the
    # brightness comes from texture more than from distance.
    bright = image.max(2).astype(np.float32)
    exposure = np.clip((bright - 15) / 30, 0, 1) * np.clip((262 - bright) / 20, 0.4, 1)
    chroma = cv2.resize(red - 0.5 * (green + blue), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    chroma = cv2.resize(cv2.GaussianBlur(chroma, (0, 0), 2), (width, height), interpolation=cv2.INTER_LINEAR)
    centre = np.median(chroma[valid]) if valid.any() else 0
    spread = 1.4826 * np.median(np.abs(chroma[valid] - centre)) + 0.1 if valid.any() else 1
    typical = np.exp(-0.5 * np.square(np.maximum(np.abs(chroma - centre) / spread - 1.5, 0)))
    agreement = np.exp(-np.square((fine - coarse) / 0.8))
    confidence = exposure * typical * agreement * (view & tissue_mask)
    confidence *= np.where(large, 0.3, np.where(glint, 0.1, 1))
    return np.where(view, log_z, np.nan).astype(np.float32), np.clip(confidence, 0, 1).astype(np.float32)


class PhotometricDepth:
    """The photometric prior: no weights, no stereo, about 50 ms for 640x512 on one core."""

    kind: DepthKind = "logdepth"
    temporal = True

    def __init__(self, falloff: Falloff | None = None, instead: str | None = None) -> None:
        """`falloff` is chosen by `prepare` when it is not given; `instead` says why it stands in for another."""
        self._asked, self._instead = falloff, instead
        self.falloff = falloff or FIXED

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Chooses the fall-off by a few frames. Raises NothingSeen when all of them are black or white."""
        looked_at = [frames[k] for k in sorted({round(k) for k in np.linspace(0, len(frames) - 1, LOOKED_AT)})]
        readable = [i for i in looked_at if is_readable(clip.image(i), masks(i))]
        if not readable:
            raise NothingSeen(
                f"{clip.source}: every frame looked at is black, white or hidden, so brightness says nothing about "
                "depth; choose other frames with --start and --end, or other --masks"
            )
        if self._asked is None:
            self.falloff = choose_falloff([(clip.image(i), masks(i), clip.K[i]) for i in readable])
        return [note for note in (self._instead, self.falloff.note) if note]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Log z-depth up to an affine map, kind `logdepth`."""
        log_z, confidence = photometric_depth(frame.image, frame.tissue_mask, frame.K, self.falloff)
        return DepthPrediction(log_z, self.kind, confidence)

    def about(self) -> dict[str, Any]:
        """JSON."""
        falloff = self.falloff
        return {
            "prior": "photometric",
            "kind": self.kind,
            "mode": falloff.name,
            "intensity_exponent": round(falloff.intensity, 4),
            "ray_exponent": round(falloff.ray, 4),
        }
