"""Options of noisy poses that are known besides the pictures. Importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from endogs.errors import InputError
from endogs.options import Options, Range


@dataclass(frozen=True)
class PosePriorOptions(Options):
    """Poses from elsewhere, and how far they are off."""

    pose_prior: Path | None = None
    """Noisy poses of the camera, as from a robot's joints or an electromagnetic sensor: a TUM file (time tx ty tz qx qy
    qz qw; seconds from the input's first frame, mm, camera to world, OpenCV axes), which may lack rows. The path that
    is found in the pictures is moved and scaled into its world, and tissue that moves as a whole, as in breathing, is
    told from the camera by it."""
    pose_prior_mm: Annotated[float | None, Range(0, 1e4, above=True)] = None
    """Standard deviation of each coordinate of these positions, mm; with --pose-prior always."""
    pose_prior_deg: Annotated[float | None, Range(0, 180, above=True)] = None
    """Standard deviation of these directions about each axis, degrees; with --pose-prior always."""

    def check(self, camera: str = "track") -> None:
        """Raises InputError for options that do not go together or with --camera `camera`."""
        numbers = {"--pose-prior-mm": self.pose_prior_mm, "--pose-prior-deg": self.pose_prior_deg}
        if self.pose_prior is None:
            alone = [name for name, number in numbers.items() if number is not None]
            if alone:
                raise InputError(f"{alone[0]} says how far poses are off; give their file with --pose-prior.")
            return
        missing = [name for name, number in numbers.items() if number is None]
        if missing:
            raise InputError(
                f"{self.pose_prior}: say how far these poses are off with {' and '.join(missing)}, one standard "
                "deviation of a coordinate."
            )
        if camera not in ("auto", "track"):
            raise InputError(
                f"--camera {camera} finds no path that poses of --pose-prior could be joined with; use --camera track, "
                "or leave --pose-prior out."
            )
