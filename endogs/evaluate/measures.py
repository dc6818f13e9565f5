"""What can be measured of one frame, by name, and which of it a fit measures by itself."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.metrics.depth_errors import Alignment, aligned_depth, depth_errors
from endogs.evaluate.metrics.flip import flip_pair
from endogs.evaluate.metrics.metrics import Mask, psnr, psnr_masked, ssim_pair
from endogs.evaluate.metrics.ms_ssim import ms_ssim

if TYPE_CHECKING:
    from endogs.evaluate.metrics.lpips import Lpips

AFTER_A_FIT = frozenset({"psnr", "ssim", "depth"})
"""What metrics.json gets after a reconstruction: cheap, and what the field reports."""
EVERY_FRAME = frozenset({"psnr", "ssim", "ms_ssim", "flip", "lpips", "depth"})
"""Everything that one frame can tell."""


def image_errors(
    prediction: NDArray[Any],
    target: NDArray[np.uint8],
    mask: Mask,
    measures: Collection[str],
    lpips: "Lpips | None" = None,
) -> dict[str, float]:
    """The measures of an image (H, W, 3) against the target, NaN where one cannot be taken, as without any tissue.

    Names ending in `_masked` look at tissue alone; all others at the whole frame with instruments zeroed in both
    images, as the literature does. LPIPS is NaN without its weights.
    """
    found: dict[str, float] = {}
    if "psnr" in measures:
        found["psnr"] = psnr(prediction, target, mask)
        found["psnr_masked"] = psnr_masked(prediction, target, mask)
    if "ssim" in measures:
        found["ssim"], found["ssim_masked"] = ssim_pair(prediction, target, mask)
    if "ms_ssim" in measures:
        found["ms_ssim"] = ms_ssim(prediction, target, mask)
    if "flip" in measures:
        found["flip"], found["flip_masked"] = flip_pair(prediction, target, mask)
    if "lpips" in measures:
        nan = float("nan")
        found |= {"lpips_alex": nan, "lpips_alex_unscaled": nan} if lpips is None else lpips(prediction, target, mask)
    # Two images of zeros agree perfectly, which says nothing of either.
    return found if mask.any() else dict.fromkeys(found, float("nan"))


def frame_depth_errors(
    depth: NDArray[np.floating],
    given: NDArray[np.floating],
    mask: Mask,
    alignment: Alignment,
    units: str,
) -> dict[str, float]:
    """Errors of a depth map (H, W) by name; lengths are called `_mm` when `units` is "mm"."""
    suffix = "_mm" if units == "mm" else ""
    errors = depth_errors(aligned_depth(depth, given, mask, alignment), given, mask)
    return {
        f"depth_median_abs{suffix}": errors.median_abs,
        "depth_abs_rel": errors.abs_rel,
        f"depth_rmse{suffix}": errors.rmse,
        "depth_within_1_25": errors.within_125,
        "depth_spearman": errors.spearman(),
    }
