"""Measured depth of a moving camera, with a guess in its holes.

What is a hole in one frame, such as the margin that only the left eye sees, is drawn in others too: where nothing
holds its depth, Gaussians explain the pictures from anywhere. A guess, brought to the measured depth around, holds them
with a seventh of its confidence. Before a still camera no other view is spoilt, and holes stay holes.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.given import looked_at
from endogs.priors.depth.hole_filling import filled_holes, halved
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, DepthPrior, TissueMasks

if TYPE_CHECKING:
    from endogs.clip import Clip

TOLD = 0.01
"""Part of the tissue in holes from which that is said."""


class FilledDepth:
    """A metric prior whose holes another one fills, which sees every frame at half the size."""

    kind: DepthKind = "metric"
    temporal = False

    def __init__(self, measured: DepthPrior, fill: DepthPrior) -> None:
        """`measured` must be metric."""
        self._measured, self._fill = measured, fill
        self._looked_at: dict[int, DepthPrediction] = {}

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Prepares both, and says how much of the tissue is guessed in a few frames. Raises InputError as they do."""
        notes, about_fill = self._measured.prepare(clip, frames, masks), self._fill.prepare(clip, frames, masks)
        shares = []
        for frame in looked_at(clip, frames, masks):
            tissue = max(int(np.count_nonzero(frame.tissue_mask)), 1)
            found = self._looked_at[frame.number] = self._measured.predict(frame)
            shares.append(int(np.count_nonzero(_holes(frame, found))) / tissue)
        share = float(np.mean(shares))
        if share < TOLD:
            return notes
        told = f"of the tissue {100 * share:.0f} % has no measured depth; it is guessed there, with little weight."
        return [*notes, told, *about_fill]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Z-depth (H, W) in world units; its confidence is at most `hole_filling.FILLED` where it is guessed."""
        # What `prepare` looked at is not measured again.
        found = self._looked_at.pop(frame.number, None) or self._measured.predict(frame)
        if not _holes(frame, found).any():
            return found
        depth = np.where(found.confidence > 0, found.value, 0).astype(np.float32)
        return filled_holes(depth, found.confidence, self._fill.predict(halved(frame)), frame.tissue_mask)

    def about(self) -> dict[str, Any]:
        """JSON."""
        return self._measured.about() | {"filled_by": self._fill.about()}


def _holes(frame: DepthInput, found: DepthPrediction) -> NDArray[np.bool_]:
    """(H, W) tissue whose depth was not measured."""
    return np.asarray(frame.tissue_mask & (found.confidence == 0))
