"""Whether a video's frames hold two views as --stereo says, or the other way."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.matched_points import even_contrast, matched_points
from endogs.clip.checks.verdicts import FEW
from endogs.clip.recording import FrameReader
from endogs.clip.view.stereo_hint import stereo_hint

Packing = Literal["side-by-side", "top-bottom"]
OTHER: dict[Packing, Packing] = {"side-by-side": "top-bottom", "top-bottom": "side-by-side"}

FRAMES = 3
"""Frames that are looked at."""
LONGEST = 640
"""Pixels of the longer side of a view, at most."""
ROWS = 0.02
"""Share of the height that matching points may lie above or below where most do: views need not be rectified."""
COLUMNS = 0.25
"""Share of the width by which their columns may differ from what most do."""
CLEARLY = 3
"""How many times as many points must match the other way."""


@dataclass(frozen=True)
class PackingCheck:
    """What the halves of frames have in common."""

    packing: Packing
    """As --stereo has it."""
    points: int
    """Points that match between the halves as `packing` takes them."""
    other_points: int
    """Points that match as the other packing would."""
    looks_alike: bool
    """Whether the halves look alike as `packing` takes them, however few points match."""
    looks_other: bool
    """Whether they look alike as the other packing would take them."""

    @property
    def is_other(self) -> bool:
        """Whether the frames are packed the other way."""
        return self.other_points >= max(FEW, CLEARLY * self.points)

    @property
    def other(self) -> Packing | None:
        """The other packing, when it looks better; None when it does not."""
        better = self.is_other or (self.points < FEW and self.looks_other and not self.looks_alike)
        return OTHER[self.packing] if better else None

    @property
    def contradiction(self) -> str | None:
        """Why the clip cannot be read so, None when nothing speaks against it."""
        if not self.is_other:
            return None
        return (
            f"the frames hold two views, but not {self.packing}: {self.points} points match between their halves so, "
            f"and {self.other_points} the other way; --stereo {OTHER[self.packing]} takes them apart."
        )

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when all is well."""
        if self.contradiction is not None:
            return [f"stereo: {self.contradiction}"]
        if self.points >= FEW or self.looks_alike:
            return []
        advice = (
            f"--stereo {self.other} takes them apart as they look"
            if self.other is not None
            else "look at them with endogs inspect, and leave --stereo out if each frame is one view"
        )
        return [
            f"stereo: only {self.points} points match between the halves of the frames, so they may not be two views "
            f"{self.packing}: {advice}."
        ]


def check_packing(frames: FrameReader, count: int, packing: Packing) -> PackingCheck:
    """Compare the halves of a few of `count` packed frames, taken apart both ways."""
    points = dict.fromkeys(OTHER, 0)
    alike = dict.fromkeys(OTHER, False)
    for index in sorted({round(i) for i in np.linspace(0, count - 1, FRAMES)}):
        image = np.asarray(frames.read(index), np.uint8)
        hints = stereo_hint(image)
        for way in OTHER:
            alike[way] |= any(f"--stereo {way} " in hint for hint in hints)
            points[way] += _matching(*halves(image, way))
    other = OTHER[packing]
    return PackingCheck(packing, points[packing], points[other], alike[packing], alike[other])


def halves(image: NDArray[np.uint8], packing: Packing) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The first and the second view of a frame (H, W, 3)."""
    height, width = image.shape[:2]
    if packing == "side-by-side":
        return image[:, : width // 2], image[:, width - width // 2 :]
    return image[: height // 2], image[height - height // 2 :]


def _matching(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """How many points of the two views match and lie on rows that belong together."""
    import cv2

    scale = min(1.0, LONGEST / max(one.shape[:2]))
    size = max(1, round(one.shape[1] * scale)), max(1, round(one.shape[0] * scale))
    greys = [
        np.asarray(cv2.cvtColor(cv2.resize(v, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8)
        for v in (one, other)
    ]
    found = matched_points(even_contrast(greys[0]), even_contrast(greys[1]))
    if not len(found):
        return 0
    moved = found[:, 2:] - found[:, :2]
    off = np.abs(moved - np.median(moved, 0)) <= (COLUMNS * size[0], max(2.0, ROWS * size[1]))
    return int(off.all(1).sum())
