"""What happens to a clip: the lamp fails, smoke rises, the lens is out of focus, the camera jumps."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.phantom.config import Phantom
from endogs.phantom.path import Jump
from endogs.phantom.pattern import smooth_noise

Values = NDArray[np.float32]

BLUR_WIDTH = 0.008
"""Standard deviation of the defocus at its height, as a share of the picture's width; a third of it at the ends."""
SMOKE_COLOR = np.array([0.50, 0.49, 0.48], np.float32)
"""Linear radiance of thick smoke in the light of the lamp, where the tissue's level is about 0.3."""
SMOKE_DEPTH = 1.9
"""Optical depth of the smoke at its height, in its mean."""


@dataclass(frozen=True)
class Events:
    """The events of one clip."""

    spans: dict[str, list[tuple[int, int]]]
    """By name, first frames and those after the last."""
    jump: Jump | None

    def strength(self, name: str, frame: int) -> float:
        """0 without the event, else above 0, rising to 1 and falling: over a quarter of its span, at each end."""
        for first, end in self.spans[name]:
            if first <= frame < end:
                edge = max(1.0, (end - first) / 4)
                return float(min(1.0, (frame - first + 1) / edge, (end - frame) / edge))
        return 0.0

    def names(self, frame: int) -> list[str]:
        """The events that a frame is affected by; a jump, of the first frame after it."""
        found = [name for name in self.spans if self.strength(name, frame) > 0]
        return found + (["jump"] if self.jump is not None and self.jump.frame == frame else [])

    def is_black(self, frame: int) -> bool:
        """Whether the frame shows nothing."""
        return self.strength("blackout", frame) > 0

    def __bool__(self) -> bool:
        return any(self.spans.values()) or self.jump is not None

    def written(self, frames: int) -> dict[str, Any]:
        """For truth/events.json: spans, the jump, and the events of every frame that has some."""
        affected = {str(frame): names for frame in range(frames) if (names := self.names(frame))}
        content: dict[str, Any] = {name: spans for name, spans in self.spans.items() if spans}
        if self.jump is not None:
            jump = self.jump
            content["jump"] = {
                "frame": jump.frame, "skipped_seconds": jump.seconds, "mm": jump.millimetres, "degrees": jump.degrees,
            }  # fmt: skip
        return content | {"affected_frames": affected}

    def applied(self, config: Phantom, frame: int, radiance: Values) -> Values:
        """What the camera gets of linear `radiance` (H, W, 3) at a frame."""
        if self.is_black(frame):
            return np.zeros_like(radiance)
        smoke, blur = self.strength("smoke", frame), self.strength("blur", frame)
        if smoke > 0:
            radiance = self._smoked(config, frame, radiance, smoke)
        if blur > 0:
            sigma = (1 + 2 * blur) / 3 * BLUR_WIDTH * config.width
            radiance = cv2.GaussianBlur(np.minimum(radiance, 4.0), (0, 0), max(sigma, 0.8)).astype(np.float32)
        return radiance

    def _smoked(self, config: Phantom, frame: int, radiance: Values, strength: float) -> Values:
        """Wisps that drift upwards at two speeds, denser below, where they come from."""
        h, w = radiance.shape[:2]
        time = frame / config.fps
        density = np.full((h, w), 0.9, np.float32)
        for layer, (size, speed, weight) in enumerate(((0.6, 0.16, 0.32), (0.25, 0.33, 0.16))):
            rng = np.random.default_rng([config.seed, 7001 + layer])
            rows = 3 * h
            field = smooth_noise(rng, (w, rows), (rows, w), size * w, 3)
            shift = np.float32(time * speed * h) % (2 * h)
            first = int(shift)
            part = np.float32(shift - first)
            field = (1 - part) * field[first : first + h] + part * field[first + 1 : first + 1 + h]
            density += np.float32(weight) * field
        density *= (0.7 + 0.6 * np.arange(h, dtype=np.float32) / h)[:, None]
        passed = np.exp(-np.float32(SMOKE_DEPTH * strength) * np.maximum(density, 0.05))[..., None]
        return np.asarray(radiance * passed + SMOKE_COLOR * (1 - passed), np.float32)
