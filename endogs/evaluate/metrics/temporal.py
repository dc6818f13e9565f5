"""Does a scene flicker? Its frames, warped onto each other along the video's own motion, beside the video itself.

The warping error of W.-S. Lai et al., "Learning blind video temporal consistency", ECCV 2018, with DIS flow of the
video for all, so that a scene that stands still or moves wrongly is not rewarded; and plain differences over still
pixels, where no flow has to be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip
from endogs.evaluate.judged_frames import MaskOf
from endogs.evaluate.metrics.metrics import to_8bit
from endogs.pictures.scene_frames import picture
from endogs.priors.motion.flow import ClipFlows, warp
from endogs.scene import Scene

STILL_PIXELS = 0.25
"""A pixel is still where the flow to the next frame is shorter than this, in pixels."""
MOST_PAIRS = 60
"""Pairs of neighbouring frames that are looked at, spread over the clip."""


@dataclass(frozen=True)
class TemporalErrors:
    """Root mean square changes of colour between neighbouring frames, in levels of 255; NaN where nothing is judged."""

    frames: list[int]
    """First frame of each pair."""
    scene: list[float]
    """Per pair, along the motion."""
    video: list[float]
    """The same of the video: its noise, and what its flow gets wrong."""
    scene_still: list[float]
    """Per pair, over still pixels."""
    video_still: list[float]

    def as_dict(self) -> dict[str, float]:
        """Means over the pairs, and the scene's share of the video's changes: below 1 it flickers less."""
        names = ("scene", "video", "scene_still", "video_still")
        means = {name: _mean(getattr(self, name)) for name in names}
        found = {f"warping_error_{name}": value for name, value in means.items()}
        found["warping_error_ratio"] = means["scene"] / means["video"] if means["video"] else float("nan")
        found["still_flicker_ratio"] = (
            means["scene_still"] / means["video_still"] if means["video_still"] else float("nan")
        )
        return found


def temporal_errors(
    scene: Scene,
    clip: Clip,
    masks: MaskOf,
    flows: ClipFlows,
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> TemporalErrors:
    """Changes between frames i and i + 1 over tissue that both show and whose flow comes back.

    `masks(i)` is the tissue mask (H, W) of frame i. `progress(done, total)` is called after each pair.
    """
    last = len(clip) - 1
    firsts = np.unique(np.linspace(0, last - 1, min(MOST_PAIRS, last)).round().astype(int)).tolist() if last > 0 else []
    rows: list[tuple[float, float, float, float]] = []
    for done, i in enumerate(firsts, 1):
        flow = flows.flow(i, i + 1)
        both = masks(i) & (warp(masks(i + 1).astype(np.float32), flow) > 0.99) & flows.consistent(i, i + 1)
        still = both & (np.square(flow).sum(-1) < STILL_PIXELS**2)
        drawn = [to_8bit(picture(scene, float(clip.times[k]), 1.0, backend)[0]) for k in (i, i + 1)]
        seen = [clip.image(k) for k in (i, i + 1)]
        changes = [_changes(a, warp(b, flow)) for a, b in (drawn, seen)]
        unwarped = [_changes(a, b) for a, b in (drawn, seen)]
        rows.append((*(_rms(c, both) for c in changes), *(_rms(c, still) for c in unwarped)))  # type: ignore[arg-type]
        if progress is not None:
            progress(done, len(firsts))
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
    return TemporalErrors(firsts, *columns)


def _changes(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean squared difference (H, W) over the channels."""
    return np.asarray(np.square(a.astype(np.float32) - b.astype(np.float32)).mean(-1), np.float32)


def _rms(squared: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    return float(np.sqrt(squared[where].mean(dtype=np.float64))) if where.any() else float("nan")


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
