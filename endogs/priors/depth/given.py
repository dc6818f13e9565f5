"""Depth that came with the clip (stereo, a depth sensor, a renderer), once it is plausible."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.mask_files import sampled
from endogs.errors import InputError
from endogs.priors.depth.beside_instruments import continuing
from endogs.priors.depth.light_falloff import FIXED
from endogs.priors.depth.photometric import photometric_depth
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks
from endogs.priors.depth.rank_correlation import rank_correlation
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

LOOKED_AT = 5
PLAUSIBLE_MM = (2.0, 500.0)
"""Median distance of tissue from an endoscope's tip, mm. From the tip on the mucosa to across an inflated abdomen."""
LITTLE = 0.05
"""Less known depth than this part of the tissue is worth a note."""
REVERSED = -0.5
"""Rank correlation with depth from brightness from which near and far seem to be exchanged."""


class GivenDepth:
    """The clip's own depth maps, in world units; confidence 1 where the depth is known."""

    kind: DepthKind = "metric"
    temporal = False

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Checks that the values can be distances of tissue.

        Raises InputError when the clip has no depth, none of it on tissue, or when millimetres put the tissue outside
        PLAUSIBLE_MM. Notes flat depth, little depth, and depth in which near and far seem exchanged (a disparity).
        """
        if not clip.has_depth:
            raise InputError(f"{clip.source}: the clip has no depth maps; use --depth photometric or --depth auto")
        known_parts, medians, spreads, agreements = [], [], [], []
        for frame in looked_at(clip, frames, masks):
            assert frame.given is not None
            known = (frame.given > 0) & frame.tissue_mask
            known_parts.append(float(known.sum()) / max(float(frame.tissue_mask.sum()), 1))
            if not known.any():
                continue
            depth = frame.given[known]
            medians.append(float(np.median(depth)))
            low, high = np.percentile(depth, (5, 95))
            spreads.append(float(high / low))
            agreements += agreement_with_brightness(frame, frame.given, known)
        if not medians:
            raise InputError(
                f"{clip.source}: the depth maps hold no depth on tissue; check that they belong to these frames, or "
                "use --depth photometric"
            )
        median = float(np.median(medians))
        low_mm, high_mm = PLAUSIBLE_MM
        if clip.units == "mm" and not low_mm <= median <= high_mm:
            raise InputError(
                f"{clip.source}: the given depth puts the tissue {median:.4g} mm away, which no endoscope does "
                f"({low_mm:g} to {high_mm:g} mm); say what the files count in with --depth-unit-mm (or use "
                "--depth photometric)"
            )
        notes = []
        if float(np.median(known_parts)) < LITTLE:
            notes.append(f"depth: known on {100 * float(np.median(known_parts)):.1f} % of the tissue only.")
        if float(np.median(spreads)) < 1.001:
            notes.append("depth: every pixel has the same depth; --depth photometric may serve better.")
        elif agreements and float(np.median(agreements)) < REVERSED:
            notes.append(
                "depth: what is given as near is dark and what is given as far is bright, so the files seem to hold "
                "disparity or inverse depth, not depth: look at endogs inspect, and say --depth-is inverse if so."
            )
        return notes

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """The given depth, kind `metric`; confident on tissue and where it continues the tissue's beside instruments.

        Raises InputError when the frame carries no depth.
        """
        if frame.given is None:
            raise InputError("the clip has no depth maps; use --depth photometric")
        known = np.isfinite(frame.given) & (frame.given > 0)
        value = np.where(known, frame.given, 0).astype(np.float32)
        tissue = frame.tissue_mask
        if frame.doubtful is not None:
            tissue = tissue | continuing(value, erode_tissue_mask(tissue), frame.doubtful)
        return DepthPrediction(value, self.kind, (known & tissue).astype(np.float32))

    def about(self) -> dict[str, Any]:
        """JSON."""
        return {"prior": "given", "kind": self.kind}


def looked_at(clip: "Clip", frames: list[int], masks: TissueMasks) -> Iterator[DepthInput]:
    """At most LOOKED_AT of the clip's `frames`, spread evenly."""
    for k in sampled(len(frames), LOOKED_AT):
        yield DepthInput.of(clip, frames[k], masks(frames[k]))


def agreement_with_brightness(frame: DepthInput, depth: NDArray[np.float32], known: NDArray[np.bool_]) -> list[float]:
    """Spearman's correlation of `depth` (H, W) with the depth that brightness tells, where `known` (H, W).

    Nothing where brightness tells too little.
    """
    log_z, confidence = photometric_depth(frame.image, frame.tissue_mask, frame.K, FIXED)
    sure = known & (confidence > 0.5) & np.isfinite(log_z)
    return [rank_correlation(log_z[sure], depth[sure])] if np.count_nonzero(sure) > 100 else []
