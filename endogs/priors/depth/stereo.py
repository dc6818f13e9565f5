"""Metric depth from a rectified pair of views, with holes where the views do not agree."""

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.matched_points import even_contrast
from endogs.clip.checks.pair_check import FEW, check_views
from endogs.errors import InputError
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks
from endogs.priors.speculars import bright_mask
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

Grey = NDArray[np.uint8]
LOOKED_AT = 5
"""Frames by which the range of disparities is found."""
BLOCK = 7
COARSE_SHRINK = 4
WIDEST = 0.35
"""The largest disparity that is looked for, in widths of the image."""
AGREEMENT = 0.75
"""Pixels by which the left and the right disparity may differ."""
MARGIN = 6
"""Pixels from an instrument within which depth is not trusted. Measured on two clips: a third of the depths within 2
pixels are too near by 5 % or more, less than a tenth at 4 to 6, and hardly any beyond."""
SMOOTHING = 2.0
"""Pixels over which disparity is averaged: matching errs by a quarter of a pixel at random, tissue does not."""
REMEDY = {
    True: "give rotation, translation_mm and the right camera in calibration.json",
    False: "exchange images/ and images_right/",
}
"""What to do about a pair, by whether its rows do not match; otherwise its views are swapped."""


def matched_disparity(left: Grey, right: Grey, lowest: int, count: int) -> NDArray[np.float32]:
    """Disparity x_left - x_right (H, W) in pixels of uint8 grey images (H, W), NaN where the views do not agree.

    Semi-global matching (Hirschmueller 2008, OpenCV's), from `lowest` over `count` (a multiple of 16) disparities, once
    from each view; both must agree to AGREEMENT. The images are continued to the left, so that the strip whose
    matches lie within the right image is matched as well.
    """
    height, width = left.shape
    pad = lowest + count
    # The widening costs time in proportion and keeps a tenth of the frame from being blind.
    views = [cv2.copyMakeBorder(view, 0, 0, pad, pad, cv2.BORDER_REPLICATE) for view in (left, right)]
    matcher = cv2.StereoSGBM.create(
        minDisparity=lowest,
        numDisparities=count,
        blockSize=BLOCK,
        P1=8 * BLOCK * BLOCK,
        P2=32 * BLOCK * BLOCK,
        uniquenessRatio=8,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    # Mirrored, the right view is the left one of a pair.
    mirrored = [np.ascontiguousarray(view[:, ::-1]) for view in views]
    from_left = matcher.compute(views[0], views[1])[:, pad : pad + width].astype(np.float32) / 16
    from_right = matcher.compute(mirrored[1], mirrored[0])[:, ::-1][:, pad : pad + width].astype(np.float32) / 16
    column = np.arange(width, dtype=np.float32)[None] - from_left
    inside = (column >= -0.5) & (column <= width - 0.5)
    row = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, 1)
    back = cv2.remap(np.ascontiguousarray(from_right), column, row, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    found = inside & (from_left > max(lowest - 1, 0)) & (np.abs(back - from_left) <= AGREEMENT)
    return np.where(found, smoothed(from_left.astype(np.float32), found), np.nan).astype(np.float32)


def smoothed(disparity: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Gaussian means of disparity (H, W) over what is known, except where that moves it by a pixel: an edge."""
    weight = known.astype(np.float32)
    total, share = (cv2.GaussianBlur(x, (0, 0), SMOOTHING) for x in (disparity * weight, weight))
    mean = total / np.maximum(share, 1e-3)
    return np.where(np.abs(mean - disparity) < 1, mean, disparity).astype(np.float32)


def matching_grey(image: NDArray[np.uint8]) -> Grey:
    """Grey (H, W) of an RGB image (H, W, 3) with its local contrast evened out, so that dark tissue is matched too."""
    return even_contrast(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8))


def disparity_range(pairs: list[tuple[Grey, Grey]]) -> tuple[int, int] | None:
    """Lowest disparity and number of disparities (a multiple of 16), with room to move; None when nothing matches.

    From a search at a quarter of the size over all disparities up to WIDEST.
    """
    found = []
    for left, right in pairs:
        size = (max(16, left.shape[1] // COARSE_SHRINK), max(8, left.shape[0] // COARSE_SHRINK))
        small = [np.asarray(cv2.resize(v, size, interpolation=cv2.INTER_AREA), np.uint8) for v in (left, right)]
        count = 16 * max(1, -(-int(WIDEST * size[0]) // 16))
        disparity = matched_disparity(small[0], small[1], 0, count) * (left.shape[1] / size[0])
        found.append(disparity[np.isfinite(disparity)])
    every = np.concatenate(found)
    if every.size < 0.02 * sum(left.size for left, _ in pairs) / COARSE_SHRINK**2:
        return None
    low, high = np.percentile(every, (1, 99))
    lowest = max(0, int(0.75 * low) - 4)
    return lowest, 16 * max(1, -(-(int(1.3 * high) + 8 - lowest) // 16))


class StereoDepth:
    """Depth by matching the right view; about 110 ms for 675 x 540 on one core."""

    kind: DepthKind = "metric"
    temporal = False

    def __init__(self) -> None:
        self._range: tuple[int, int] | None = None

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Checks that the views are a rectified pair in the right order, and finds the range of their disparities.

        Raises InputError, saying what to do, for a clip without right views, swapped views, rows that do not match,
        and views that have nothing in common.
        """
        if clip.baseline is None:
            raise InputError(
                f"{clip.source}: --depth stereo needs right views and how far apart the cameras are: images_right/ "
                "beside images/ and baseline_mm in calibration.json; use --depth photometric for a single view"
            )
        looked_at = [frames[k] for k in sorted({round(k) for k in np.linspace(0, len(frames) - 1, LOOKED_AT)})]
        pairs = []
        for i in looked_at:
            right = clip.right_image(i)
            assert right is not None
            pairs.append((matching_grey(clip.image(i)), matching_grey(right)))
        check = clip.pair_check or check_views(clip)
        if check is not None and check.fault is not None:
            raise InputError(f"{clip.source}: {check.fault}; {REMEDY[check.not_rectified]}, or use --depth photometric")
        self._range = disparity_range(pairs)
        if self._range is None:
            raise InputError(
                f"{clip.source}: the left and right views have nothing in common that could be matched; check that "
                "images_right/ shows the same moments, or use --depth photometric"
            )
        few = check is not None and check.points < FEW
        return ["stereo: too few points match to check that the views are a pair in the right order."] if few else []

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Z-depth in world units, kind `metric`, 0 and confidence 0 in the holes: what fills them would be invented."""
        if frame.right_image is None or frame.baseline is None:
            raise InputError("--depth stereo needs a right view; use --depth photometric")
        left, right = matching_grey(frame.image), matching_grey(frame.right_image)
        lowest, count = self._range or disparity_range([(left, right)]) or (0, 64)
        disparity = matched_disparity(left, right, lowest, count)
        # Matching widens what is near: up to MARGIN pixels of tissue beside an instrument get the instrument's depth.
        known = np.isfinite(disparity) & (disparity > 0.5) & erode_tissue_mask(frame.tissue_mask, MARGIN)
        # Each eye sees the lamp's mirror image elsewhere: a highlight's disparity is not its surface's.
        known &= ~bright_mask(frame.image)
        depth = np.where(known, frame.K[0, 0] * frame.baseline / np.where(known, disparity, 1), 0).astype(np.float32)
        return DepthPrediction(depth, self.kind, known.astype(np.float32))

    def about(self) -> dict[str, Any]:
        """JSON."""
        return {"prior": "stereo", "kind": self.kind, "disparities": list(self._range) if self._range else None}
