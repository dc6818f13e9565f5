"""Instruments found by their colour: nothing to download, nothing to click.

Tissue is red and most of the picture; instruments are grey, black, white, blue or gold and come in from the edge of the
view. The clip's own tissue colours set the scale, the clip's own first masks teach the instruments' colours, optical
flow carries what was known into the next frame, and GrabCut moves the outlines to the edges. A self-check switches it
all off where colour cannot tell (narrow-band light, grey pictures) or the result is not believable.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.components import edge_of_view, grown_into, instrument_patches, without_holes
from endogs.priors.instruments.evidence import ColorTable, Evidence, colors_speak, learn_color_table
from endogs.priors.instruments.grabcut import refine
from endogs.priors.instruments.halo import tip_halo
from endogs.priors.instruments.masks import InstrumentMasks, Mask
from endogs.priors.instruments.propagation import with_neighbour
from endogs.priors.instruments.tissue_colors import Chroma, TissueColors, fit_tissue_colors
from endogs.priors.motion.flow import dis_flow

if TYPE_CHECKING:
    from endogs.clip import Clip

LONGEST = 320
"""Pixels of the longer side at which instruments are looked for."""
SAMPLES = 12
"""Frames from which colours are learned."""
TOO_MUCH = 0.45
"""A larger part of the view under instruments is not believed."""
JUMP = 3.0
"""Nor is a masked area that changes by this factor from one frame to the next, again and again."""


@dataclass(frozen=True)
class Findings:
    """Masks of a clip, or why there are none."""

    masks: InstrumentMasks | None
    """None when the self-check switched the search off, or nothing was found."""
    note: str
    """A sentence for the user."""


class ColorSearch:
    """The colours of one clip, learned from a few of its frames, and the search for instruments by them."""

    def __init__(self, clip: "Clip") -> None:
        """Reads `SAMPLES` frames of `clip`."""
        self._clip = clip
        # Small frames are enlarged: windows and margins are meant for this size.
        scale = LONGEST / max(clip.width, clip.height)
        self._size = (max(8, round(clip.width * scale)), max(8, round(clip.height * scale)))
        view = (~clip.ignored).astype(np.uint8)
        self.view: Mask = cv2.resize(view, self._size, interpolation=cv2.INTER_NEAREST).view(bool)
        self.edge = edge_of_view(self.view)
        chosen = sorted({round(i) for i in np.linspace(0, len(clip) - 1, min(len(clip), SAMPLES))})
        images = [self.small(i) for i in chosen]
        views = [self.view] * len(images)
        self.tissue: TissueColors | None = fit_tissue_colors(images, views)
        self.table: ColorTable | None = None
        """Log odds by colour that the clip's own instruments taught; None where they taught too little."""
        if self.tissue is not None and self.tissue.are_red:
            first = [colors_speak(image, self.view, self.tissue) for image in images]
            masks = [instrument_patches(seen, seen.log_odds, self.tissue, self.edge) for seen in first]
            self.table = learn_color_table(images, first, masks, views)

    def small(self, index: int) -> NDArray[np.uint8]:
        """Frame `index`, uint8 RGB, at the size of the search."""
        image = self._clip.image(index)
        method = cv2.INTER_AREA if image.shape[1] > self._size[0] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, self._size, interpolation=method), np.uint8)

    def masks(self) -> Iterator[tuple[Mask, Mask]]:
        """Instrument and halo (h, w) of every frame, in order. Outlines are refined on a second thread meanwhile."""
        assert self.tissue is not None
        before: tuple[NDArray[np.uint8], Chroma] | None = None
        waiting: list[Future[tuple[Mask, Mask]]] = []
        with ThreadPoolExecutor(1) as pool:
            for i in range(len(self._clip)):
                image = self.small(i)
                evidence = colors_speak(image, self.view, self.tissue, self.table)
                grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
                odds = evidence.log_odds
                if before is not None and min(grey.shape) >= 12:
                    odds = with_neighbour(odds, grey, before[1], before[0], dis_flow(grey, before[0], iterations=0))
                before = (grey, odds)
                waiting.append(pool.submit(self._outline, image, evidence, odds))
                while waiting and (waiting[0].done() or len(waiting) > 4):
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()

    def _outline(self, image: NDArray[np.uint8], evidence: Evidence, odds: Chroma) -> tuple[Mask, Mask]:
        assert self.tissue is not None
        mask = instrument_patches(evidence, odds, self.tissue, self.edge)
        if mask.any():
            mask = refine(image, grown_into(mask, odds), odds)
            mask = without_holes(mask) & self.view
        return mask, tip_halo(mask, self.edge) & self.view


def find_by_color(clip: "Clip", progress: Callable[[int, int], None] | None = None) -> Findings:
    """Instrument masks of every frame of `clip`; about 60 ms a frame of any size on one core.

    `progress(done, total)` is called after each frame. Nothing is found, and said so, when tissue is not red, when
    more than 45 % of the view would be hidden, or when the masked area jumps again and again.
    """
    off = "instruments are not searched for by colour"
    remedy = "they count as tissue unless masks are given or reconstruct --masks found or --masks sam2 is used"
    search = ColorSearch(clip)
    if search.tissue is None:
        return Findings(None, f"{off}: the frames are too dark or too bright; {remedy}.")
    if not search.tissue.are_red:
        reason = "the picture is grey or lit by a narrow band, where steel looks like tissue"
        return Findings(None, f"{off}: {reason}; {remedy}.")
    masks = InstrumentMasks([], [], clip.width, clip.height)
    counts = []
    for done, (mask, halo) in enumerate(search.masks(), 1):
        masks.append(mask, halo)
        counts.append((mask.sum(), halo.sum()))
        if progress is not None:
            progress(done, len(clip))
    pixels = np.array(counts, np.float64)
    shares = pixels[:, 0] / max(int(search.view.sum()), 1)
    doubt = unbelievable(shares)
    if doubt:
        return Findings(None, f"instruments found by colour are not used: {doubt}; {remedy}.")
    if not shares.any():
        return Findings(None, "no instruments were found by colour: everything is taken as tissue.")
    hidden = pixels.sum() / (len(clip) * search.view.size)
    note = (
        f"something like instruments was found by colour in {np.count_nonzero(shares)} of {len(clip)} frames; with the "
        f"margin around it, it hides {100 * hidden:.1f} % of the picture. Thin, dark and mirroring parts are often "
        "missed."
    )
    return Findings(masks, note)


def unbelievable(shares: NDArray[np.float64]) -> str:
    """Why masks that hide these shares (F,) of the view are not believed; empty when they are."""
    crowded = int(np.count_nonzero(shares > TOO_MUCH))
    if crowded > 0.1 * len(shares):
        return f"they would hide more than {100 * TOO_MUCH:.0f} % of the view in {crowded} of {len(shares)} frames"
    smaller, larger = np.minimum(shares[:-1], shares[1:]), np.maximum(shares[:-1], shares[1:])
    # An instrument may come or go quickly; flicker is what cannot be. Patches below 1 % are too small to judge by.
    jumps = int(np.count_nonzero((larger > 0.01) & (larger > JUMP * np.maximum(smaller, 1e-9))))
    if jumps > max(2, 0.1 * (len(shares) - 1)):
        return f"their area jumps more than threefold {jumps} times in {len(shares)} frames"
    return ""
