"""Options of `endogs phantom`. No torch, no open3d here."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional

from endogs.errors import InputError
from endogs.options import Options, Range


@dataclass(frozen=True)
class Phantom(Options):
    """Make a synthetic endoscopic clip, with the exact truth written beside it."""

    positional: ClassVar[tuple[str, ...]] = ("out",)
    out: Positional[Path]
    """Folder to write; must not exist yet or be empty."""
    frames: Annotated[int, Range(1, 100_000)] = 60
    """Number of frames."""
    width: Annotated[int, Range(16, 4096)] = 640
    """Image width in pixels."""
    height: Annotated[int, Range(16, 4096)] = 512
    """Image height in pixels."""
    fps: Annotated[float, Range(0.1, 1000)] = 15.0
    """Frames per second; with --frames it decides how much of the motion is seen."""
    camera: Literal["still", "moving"] = "still"
    """A still endoscope, or one that drifts by about a centimetre and turns by a few degrees."""
    view: Literal["mono", "stereo"] = "mono"
    """One view, or a rectified pair with the right camera --baseline to the right."""
    instruments: Annotated[int, Range(0, 2)] = 1
    """Metal instruments that hold and pull the tissue: 0, 1 or 2."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """The same seed and options give the same files."""
    distance: Annotated[float, Range(40, 150)] = 72.0
    """Working distance from the first camera to the middle of the tissue, mm."""
    field_of_view: Annotated[float, Range(20, 100)] = 60.0
    """Horizontal field of view, degrees."""
    baseline: Annotated[float, Range(0.1, 20)] = 4.4
    """Distance between the two cameras of a stereo view, mm."""
    pull: Annotated[float, Range(0, 20)] = 12.0
    """How far an instrument pulls the tissue it holds, mm."""
    breathing: Annotated[float, Range(0, 10)] = 1.5
    """Amplitude of the respiratory motion of the whole tissue, mm."""
    peristalsis: Annotated[float, Range(0, 5)] = 1.0
    """Amplitude of the wave that travels along the folds, mm."""
    folds: Annotated[float, Range(0, 8)] = 4.0
    """Height of the folds of the tissue, mm."""
    wetness: Annotated[float, Range(0, 10)] = 1.0
    """Strength of the specular highlights of the tissue; 0 is dry."""
    vignetting: Annotated[float, Range(0, 0.99)] = 0.35
    """Fraction of the light lost in the corners of the image, in [0, 1)."""
    exposure: Annotated[float, Range(-8, 8)] = 0.0
    """Exposure in stops, relative to one that suits the first frame and is kept for the clip."""
    noise: Annotated[float, Range(0, 100)] = 1.0
    """Strength of the sensor noise (photon and read noise); 0 is none, 1 a usual endoscope."""
    tracks: Annotated[int, Range(1, 1_000_000)] = 2000
    """Surface points followed through the clip for truth/tracks.npz."""

    def check(self) -> None:
        """Raises InputError, naming the options, for values that do not go together."""
        nearest = self.pull * (self.instruments > 0) + 1.4 * self.breathing + self.peristalsis + 2 * self.folds
        if nearest > 0.65 * self.distance:
            raise InputError(
                f"--pull, --breathing, --peristalsis and --folds bring the tissue {nearest:.0f} mm closer, too close "
                f"to a camera at {self.distance:g} mm; lower them or raise --distance."
            )
        if self.height * math.tan(math.radians(self.field_of_view) / 2) > 1.6 * self.width:
            raise InputError(
                f"--height {self.height} with --width {self.width} and --field-of-view {self.field_of_view:g} sees "
                "more than 116 degrees vertically; lower the height or the field of view."
            )

    @property
    def focal(self) -> float:
        """Focal length in pixels, the same for x and y."""
        return 0.5 * self.width / math.tan(math.radians(self.field_of_view) / 2)
