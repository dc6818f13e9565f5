"""What a scene has to beat: predictions of a test frame that need no scene at all.

Published tables never show these rows, and on the field's usual split averaging two frames comes close to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.priors.motion.flow import ClipFlows
from endogs.priors.motion.virtual_frames import flow_from_between, interpolate

if TYPE_CHECKING:
    from endogs.clip import Clip

TEMPORAL = {"standard": ("neighbour_mean", "flow_midpoint"), "gap": ("nearest", "linear_blend", "flow_interpolation")}
"""Names of the baselines that predict a left frame from other left frames, by split."""
NOVEL_VIEW = ("left_shifted", "depth_warp")
"""Names of the baselines that predict the right view from the left one at the same time."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest training frames around a time."""

    before: int
    """Clip frame; at the clip's start the same as `after`."""
    after: int
    """Clip frame; at the clip's end the same as `before`."""
    fraction: float
    """Where the time lies between them, in [0, 1]; 0 when there is only one."""


def neighbours(times: NDArray[np.float64], train: Sequence[int], test: int) -> Neighbours:
    """The nearest training frames before and after clip frame `test`, by index, with its fraction in time.

    `times` (F,) are the clip's, in seconds. Raises ValueError without training frames.
    """
    earlier = [i for i in train if i < test]
    later = [i for i in train if i > test]
    if not earlier and not later:
        raise ValueError("no training frame to predict a test frame from")
    before = max(earlier) if earlier else min(later)
    after = min(later) if later else max(earlier)
    span = times[after] - times[before]
    return Neighbours(before, after, float((times[test] - times[before]) / span) if span > 0 else 0.0)


def linear_blend(a: NDArray[np.uint8], b: NDArray[np.uint8], fraction: float) -> NDArray[np.uint8]:
    """`(1 - fraction) a + fraction b`, uint8 (H, W, 3), rounded."""
    return np.clip((1 - fraction) * a.astype(np.float32) + np.float32(fraction) * b + 0.5, 0, 255).astype(np.uint8)


def flow_interpolation(
    flows: ClipFlows, a: NDArray[np.uint8], b: NDArray[np.uint8], between: Neighbours
) -> NDArray[np.uint8]:
    """Both neighbours warped by DIS flow to the test frame's time and blended, uint8 (H, W, 3).

    Nothing is masked: leaving out instruments or doubtful flow lowered this baseline, and it should be strong.
    """
    if between.before == between.after:
        return a
    to_a = flow_from_between(flows.flow(between.before, between.after), between.fraction)
    to_b = flow_from_between(flows.flow(between.after, between.before), 1 - between.fraction)
    return interpolate(a, b, to_a, to_b, between.fraction)


def temporal_baselines(
    clip: "Clip", flows: ClipFlows, train: Sequence[int], test: int, split: str
) -> dict[str, NDArray[np.uint8]]:
    """Predictions uint8 (H, W, 3) of clip frame `test` by name, for the split `standard` or `gap`.

    `neighbour_mean` weighs the neighbours equally and `flow_midpoint` goes half way between them, as on the standard
    split the test frame is exactly in the middle; the baselines of `gap` use its fraction in time.
    """
    found = neighbours(clip.times, train, test)
    with flows.reading:
        a, b = clip.image(found.before), clip.image(found.after)
    if split == "standard":
        middle = Neighbours(found.before, found.after, 0.5)
        return {"neighbour_mean": linear_blend(a, b, 0.5), "flow_midpoint": flow_interpolation(flows, a, b, middle)}
    if split == "gap":
        return {
            "nearest": a if found.fraction <= 0.5 else b,
            "linear_blend": linear_blend(a, b, found.fraction),
            "flow_interpolation": flow_interpolation(flows, a, b, found),
        }
    raise ValueError(f"the split '{split}' has no baselines in time")
