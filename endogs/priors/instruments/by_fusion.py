"""Instruments found by all that tells them: a small network, colour, motion, and the frames before and after.

Each frame speaks for itself, by the network's log odds and, where the clip's tissue is red, by colour. What frames say
is spread both ways along the flow; where instrument and tissue move differently, motion decides between them; a guided
filter moves the outlines to the edges; and a halo holds what may be either. A self-check judges the result, not its
sources.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.by_color import ColorSearch
from endogs.priors.instruments.components import grown_into, instrument_patches, without_slits
from endogs.priors.instruments.contradicted import uncontradicted
from endogs.priors.instruments.evidence import colors_speak
from endogs.priors.instruments.findings import Findings, gathered
from endogs.priors.instruments.glare_beside import glare_beside
from endogs.priors.instruments.guided_outline import follow_edges
from endogs.priors.instruments.halo import rim_of, tip_halo
from endogs.priors.instruments.masks import Mask, disc, grown
from endogs.priors.instruments.motion_signs import motion_log_odds
from endogs.priors.instruments.outlines import beside, outlined
from endogs.priors.instruments.propagation import LogOdds, SpokenFrame, spoken_frames, spread_both_ways

if TYPE_CHECKING:
    from endogs.clip import Clip
    from endogs.priors.instruments.network import Sight


class Network(Protocol):
    """What looks at one frame, as `network.InstrumentNetwork` does."""

    def look(self, image: NDArray[np.uint8], view: Mask | None = None) -> "Sight":
        """Log odds (h, w) of any size, above 0 = rather instrument, of a uint8 RGB image (H, W, 3) within its view."""


MOTION = 0.5
"""How much motion counts against the network."""
OFFSET = 0.5
"""Log odds added to the network's, which are careful: they are within MOST then."""
COLOR_FOR, COLOR_AGAINST = 0.8, 0.5
"""How much colour counts where its own search finds an instrument, and where it sees tissue: what it finds is mostly
one, though pale tissue and drapes are among it."""
MIRRORING = (-1.0, 1.0)
"""Log odds of the network between which colour's word for tissue fades: metal that mirrors tissue has its colours."""
BRIGHT = (200.0, 235.0)
"""Grey levels of the brightest channel from which on colour finds less, and nothing."""
CLEAR = 0.3
"""Probability of a frame to show tissue clearly, below which colour has no say."""
MOST = 5.0
SURE = 1.0
"""Log odds that some part of an instrument reaches."""
SURE_SHARE = 0.15
"""That part."""
SMALLEST = 0.0015
"""Part of the image that a patch must cover."""
SMALLEST_LEAVING, LEAVING_REACH = 0.0005, 0.04
"""Part of the image that a patch must cover at the edge so near to where the frame before had one, in image widths."""
SMALLEST_LOOSE = 0.004
"""Part of it that a patch must cover which neither reaches the edge of the view nor lies near one that does."""
REACH = 0.08
"""How near that is, in image widths."""
DOUBTFUL, DOUBTFUL_REACH = -1.5, 0.03
"""The halo holds what is above these log odds within this part of the image's width."""


@dataclass(frozen=True)
class FoundFrame:
    """What was found in one frame, bool (h, w) at the size of the search."""

    instrument: Mask
    halo: Mask
    """What around it may be either."""
    by_network: int
    """Pixels of the instrument that the network sees by itself."""
    by_color: int
    """Those that colour finds by itself."""


class InstrumentSearch:
    """The instruments of one clip, by its network and its colours."""

    def __init__(self, clip: "Clip", network: Network) -> None:
        """Reads a few frames of `clip` to learn its colours."""
        self._clip, self._network = clip, network
        self.colors = ColorSearch(clip)
        tissue = self.colors.tissue
        self.colors_tell = tissue is not None and tissue.are_red
        """Whether tissue is red enough for colour to have a say."""
        self._seen_by: dict[int, tuple[Mask, Mask]] = {}
        self._before: Mask | None = None
        """The instruments (h, w) of the last frame whose outlines were found; that goes in order."""

    @property
    def view(self) -> Mask:
        """(h, w), where there is a picture, at the size of the search."""
        return self.colors.view

    def alone(self, index: int, image: NDArray[np.uint8]) -> LogOdds:
        """What frame `index` says by itself, (h, w); `image` is the frame at that size."""
        size = image.shape[1::-1]
        sight = self._network.look(self._clip.image(index), ~self._clip.ignored)
        seen = sight.log_odds
        if seen.shape != self.view.shape:
            seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_LINEAR), np.float32)
        total = np.clip(seen + OFFSET, -MOST, MOST)
        by_network, by_color = seen > 0, np.zeros_like(self.view)
        # Smoke is as grey as steel, and darkness has no colour.
        clear = sight.states["tissue"] >= CLEAR
        if clear and self.colors_tell and self.colors.tissue is not None:
            evidence = colors_speak(image, self.view, self.colors.tissue, self.colors.table)
            odds = np.clip(evidence.log_odds, -MOST, MOST)
            by_color = instrument_patches(evidence, odds, self.colors.tissue, self.colors.edge)
            # Near its highest level the sensor shows tissue too close to the light as pale as steel.
            brightest = cv2.blur(np.maximum.reduce(cv2.split(image)), (5, 5)).astype(np.float32)
            known = np.clip((BRIGHT[1] - brightest) / (BRIGHT[1] - BRIGHT[0]), 0, 1)
            known *= uncontradicted(by_color, seen)
            against = COLOR_AGAINST * np.clip((MIRRORING[1] - seen) / (MIRRORING[1] - MIRRORING[0]), 0, 1)
            total = total + np.where(by_color, COLOR_FOR * known * np.maximum(odds, 0), against * np.minimum(odds, 0))
        self._seen_by[index] = by_network, by_color
        return np.where(self.view, total, np.float32(-MOST)).astype(np.float32)

    def spoken(self) -> Iterator[SpokenFrame]:
        """Every frame, in order, with what it and its neighbours in time say."""
        return spread_both_ways(spoken_frames(len(self._clip), self.colors.small, self.alone))

    def masks(self) -> Iterator[FoundFrame]:
        """Instruments and halo (h, w) of every frame, in order. Outlines are refined on a second thread meanwhile."""
        self._before = None
        return beside(self.spoken(), self._outline)

    def _outline(self, frame: SpokenFrame) -> FoundFrame:
        assert frame.odds is not None
        odds = frame.odds
        flows = [flow for flow in (frame.to_last, frame.to_next) if flow is not None]
        if flows:
            moved = sum(motion_log_odds(odds, flow, self.view) for flow in flows) / np.float32(len(flows))
            odds = np.asarray(odds + MOTION * moved, np.float32)
        patches = patches_of(odds, self.colors.edge)
        # What is left of one that leaves is too small for an outline to be found around it.
        leaving = patches_of(odds, self.colors.edge, self._before) & ~patches & self.view
        mask = outlined(frame.image, patches, odds, self.view, follow_edges) | leaving
        # A grasper's window that the halo would fill to the last pixel says more as instrument.
        mask = without_slits(mask, 1 + rim_of(mask.shape[1])) & self.view
        glare = glare_beside(frame.image, mask, odds)
        mask &= ~glare
        self._before = mask
        halo = self._halo(mask, odds) | glare
        by_network, by_color = (int(np.count_nonzero(seen & mask)) for seen in self._seen_by.pop(frame.number))
        return FoundFrame(mask, halo, by_network, by_color)

    def _halo(self, mask: Mask, odds: LogOdds) -> Mask:
        """The margin around `mask` (h, w), and what is doubtful and hangs together with it."""
        if not mask.any():
            return mask.copy()
        reach = max(2, round(DOUBTFUL_REACH * mask.shape[1]))
        doubtful = grown_into(mask, odds, DOUBTFUL, reach)
        return (tip_halo(mask, self.colors.edge) | doubtful) & self.view & ~mask


def patches_of(odds: LogOdds, edge: Mask, before: Mask | None = None) -> Mask:
    """The patches (h, w) of positive `odds` (h, w) that are instruments; `edge` from `components.edge_of_view`.

    A patch must somewhere be sure. Smaller ones must reach the edge of the view, or lie near one that does; the
    smallest must reach it where the frame before had an instrument (`before` (h, w)): it is leaving.
    """
    height, width = odds.shape
    opened = cv2.morphologyEx((odds > 0).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # Two pixels of gap, as a highlight or a joint makes, do not cut an instrument in two.
    count, labels = cv2.connectedComponents(cv2.dilate(opened, disc(2)), connectivity=8)
    labels = labels * opened
    inside = np.flatnonzero(labels)
    numbers = labels.ravel()[inside]

    def sums(weight: NDArray) -> NDArray[np.float64]:
        return np.bincount(numbers, weights=weight.ravel()[inside], minlength=count).astype(np.float64)

    area = sums(np.ones(odds.shape))
    sure = sums(odds > SURE) > SURE_SHARE * np.maximum(area, 1)
    sure[0] = False
    rooted = sure & (sums(edge) > 0.01 * width)
    leaving = np.zeros(count, bool)
    if before is not None and before.any():
        leaving = rooted & (area > SMALLEST_LEAVING * height * width)
        leaving &= sums(grown(before, round(LEAVING_REACH * width))) > 0
    sure &= area > SMALLEST * height * width
    rooted &= sure
    near = sums(grown(rooted[labels], round(REACH * width))) > 0 if rooted.any() else np.zeros(count, bool)
    chosen = rooted | leaving | (sure & (near | (area > SMALLEST_LOOSE * height * width)))
    return chosen[labels]


def find_by_fusion(
    clip: "Clip", progress: Callable[[int, int], None] | None = None, network: Network | None = None
) -> Findings:
    """Instrument masks of every frame of `clip`; about 90 ms a frame of any size on one core.

    `progress(done, total)` is called after each frame; `network` is by default the one that comes with endogs. Nothing
    is found, and said so, when more than 45 % of the view would be hidden, or when the masked area jumps again and
    again.
    """
    if network is None:
        from endogs.priors.instruments.network import InstrumentNetwork

        network = InstrumentNetwork.load()
    search = InstrumentSearch(clip, network)
    remedy = "they count as tissue unless masks are given or reconstruct --masks sam2 is used"
    seen: list[tuple[int, int]] = []

    def frames() -> Iterator[tuple[Mask, Mask]]:
        for frame in search.masks():
            seen.append((frame.by_network, frame.by_color))
            yield frame.instrument, frame.halo

    found = gathered(frames(), (clip.width, clip.height), search.view, progress, len(clip))
    if found.doubt:
        return Findings(None, f"the instruments that were found are not used: {found.doubt}; {remedy}.")
    if found.nothing:
        return Findings(None, "no instruments were found: everything is taken as tissue.")
    pixels = np.column_stack([found.pixels, np.array(seen, np.float64)])
    return Findings(found.masks, _note(pixels, search.view.size, search.colors_tell))


def _note(pixels: NDArray[np.float64], size: int, colors_tell: bool) -> str:
    """What was found and by what, and what it may miss, for the user.

    `pixels` (F, 4) are those of frames of `size` pixels under instruments, under their halos, and of the instruments
    those that the network and colour see by themselves.
    """
    area, halo, by_network, by_color = pixels.T
    network, color = (100 * seen.sum() / area.sum() for seen in (by_network, by_color))
    with_color = f"colour {color:.0f} %" if colors_tell else "colour has no say, as tissue is not red"
    return (
        f"instruments were found in {np.count_nonzero(area)} of {len(pixels)} frames: they hide "
        f"{100 * area.mean() / size:.1f} % of the picture (of single frames the network sees {network:.0f} % of that, "
        f"{with_color}), and {100 * halo.mean() / size:.1f} % around them may be either. Thin jaws, and what mirrors "
        "tissue, may be missed."
    )
