"""A chain of segments, or a part of its time, as what a page can show."""

import math

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.export.html.chain_part import part_of_chain, seam_frames
from endogs.export.html.chain_spline import chain_as_spline
from endogs.export.html.overview import overview
from endogs.export.html.showable import GOOD, LEAST_SHARE, POOR, Showable, fidelity, kept_share, spread_frames
from endogs.scene import Scene
from endogs.scene.chain import SceneChain
from endogs.scene.deformation.knots import ACTIVE

CHECKED_SEAMS = 5
"""Most frames in the middle of overlaps on which the fidelity is measured too."""


class ShowableChain(Showable):
    """Segments that a page shows as one spline; no more than two are in memory."""

    def __init__(self, chain: SceneChain, frames: range) -> None:
        """Raises InputError for a part that holds nothing to see, and where a segment is damaged."""
        self._part = part_of_chain(chain, frames)
        if not len(self._part.identity):
            raise InputError(f"{chain.called}: holds no Gaussian that can be seen there; fit it again.")
        self.original = self._part.held
        self.weights = self._part.weights
        self.knots = self._part.knots.count
        self.became = f"{len(self._part.numbers)} segments"

    def reduced(self, most: int) -> tuple[Scene, NDArray[np.float32]]:
        """The Gaussians that add most, fitted to what the chain shows."""
        return chain_as_spline(self._part, most)

    def overview(self, reduced: Scene) -> dict[str, object]:
        """That of the spline."""
        return overview(reduced)

    def conversion(self, reduced: Scene) -> float:
        """Against the chain's own pictures, seams among them, with what the reduction costs."""
        frames = self._part.frames
        seams = seam_frames(self._part.chain, frames)
        some = spread_frames(0, len(seams) - 1) if len(seams) > CHECKED_SEAMS else range(len(seams))
        checked = {*spread_frames(frames[0], frames[-1]).tolist(), *(seams[k] for k in some)}
        return fidelity(self._part.chain, reduced, np.array(sorted(checked)))

    def advice(self, most: int, room: int) -> str | None:
        """A shorter part of the clip from the same start on, where control points are what a page lacks."""
        if most < room // self.knots:
            return super().advice(most, room)
        share = self.share(most)
        if share >= POOR:
            return None
        times, frames = self._part.chain.times, self._part.frames
        start, end = float(times[frames[0]]), float(times[frames[-1]])
        kept = (
            f"{most:,} of {len(self.weights):,} Gaussians from {start:.6g} to {end:.6g} seconds fit a page, and add "
            f"{100 * share:.0f} % of what is seen"
        )
        until = self._good_until(room)
        shorter = (
            "give a --start and --end that are closer to each other"
            if until is None
            else f"--start {_down(start):g} --end {_down(until):g} keeps about {100 * GOOD:.0f} %"
        )
        if share < LEAST_SHARE:
            raise InputError(f"{self._part.chain.called}: {kept}: {shorter}.")
        return f"{kept}; {shorter}"

    def _good_until(self, room: int) -> float | None:
        """Seconds up to which a page from the same start on keeps GOOD; None where hardly anything longer than a frame
        does."""
        times, begin = self._part.chain.times, self._part.frames[0]
        added, until = np.zeros(len(self.weights), np.float32), begin
        for look in self._part.looked:
            added[look.rows] += look.added
            for frame in range(until, look.frame + 1):
                if kept_share(added, room // self._knots_until(float(times[frame]))) < GOOD:
                    break
                until = frame
            if until < look.frame:
                break
        end = float(times[until])
        return end if _down(end) > _down(float(times[begin])) else None

    def _knots_until(self, time: float) -> int:
        """Control points of a page that ends at `time`, seconds."""
        return int(np.searchsorted(self._part.knots.breakpoints, time)) + ACTIVE - 1 + 1


def _down(seconds: float) -> float:
    """Rounded to hundredths, never beyond."""
    return math.floor(seconds * 100 + 1e-6) / 100
