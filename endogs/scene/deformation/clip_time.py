"""The part of time that a deformation is made for, and how it is normalized."""

from dataclasses import dataclass
from typing import Any

from endogs.scene.deformation.settings import number_of


@dataclass(frozen=True)
class ClipTime:
    """From the first frame to the last."""

    start: float
    """Seconds."""
    duration: float
    """Seconds, > 0."""

    def __post_init__(self) -> None:
        if not self.duration > 0:
            raise ValueError(f"a clip lasts longer than {self.duration} s")

    def fraction(self, time: float) -> float:
        """`time` (seconds) as a part of the clip, held at its ends: in [0, 1]."""
        return min(max((time - self.start) / self.duration, 0.0), 1.0)

    def at(self, fraction: float) -> float:
        """Seconds at a part of the clip in [0, 1]."""
        return self.start + fraction * self.duration

    def settings(self) -> dict[str, Any]:
        """For the scene file."""
        return {"start": self.start, "duration": self.duration}

    @staticmethod
    def of(settings: dict[str, Any]) -> "ClipTime":
        """The inverse of `settings`. Raises ValueError when the duration is not positive."""
        return ClipTime(number_of(settings, "start"), number_of(settings, "duration"))
