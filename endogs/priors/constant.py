"""No depth at all: a flat wall, which is what every other prior has to beat."""

from typing import TYPE_CHECKING, Any

import numpy as np

from endogs.priors.prediction import DepthInput, DepthKind, DepthPrediction, TissueMasks

if TYPE_CHECKING:
    from endogs.clip import Clip


class ConstantDepth:
    """One depth for every pixel of every frame."""

    kind: DepthKind = "logdepth"
    temporal = False

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Nothing to look at."""
        return ["depth: one depth everywhere (--depth constant), so the scene is a flat wall to begin with."]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Log z-depth 0, kind `logdepth`; the fit's anchor then holds the spread of depth near zero."""
        flat = np.zeros(frame.tissue_mask.shape, np.float32)
        return DepthPrediction(flat, self.kind, frame.tissue_mask.astype(np.float32))

    def about(self) -> dict[str, Any]:
        """JSON."""
        return {"prior": "constant", "kind": self.kind}
