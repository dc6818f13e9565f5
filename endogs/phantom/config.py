"""Options of `endogs phantom`. No torch, no open3d here."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from endogs.errors import InputError


@dataclass(frozen=True)
class Phantom:
    """Make a synthetic endoscopic clip, with the exact truth written beside it."""

    out: Positional[Path]
    """Folder to write; must not exist yet or be empty."""
    frames: int = 60
    """Number of frames."""
    width: int = 640
    """Image width in pixels."""
    height: int = 512
    """Image height in pixels."""
    fps: float = 15.0
    """Frames per second; with --frames it decides how much of the motion is seen."""
    camera: Literal["still", "moving"] = "still"
    """A still endoscope, or one that drifts by about a centimetre and turns by a few degrees."""
    view: Literal["mono", "stereo"] = "mono"
    """One view, or a rectified pair with the right camera --baseline to the right."""
    instruments: int = 1
    """Metal instruments that hold and pull the tissue: 0, 1 or 2."""
    seed: int = 0
    """The same seed and options give the same files."""
    distance: float = 72.0
    """Working distance from the first camera to the middle of the tissue, mm."""
    field_of_view: float = 60.0
    """Horizontal field of view, degrees."""
    baseline: float = 4.4
    """Distance between the two cameras of a stereo view, mm."""
    pull: float = 12.0
    """How far an instrument pulls the tissue it holds, mm."""
    breathing: float = 1.5
    """Amplitude of the respiratory motion of the whole tissue, mm."""
    peristalsis: float = 1.0
    """Amplitude of the wave that travels along the folds, mm."""
    folds: float = 4.0
    """Height of the folds of the tissue, mm."""
    wetness: float = 1.0
    """Strength of the specular highlights of the tissue; 0 is dry."""
    vignetting: float = 0.35
    """Fraction of the light lost in the corners of the image, in [0, 1)."""
    exposure: float = 0.0
    """Exposure in stops, relative to one that suits the first frame and is kept for the clip."""
    noise: float = 1.0
    """Strength of the sensor noise (photon and read noise); 0 is none, 1 a usual endoscope."""
    tracks: int = 2000
    """Surface points followed through the clip for truth/tracks.npz."""

    def check(self) -> None:
        """Raises InputError, naming the option, for a value outside its range."""
        ranges: dict[str, tuple[float, float]] = {
            "frames": (1, 100_000),
            "width": (16, 4096),
            "height": (16, 4096),
            "fps": (0.1, 1000),
            "instruments": (0, 2),
            "seed": (0, 2**32 - 1),
            "distance": (40, 150),
            "field_of_view": (20, 100),
            "baseline": (0.1, 20),
            "pull": (0, 20),
            "breathing": (0, 10),
            "peristalsis": (0, 5),
            "folds": (0, 8),
            "wetness": (0, 10),
            "vignetting": (0, 0.99),
            "exposure": (-8, 8),
            "noise": (0, 100),
            "tracks": (1, 1_000_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} {value} is out of range; give a value from {low:g} to {high:g}.")

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
