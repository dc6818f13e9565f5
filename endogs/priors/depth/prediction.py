"""What a depth prior is asked, what it answers, and how the answer becomes an initial depth map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from endogs.clip import Clip

DepthKind = Literal["disparity", "depth", "metric", "logdepth"]
TissueMasks = Callable[[int], NDArray[np.bool_]]
"""The tissue mask (H, W) of a clip's frame by its index, True = tissue."""
FARTHEST = 3.0
"""Disparity up to an affine map may reach 0 or less, where 1/z means nothing: the farthest hundredth of a frame is put
at this many times its median depth at most."""


@dataclass(frozen=True)
class DepthInput:
    """One frame, with all that any prior may look at."""

    image: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    tissue_mask: NDArray[np.bool_]
    """(H, W), True = tissue is seen."""
    K: NDArray[np.float64]
    """(3, 3) intrinsics in pixels, centres at +0.5."""
    right_image: NDArray[np.uint8] | None = None
    """(H, W, 3) sRGB of the rectified right view."""
    baseline: float | None = None
    """World units from the left to the right camera."""
    given: NDArray[np.float32] | None = None
    """(H, W) z-depth that came with the clip, world units, 0 = unknown."""
    given_inverse: NDArray[np.float32] | None = None
    """(H, W) 1/z up to scale and offset that came with the clip, NaN = unknown."""
    number: int = 0
    """Its index in the clip."""
    doubtful: NDArray[np.bool_] | None = None
    """(H, W), True where found masks leave open whether it is tissue; the tissue mask has none of it."""

    @staticmethod
    def of(clip: "Clip", i: int, tissue_mask: NDArray[np.bool_] | None = None) -> "DepthInput":
        """Frame `i` of a clip, with its own tissue mask unless another (H, W) is handed over."""
        mask = clip.tissue_mask(i) if tissue_mask is None else tissue_mask
        given = clip.depth(i), clip.inverse_depth(i)
        right = clip.right_image(i), clip.baseline
        return DepthInput(clip.image(i), mask, clip.K[i], *right, *given, i, clip.doubtful(i))


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

    @property
    def kind(self) -> DepthKind:
        """The kind of every prediction; decides how Gaussians are placed and which depth loss the fit uses."""
        ...

    @property
    def temporal(self) -> bool:
        """Whether its predictions flicker from frame to frame and are to be blended along the optical flow."""
        ...

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Looks at a few of the clip's training frames, once, before the first prediction.

        Decides what holds for the whole clip and returns sentences that the user should read. Raises InputError when
        the prior cannot serve this clip.
        """
        ...

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """The prediction for one frame. May be called from several threads at once."""
        ...

    def about(self) -> dict[str, Any]:
        """JSON: its name, kind and everything that predictions depend on, for run.json and as the key of the cache."""
        ...


class FrameDepth(Protocol):
    """The predictions of a source's frames, by their numbers."""

    @property
    def kind(self) -> DepthKind:
        """The kind of every prediction."""
        ...

    def prediction(self, i: int) -> DepthPrediction:
        """The prediction for frame `i`."""
        ...

    def tissue_offset(self, i: int) -> NDArray[np.float64]:
        """(3,) where all tissue is at frame `i`, from its mean place in the world; zeros where it is not known to move
        as a whole."""
        ...

    def forget(self, i: int) -> None:
        """Frame `i` will not be asked for again."""
        ...


def to_depth(prediction: DepthPrediction, median: float = 100.0) -> NDArray[np.float32]:
    """Z-depth (H, W) float32 in world units, 0 where unknown, to place the first Gaussians with.

    `metric` depth is taken as it is. The other kinds leave the scale open, so it is chosen to give the confident pixels
    the given `median`: exp(value) for `logdepth`, 1/value for `disparity`, which is first raised so that the farthest
    hundredth of the confident pixels lies at most FARTHEST medians away. Values stay where the confidence is 0 (a guess
    behind an instrument is still a guess); only what the prior could not say at all becomes 0.
    """
    value = prediction.value.astype(np.float32)
    known = np.isfinite(value)
    if prediction.kind in ("depth", "metric"):
        known &= value > 0
    if prediction.kind == "metric" or not known.any():
        return np.where(known, value, 0).astype(np.float32)
    trusted = known & (prediction.confidence > 0)
    trusted = trusted if trusted.any() else known
    if prediction.kind == "logdepth":
        depth = np.exp(np.where(known, value, 0))
    elif prediction.kind == "depth":
        depth = np.where(known, value, 1)
    else:
        depth = 1 / _positive_disparity(np.where(known, value, 1), trusted)
    depth = depth * (median / np.median(depth[trusted]))
    return np.where(known, depth, 0).astype(np.float32)


def _positive_disparity(value: NDArray[np.float32], trusted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`value` (H, W) plus the least constant that keeps the farthest hundredth within FARTHEST medians, all > 0."""
    far, middle = (float(x) for x in np.percentile(value[trusted], (1, 50)))
    # (middle + c) <= FARTHEST (far + c)
    shift = max(0.0, (middle - FARTHEST * far) / (FARTHEST - 1))
    level = middle + shift
    if level <= 0:  # constant and not positive: a flat wall
        return np.ones_like(value)
    return np.maximum(value + shift, level / (2 * FARTHEST))
