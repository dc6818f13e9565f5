"""Metric depth from a rectified pair of views, with holes where the views do not agree."""

from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.clip.cameras.baselines import USUAL_MM, baseline_notes
from endogs.clip.checks.verdicts import PairCheck
from endogs.errors import InputError
from endogs.priors.depth.beside_instruments import continuing
from endogs.priors.depth.disparity import disparity_range, matches, matching_grey, smoothed
from endogs.priors.depth.disparity_surface import with_sharp_edges, without_strays
from endogs.priors.depth.given import PLAUSIBLE_MM
from endogs.priors.depth.pair_doubt import checked_pair, pair_doubt
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks
from endogs.priors.speculars import bright_mask
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

LOOKED_AT = 5
"""Frames by which the range of disparities is found."""
MARGIN = 6
"""Pixels from an instrument within which depth is not trusted. Measured on two clips: a third of the depths within 2
pixels are too near by 5 % or more, less than a tenth at 4 to 6, and hardly any beyond."""


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
        check = checked_pair(clip)
        if check is not None and check.fault is not None:
            raise InputError(f"{clip.source}: {check.fault}; {_remedy(clip, check)}, or use --depth photometric")
        self._range = disparity_range(pairs)
        if self._range is None:
            raise InputError(
                f"{clip.source}: the left and right views have nothing in common that could be matched; check that "
                "images_right/ shows the same moments, or use --depth photometric"
            )
        doubt = pair_doubt(clip)
        if doubt is not None:
            raise InputError(
                f"{clip.source}: {doubt}: check that both show one scene at the same moments, or use --depth "
                "photometric"
            )
        return self._distance_notes(clip, frames[len(frames) // 2], masks)

    def _distance_notes(self, clip: "Clip", index: int, masks: TissueMasks) -> list[str]:
        """A sentence when the pair puts tissue where no endoscope sees it; InputError when its eyes are too near."""
        if clip.units != "mm" or clip.baseline is None:
            return []
        depth = self.predict(DepthInput.of(clip, index, masks(index))).value
        median, (low, high) = float(np.median(depth[depth > 0])) if (depth > 0).any() else 0.0, PLAUSIBLE_MM
        if not median or low <= median <= high:
            return []
        where = f"the right view puts the tissue {median:.4g} mm away, which no endoscope does ({low:g} to {high:g} mm)"
        if median < low and clip.baseline < USUAL_MM[0]:
            raise InputError(
                f"{clip.source}: {where}; {baseline_notes(clip.baseline)[0].rstrip('.')} (or use --depth photometric)"
            )
        return [
            f"stereo: {where}: the distance between the cameras, {clip.baseline:.4g} mm, or the focal length is off."
        ]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Z-depth in world units, kind `metric`, 0 and confidence 0 in the holes: what fills them would be invented."""
        if frame.right_image is None or frame.baseline is None:
            raise InputError("--depth stereo needs a right view; use --depth photometric")
        left, right = matching_grey(frame.image), matching_grey(frame.right_image)
        lowest, count = self._range or disparity_range([(left, right)]) or (0, 64)
        disparity, known = matches(left, right, lowest, count)
        # Matching widens what is near: up to MARGIN pixels of tissue beside an instrument get the instrument's depth.
        matched, tissue = known & (disparity > 0.5), erode_tissue_mask(frame.tissue_mask, MARGIN)
        # Each eye sees the lamp's mirror image elsewhere: a highlight's disparity is not its surface's.
        matched &= ~bright_mask(frame.image)
        if frame.doubtful is not None:
            depth = frame.K[0, 0] * frame.baseline / np.where(matched, disparity, np.inf)
            tissue |= continuing(depth, tissue, frame.doubtful | (frame.tissue_mask & ~tissue))
        known = without_strays(disparity, matched & tissue)
        disparity = smoothed(with_sharp_edges(disparity, known, left, right), known)
        depth = np.where(known, frame.K[0, 0] * frame.baseline / np.where(known, disparity, 1), 0).astype(np.float32)
        return DepthPrediction(depth, self.kind, known.astype(np.float32))

    def about(self) -> dict[str, Any]:
        """JSON."""
        return {"prior": "stereo", "kind": self.kind, "disparities": list(self._range) if self._range else None}


def _remedy(clip: "Clip", check: PairCheck) -> str:
    """What to do about a pair with a fault."""
    if check.not_rectified:
        return "give rotation, translation_mm and the right camera in calibration.json"
    if clip.packing_check is not None:
        return "write the video again with the halves of its frames exchanged"
    return "exchange the two videos' names" if clip.kind == "stereo-video" else "exchange images/ and images_right/"
