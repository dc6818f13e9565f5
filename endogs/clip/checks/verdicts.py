"""What comparing a clip with its own pictures found, as numbers and as sentences."""

from dataclasses import dataclass

SWAPPED = 0.8
"""Share of matches with negative disparity from which the views are the wrong way round."""
FEW = 30
"""Fewer matches over all frames looked at say nothing."""
SAME_LENGTH = 0.03
"""Relative difference of two depths that are still called equal: disparities of a third of a pixel in ten."""


@dataclass(frozen=True)
class PairCheck:
    """What matching points of the two views say."""

    points: int
    """Matches over all frames looked at."""
    rows: float
    """Median distance between their rows, in pixels of the original."""
    rows_bound: float
    """What that may be, in pixels of the original."""
    negative: float
    """Share of the matches on one row whose disparity is negative."""
    disparity: float
    """Their median disparity in pixels of the original."""
    over_given: float | None
    """Median stereo depth over the depth in the files, None without either or with too few points."""
    poses_over: float | None
    """Median depth by the poses' motion over stereo depth, None for a still camera or with too few points."""
    scatter: float | None = None
    """Median relative difference of stereo depth over the files' from its own median; None as for `over_given`."""
    scatter_bound: float = 0.0
    """What that may be: depth files are no better, and disparities are measured to some part of a pixel."""

    @property
    def not_rectified(self) -> bool:
        """Whether matching points lie on different rows."""
        return self.rows > self.rows_bound

    @property
    def swapped(self) -> bool:
        """Whether the views are the wrong way round."""
        return self.negative > SWAPPED

    @property
    def fault(self) -> str | None:
        """Why stereo depth of this pair would be wrong, None when nothing speaks against it."""
        if self.not_rectified:
            return (
                f"matching points of the left and right views lie {self.rows:.1f} rows apart (up to "
                f"{self.rows_bound:.1f} is fine), so the pair is not rectified"
            )
        if self.swapped:
            return (
                f"the disparity between the views is negative (median {self.disparity:.1f} pixels), so left and right "
                "are swapped"
            )
        return None

    @property
    def is_sure(self) -> bool:
        """Whether enough points match to tell that the views are a pair."""
        return self.points >= FEW

    @property
    def disagrees_with_given(self) -> bool:
        """Whether stereo depth and the depth files differ by more than noise."""
        return self.over_given is not None and abs(self.over_given - 1) > SAME_LENGTH

    @property
    def is_scattered(self) -> bool:
        """Whether stereo depth and the depth files have the same size on the whole but not point by point."""
        return self.scatter is not None and self.scatter > self.scatter_bound

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when all is well."""
        if self.fault is not None:
            return [f"stereo: {self.fault}: reconstruct --depth stereo and --split novel-view refuse it."]
        if self.disagrees_with_given:
            return [
                f"stereo: by the right view tissue is {self.over_given:.3f} times as far as the depth files say (up to "
                f"{100 * SAME_LENGTH:.0f} % is fine): the distance between the cameras, the focal length or the "
                "depth's unit is off."
            ]
        if self.is_scattered:
            assert self.scatter is not None
            return [
                f"stereo: point by point the right view and the depth files differ by {100 * self.scatter:.0f} % "
                f"(median; up to {100 * self.scatter_bound:.0f} % is fine), though not on the whole: are the files of "
                "other frames, mirrored or turned?"
            ]
        return []


@dataclass(frozen=True)
class PoseCheck:
    """How well poses fit, and whether others would fit better. Distances are in pixels of the original."""

    points: int
    """Points followed, over all pairs."""
    pairs: int
    """Pairs of frames."""
    error: float
    """Median distance from where the poses allow a point to be."""
    noise: float
    """Median distance from where the best motion between each two frames would allow it to be."""
    bound: float
    """What the error may be."""
    in_front: float
    """Share of points with parallax that these poses put in front of both cameras."""
    best: str | None
    """The convention that fits instead, None when these poses are fine or no other convention fits."""
    closest: str
    """The other convention with the smallest error, which may fit no better."""
    best_error: float
    """Its median distance."""
    late: int
    """Frames by which the poses seem to have slipped, 0 when not: frame i has the pose of frame i + late."""
    late_error: float
    """The median distance when they are moved back."""
    depth_ratio: float | None
    """Median depth that the poses give points over the depth in the files, None without either."""
    depth: float | None = None
    """Median depth that the poses give points, world units; None with too few points with parallax."""

    @property
    def fits(self) -> bool:
        """Whether the poses are as good as can be told."""
        return self.best is None and self.late == 0 and self.error <= self.bound

    @property
    def remedy(self) -> str | None:
        """What would make the poses fit, as a sentence, None when they do or nothing is known that would."""
        if self.best is not None:
            doubt = (
                ""
                if self.best_error <= self.bound
                else f", which is still more than the {self.noise:.1f} of following itself"
            )
            return (
                f"the poses do not fit the images: points miss their epipolar lines by {self.error:.1f} pixels, but by "
                f"{self.best_error:.1f} when the poses are taken as {self.best}{doubt}: --pose-convention {self.best} "
                "does it."
            )
        if self.late:
            way = "later" if self.late > 0 else "earlier"
            return (
                f"the poses do not fit the images: points miss their epipolar lines by {self.error:.1f} pixels, but by "
                f"{self.late_error:.1f} when every frame takes the pose that is {abs(self.late)} frames {way}: number "
                "or time the rows of the poses anew."
            )
        return None

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read, none when all is well."""
        if self.remedy is not None:
            return [self.remedy]
        if self.error > self.bound:
            return [
                f"the poses do not fit the images: points miss their epipolar lines by {self.error:.1f} pixels (up to "
                f"{self.bound:.1f} is fine; the best motion would leave {self.noise:.1f}), and by "
                f"{self.best_error:.1f} in the closest other convention, {self.closest}: the tissue moves a lot, or "
                "the intrinsics or the times of the poses are off."
            ]
        return []
