"""Two scenes on the same frames: paired differences tell more than two means."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from endogs.evaluate.evaluate import Metrics

LESS_IS_BETTER = ("flip", "lpips", "depth_median", "depth_abs_rel", "depth_rmse")
"""Starts of the names of measures that are errors."""


@dataclass(frozen=True)
class PairedDifference:
    """One measure of one scene minus that of the first scene, frame by frame."""

    name: str
    """The scene that differs."""
    measure: str
    frames: list[int]
    """Clip frames for which both have a value."""
    values: list[float]
    """By frame."""
    mean: float
    standard_error: float | None
    """Of the mean, if frames were independent, which neighbours are not; None for a single frame."""
    better: int
    """In how many frames this scene is better than the first."""

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        return asdict(self)


def less_is_better(measure: str) -> bool:
    """Whether a measure is an error."""
    return measure.startswith(LESS_IS_BETTER)


def paired_differences(names: Sequence[str], found: Sequence[Metrics]) -> list[PairedDifference]:
    """Every measure of every scene but the first, minus the first's. Raises ValueError for other frames."""
    differences = []
    first = found[0]
    measures = [name for name in first.per_frame[0] if name not in ("frame", "time")]
    for name, other in zip(names[1:], found[1:], strict=True):
        if [row["frame"] for row in other.per_frame] != [row["frame"] for row in first.per_frame]:
            raise ValueError(f"{name} was judged on other frames than {names[0]}")
        for measure in measures:
            pairs = [
                (a["frame"], a[measure], b.get(measure)) for a, b in zip(first.per_frame, other.per_frame, strict=True)
            ]
            known = [(frame, b - a) for frame, a, b in pairs if a is not None and b is not None]
            if not known:
                continue
            values = [value for _, value in known]
            error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            sign = -1 if less_is_better(measure) else 1
            better = sum(sign * value > 0 for value in values)
            frames = [frame for frame, _ in known]
            differences.append(PairedDifference(name, measure, frames, values, float(np.mean(values)), error, better))
    return differences
