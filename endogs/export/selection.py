"""Which Gaussians become points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.config import Shown
from endogs.export.evidence import Evidence
from endogs.export.neighbours import inliers


@dataclass(frozen=True)
class Selection:
    """What a Gaussian must be to become a point; the first test that leaves nothing is told."""

    min_opacity: float = 0.0
    """Least opacity at the time, in [0, 1]."""
    min_frames: int = 0
    """Least number of training frames that show it."""
    show: Shown | None = None
    """All, those that some training frame shows, or the others; None: what `extent.decided` says."""
    outlier_deviations: float | None = None
    """Outliers are left out beyond this many standard deviations; None keeps them."""
    view_only: bool = False
    """Only what the clip's camera sees at the time."""

    def check(self) -> None:
        """Raises InputError for a number out of range."""
        if not 0 <= self.min_opacity <= 1:
            raise InputError(f"--min-opacity {self.min_opacity:g} is out of range; give a value from 0 to 1.")
        if self.min_frames < 0:
            raise InputError(f"--min-frames {self.min_frames} is out of range; give 0 or more.")
        if self.outlier_deviations is not None and not self.outlier_deviations > 0:
            raise InputError(f"--outlier-deviations {self.outlier_deviations:g} is out of range; give more than 0.")
        if self.show == "filled-in" and self.min_frames > 0:
            raise InputError(
                "--show filled-in and --min-frames contradict each other; no frame shows what is filled in."
            )

    @property
    def needs_evidence(self) -> bool:
        """Whether the selection asks which frames show a Gaussian."""
        return self.min_frames > 0 or self.show in ("seen", "filled-in")

    def words(self) -> str:
        """The options that leave Gaussians out, joined by "and"."""
        asked = {
            f"--min-opacity {self.min_opacity:g}": self.min_opacity > 0,
            f"--min-frames {self.min_frames}": self.min_frames > 0,
            f"--show {self.show}": self.show in ("seen", "filled-in"),
            "--view-only": self.view_only,
            f"--outlier-deviations {self.outlier_deviations}": self.outlier_deviations is not None,
        }
        return " and ".join(option for option, is_asked in asked.items() if is_asked)

    def rows(
        self,
        means: NDArray[np.floating],
        opacity: NDArray[np.floating],
        known: Evidence | None,
        when: str,
        in_view: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Indices of the selected among Gaussians of centres (N, 3) and opacity (N,), at a time called `when`.

        `in_view` (N,) says which of them the camera sees; None for all.

        Raises InputError as `check` does, when nothing is left, and when evidence is needed and there is none.
        """
        self.check()
        keep = opacity >= self.min_opacity
        if not keep.any():
            highest = f"; the highest is {opacity.max():.3g}" if len(opacity) else ""
            raise InputError(
                f"No Gaussian{when} has an opacity of {self.min_opacity:g} or more{highest}; lower --min-opacity."
            )
        if self.needs_evidence:
            if known is None:
                option = "--min-frames" if self.min_frames else "--show"
                raise InputError(
                    f"{option} needs a scene that knows which frames show what; fit it again, or leave out {option}."
                )
            keep &= known.frames >= self.min_frames
            if not keep.any():
                raise InputError(
                    f"No Gaussian{when} is shown by {self.min_frames} or more of the training frames; the most is "
                    f"{known.frames.max()}; lower --min-frames."
                )
            if self.show in ("seen", "filled-in"):
                keep &= known.seen == (self.show == "seen")
                if not keep.any():
                    raise InputError(f"No Gaussian{when} is {self.show.replace('-', ' ')}; use another --show.")
        if in_view is not None:
            keep &= in_view
            if not keep.any():
                raise InputError(f"No Gaussian{when} is in the camera's view; leave out --view-only.")
        rows = np.flatnonzero(keep)
        if self.outlier_deviations is not None:
            rows = rows[inliers(means[rows], self.outlier_deviations)]
        if not len(rows):
            raise InputError(f"No Gaussian{when} is left without outliers; raise --outlier-deviations.")
        return rows
