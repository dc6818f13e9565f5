"""Inverse depth that came with the clip, as a network for single images wrote it: near = large, no unit."""

from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.errors import InputError
from endogs.priors.depth.given import REVERSED, agreement_with_brightness, looked_at
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks

if TYPE_CHECKING:
    from endogs.clip import Clip


class GivenInverseDepth:
    """The clip's own maps of 1/z up to an affine map; confidence 1 where they are known."""

    kind: DepthKind = "disparity"
    temporal = True

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Notes maps in which near is dark, which are then depth and not its inverse.

        Raises InputError when the clip has none or they are empty over the tissue.
        """
        if not clip.has_inverse_depth:
            raise InputError(f"{clip.source}: the clip has no files of inverse depth; use --depth auto")
        agreements: list[float] = []
        known_pixels = 0
        for frame in looked_at(clip, frames, masks):
            assert frame.given_inverse is not None
            known = np.isfinite(frame.given_inverse) & frame.tissue_mask
            known_pixels += int(known.sum())
            agreements += agreement_with_brightness(frame, -frame.given_inverse, known)
        if known_pixels == 0:
            raise InputError(
                f"{clip.source}: the files of inverse depth hold nothing on tissue; check that they belong to these "
                "frames, or use --depth photometric"
            )
        if agreements and float(np.median(agreements)) < REVERSED:
            return ["depth: read as inverse, what is near is dark, so the files seem to hold depth: --depth-is depth."]
        return []

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """The given map, kind `disparity`. Raises InputError when the frame carries none."""
        if frame.given_inverse is None:
            raise InputError("the clip has no files of inverse depth; use --depth photometric")
        known = np.isfinite(frame.given_inverse) & frame.tissue_mask
        return DepthPrediction(frame.given_inverse, self.kind, known.astype(np.float32))

    def about(self) -> dict[str, Any]:
        """JSON."""
        return {"prior": "given-inverse", "kind": self.kind}
