"""What a depth prior returns, and how it becomes an initial depth map."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from endogs.clip import Clip


DepthKind = Literal["disparity", "depth", "metric", "logdepth"]


@dataclass(frozen=True)
class DepthPrediction:
    """A dense guess of depth for one frame, with what is known about its scale.

    The kind is explicit because taking a disparity for a depth swaps near and far without any other symptom.
    """

    value: NDArray[np.float32]
    """(H, W). Unknown pixels are NaN, or 0 for the kinds `depth` and `metric`."""
    kind: DepthKind
    """`metric`: z-depth in world units; `depth`: z-depth up to a scale; `disparity`: 1/z up to an affine map;
    `logdepth`: log z up to an affine map, median 0 over the tissue."""
    confidence: NDArray[np.float32]
    """(H, W) in [0, 1]; 0 where a loss must not look (instruments, outside the view, unknown depth)."""


class DepthPrior(Protocol):
    """Anything that guesses the depth of a frame."""

    def predict(self, clip: "Clip", i: int) -> DepthPrediction:
        """The prediction for frame `i` of `clip`."""
        ...


def to_depth(prediction: DepthPrediction, median: float = 100.0) -> NDArray[np.float32]:
    """Z-depth (H, W) float32 in world units, 0 where unknown, to place the first Gaussians with.

    `metric` depth is taken as it is. The other kinds leave the scale open, so it is chosen to give the confident pixels
    the given `median`: exp(value) for `logdepth`, 1/value for `disparity`. Values stay where the confidence is 0
    (a guess behind an instrument is still a guess); only what the prior could not say at all becomes 0.
    """
    value = prediction.value.astype(np.float32)
    known = np.isfinite(value)
    if prediction.kind == "logdepth":
        depth = np.exp(np.where(known, value, 0))
    else:
        known &= value > 0
        depth = np.where(known, value, 1)
        if prediction.kind == "disparity":
            depth = 1 / depth
    if prediction.kind != "metric":
        trusted = known & (prediction.confidence > 0)
        if trusted.any() or known.any():
            depth = depth * (median / np.median(depth[trusted if trusted.any() else known]))
    return np.where(known, depth, 0).astype(np.float32)
