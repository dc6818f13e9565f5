"""Instruments found by their colour: nothing to download, nothing to click.

Tissue is red and most of the picture; instruments are grey, black, white, blue or gold and come in from the edge of the
view. The clip's own tissue colours set the scale, the clip's own first masks teach the instruments' colours, optical
flow carries what was known into the next frame, and GrabCut moves the outlines to the edges. A self-check switches it
all off where colour cannot tell (narrow-band light, grey pictures) or the result is not believable.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.components import edge_of_view, instrument_patches
from endogs.priors.instruments.evidence import ColorTable, Evidence, colors_speak, learn_color_table
from endogs.priors.instruments.findings import Findings, gathered
from endogs.priors.instruments.halo import tip_halo
from endogs.priors.instruments.masks import Mask
from endogs.priors.instruments.outlines import beside, outlined
from endogs.priors.instruments.propagation import with_neighbour
from endogs.priors.instruments.tissue_colors import Chroma, TissueColors, fit_tissue_colors
from endogs.priors.motion.flow import dis_flow

if TYPE_CHECKING:
    from endogs.clip import Clip

LONGEST = 320
"""Pixels of the longer side at which instruments are looked for."""
SAMPLES = 12
"""Frames from which colours are learned."""


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
        return beside(self._looked(), self._outline)

    def _looked(self) -> Iterator[tuple[NDArray[np.uint8], Evidence, Chroma]]:
        """Every frame, what its colours say, and what they and those of the frame before say together (h, w)."""
        assert self.tissue is not None
        before: tuple[NDArray[np.uint8], Chroma] | None = None
        for i in range(len(self._clip)):
            image = self.small(i)
            evidence = colors_speak(image, self.view, self.tissue, self.table)
            grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
            odds = evidence.log_odds
            if before is not None and min(grey.shape) >= 12:
                odds = with_neighbour(odds, grey, before[1], before[0], dis_flow(grey, before[0], iterations=0))
            before = (grey, odds)
            yield image, evidence, odds

    def _outline(self, looked: tuple[NDArray[np.uint8], Evidence, Chroma]) -> tuple[Mask, Mask]:
        assert self.tissue is not None
        image, evidence, odds = looked
        mask = outlined(image, instrument_patches(evidence, odds, self.tissue, self.edge), odds, self.view)
        return mask, tip_halo(mask, self.edge) & self.view


def find_by_color(clip: "Clip", progress: Callable[[int, int], None] | None = None) -> Findings:
    """Instrument masks of every frame of `clip`; about 50 ms a frame of any size on one core.

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
    found = gathered(search.masks(), (clip.width, clip.height), search.view, progress, len(clip))
    if found.doubt:
        return Findings(None, f"instruments found by colour are not used: {found.doubt}; {remedy}.")
    if found.nothing:
        return Findings(None, "no instruments were found by colour: everything is taken as tissue.")
    hidden = found.pixels.sum() / (len(clip) * search.view.size)
    shown = np.count_nonzero(found.pixels[:, 0])
    note = (
        f"something like instruments was found by colour in {shown} of {len(clip)} frames; with the margin around it, "
        f"it hides {100 * hidden:.1f} % of the picture. Thin, dark and mirroring parts are often missed."
    )
    return Findings(found.masks, note)
