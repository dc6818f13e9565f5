"""Instrument masks corrected by clicks: each click changes its frame, and is carried through the clip.

The masks are a fold over the clicks in their order, so that the same clicks on the same masks give the same result.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.click_outline import Look, added_patch, removed_patch
from endogs.priors.instruments.clicks import Click
from endogs.priors.instruments.masks import InstrumentMasks, Mask, enlarged, grown, unpacked
from endogs.priors.instruments.patch_following import Carriers, carried
from endogs.priors.instruments.tissue_colors import Chroma
from endogs.priors.motion.flow import Flow, consistency_mask, dis_flow

if TYPE_CHECKING:
    from endogs.clip import Clip
    from endogs.priors.instruments.sam2_clicks import Sam2Clicks

LONGEST = 512
"""Pixels of the longer side of the frames that clicks are outlined on."""
FLOW_LONGEST = 320
"""And of those between which flows are computed."""
MOST_FLOWS = 600
"""Pairs of flows that are kept, half a megabyte each."""
MOST_PICTURES = 200
"""Small frames that are kept."""
ATTACHED = 0.01
"""Widths of the frame between an instrument and what belongs to it."""
COVERED = 0.6
"""A connected part of a mask of which so much is removed goes whole."""

Instruments = Callable[[int], Mask]
Odds = Callable[[int], Chroma]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Edit:
    """A click, and what it changed."""

    click: Click
    patches: dict[int, NDArray[np.uint8]]
    """By frame, the patch (h, w) that it added or took away, as bits."""


class Corrections:
    """Masks of a clip that a user corrects. Not safe for several threads at once."""

    def __init__(
        self, clip: "Clip", start: Instruments, odds: Odds | None = None, sam2: "Sam2Clicks | None" = None
    ) -> None:
        """`start(i)` are the instruments (H, W) of frame i; `odds(i)` (h, w) the log odds of an instrument, any size.

        Without `odds` the pictures alone say what belongs together. With `sam2` the model says what an added thing is,
        and where it goes.
        """
        self.clip = clip
        self._start, self._odds, self._sam2 = start, odds, sam2
        self.size = _within(clip.width, clip.height, LONGEST)
        """(w, h) of the frames that clicks are outlined on."""
        self.edits: list[Edit] = []
        self._pictures: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._flows: OrderedDict[tuple[int, int], tuple[NDArray[np.float16], NDArray[np.uint8]]] = OrderedDict()
        view = (~clip.ignored).astype(np.uint8)
        self._view: Mask = cv2.resize(view, self.size, interpolation=cv2.INTER_NEAREST).view(bool)
        self._carriers = Carriers(self._picture, self._flow, len(clip))

    @property
    def clicks(self) -> list[Click]:
        """All clicks in their order."""
        return [edit.click for edit in self.edits]

    def instrument(self, index: int) -> Mask:
        """bool (H, W), True = instrument in frame `index`, after all clicks."""
        mask = self._start(index) & ~self.clip.ignored
        for edit in self.edits:
            if index in edit.patches:
                patch = self._enlarged(edit.patches[index])
                mask = (mask | patch) & ~self.clip.ignored if edit.click.adds else mask & ~patch
        return mask

    def masks(self) -> InstrumentMasks:
        """The masks of all frames, without halos: what a user has seen to is not left open."""
        found = InstrumentMasks([], [], self.clip.width, self.clip.height)
        for index in range(len(self.clip)):
            mask = self.instrument(index)
            found.append(mask, np.zeros_like(mask))
        return found

    def apply(self, click: Click, progress: Progress | None = None) -> Edit:
        """Changes the masks by one more click; `progress(done, total)` counts frames that were reached.

        The edit is empty where the click changes nothing: an instrument added on one, or removed beside any.
        """
        patches = self._asked(click) if self._sam2 is not None and not click.brush else None
        if patches is None:
            patches = self._carried(click, progress)
        edit = Edit(click, patches)
        self.edits.append(edit)
        return edit

    def _carried(self, click: Click, progress: Progress | None) -> dict[int, NDArray[np.uint8]]:
        """By frame, what a click changes, outlined on its frame and carried along the flow."""
        first = self._patch(click)
        patches = {click.frame: np.packbits(first)} if first.any() else {}
        stops = self._implausible(click, first)
        if first.any():
            for step in (1, -1):
                for index, patch in carried(self._carriers, click.frame, first, step, stops):
                    patches[index] = np.packbits(patch if click.adds else self._whole(index, patch))
                    if progress is not None:
                        progress(len(patches), len(self.clip))
        return patches

    def _asked(self, click: Click) -> dict[int, NDArray[np.uint8]] | None:
        """By frame, what a click changes as SAM 2 sees it; None for a click that says nothing to it.

        A click that removes is a second point of the things that were added on its frame and that it lies on: what the
        model gives up for it goes.
        """
        assert self._sam2 is not None
        if click.adds:
            return self._packed(self._sam2.follow(click, self._on(click.frame, adds=False)))
        against = [*self._on(click.frame, adds=False), click]
        mine = [edit for edit in self.edits if edit.click.adds and not edit.click.brush and self._holds(edit, click)]
        if not mine:
            return None
        gone: dict[int, NDArray[np.uint8]] = {}
        for edit in mine:
            rest = self._packed(self._sam2.follow(edit.click, against))
            for index, bits in edit.patches.items():
                given_up = bits & ~rest.get(index, np.zeros_like(bits))
                gone[index] = gone.get(index, np.zeros_like(bits)) | given_up
        return {index: bits for index, bits in gone.items() if bits.any()}

    def _on(self, frame: int, adds: bool) -> list[Click]:
        return [click for click in self.clicks if click.frame == frame and click.adds == adds and not click.brush]

    def _holds(self, edit: Edit, click: Click) -> bool:
        """Whether an edit of the same frame changed the pixel of a click."""
        if edit.click.frame != click.frame or click.frame not in edit.patches:
            return False
        width, height = self.size
        x, y = self._at(click)
        patch = unpacked(edit.patches[click.frame], (height, width))
        return bool(patch[min(int(y), height - 1), min(int(x), width - 1)])

    def _packed(self, masks: Sequence[Mask]) -> dict[int, NDArray[np.uint8]]:
        small = [
            cv2.resize(mask.view(np.uint8) * np.uint8(255), self.size, interpolation=cv2.INTER_AREA) > 127
            for mask in masks
        ]
        return {index: np.packbits(mask) for index, mask in enumerate(small) if mask.any()}

    def replay(self, clicks: Sequence[Click], progress: Progress | None = None) -> None:
        """Applies clicks in their order; `progress(done, total)` counts clicks."""
        for done, click in enumerate(clicks, 1):
            self.apply(click)
            if progress is not None:
                progress(done, len(clicks))

    def undo(self) -> Click | None:
        """Takes the last click back, and returns it; None when there is none."""
        return self.edits.pop().click if self.edits else None

    def clear(self, frame: int) -> int:
        """Takes all clicks on one frame back and applies the later ones of others anew; returns how many they were."""
        kept = [click for click in self.clicks if click.frame != frame]
        gone = len(self.edits) - len(kept)
        same = next((k for k, click in enumerate(self.clicks) if click.frame == frame), len(self.edits))
        del self.edits[same:]
        self.replay(kept[same:])
        return gone

    def _patch(self, click: Click) -> Mask:
        width, height = self.size
        x, y = self._at(click)
        mask, against = self._small(click.frame), self._against(click)
        if click.brush:
            disc = np.zeros((height, width), np.uint8)
            cv2.circle(disc, (int(x), int(y)), max(1, round(click.brush * self._pixels)), 1, -1)
            return disc.view(bool) & self._view & ~against & (~mask if click.adds else mask)
        look = Look(self._picture(click.frame), self._small_odds(click.frame))
        if click.adds:
            return added_patch(look, x, y, mask, self._view & ~against)
        return removed_patch(look, x, y, mask, against)

    def _at(self, click: Click) -> tuple[float, float]:
        """Column and row of a click in the small frame."""
        return click.x * self.size[0], click.y * self.size[1]

    @property
    def _pixels(self) -> int:
        """Small pixels in the width of a frame."""
        return self.size[0]

    def _against(self, click: Click) -> Mask:
        """Discs (h, w) around the clicks on the same frame that say the contrary."""
        discs = np.zeros(self.size[::-1], np.uint8)
        for other in self.clicks:
            if other.frame == click.frame and other.adds != click.adds:
                x, y = self._at(other)
                radius = max(2, round((other.brush or 1 / 150) * self._pixels))
                cv2.circle(discs, (int(x), int(y)), radius, 1, -1)
        return discs.view(bool)

    def _implausible(self, click: Click, first: Mask) -> Callable[[int, Mask], bool]:
        """Says of a frame and the patch (h, w) carried there from `first` that it must be wrong.

        So it is where a click says the contrary, and where a part of an instrument has come off it: then it was tissue
        beside the instrument, from which that has moved away.
        """
        reach = max(1, round(ATTACHED * self._pixels))
        is_part = click.adds and bool((self._small(click.frame) & grown(first, reach)).any())
        contrary: dict[int, list[tuple[float, float]]] = {}
        for other in self.clicks:
            if other.adds != click.adds:
                contrary.setdefault(other.frame, []).append(self._at(other))
        last_row, last_column = self.size[1] - 1, self.size[0] - 1

        def stops(index: int, patch: Mask) -> bool:
            said = any(patch[min(int(y), last_row), min(int(x), last_column)] for x, y in contrary.get(index, []))
            return said or (is_part and not (self._small(index) & grown(patch, reach)).any())

        return stops

    def _whole(self, index: int, patch: Mask) -> Mask:
        """A removed patch (h, w) with the connected parts of the frame's mask that it nearly covers."""
        count, labels = cv2.connectedComponents(self._small(index).view(np.uint8), connectivity=8)
        size = np.bincount(labels.ravel(), minlength=count)
        covered = np.bincount(labels[patch], minlength=count) > COVERED * size
        covered[0] = False
        return patch | covered[labels]

    def _small(self, index: int) -> Mask:
        mask = self.instrument(index).astype(np.uint8) * np.uint8(255)
        return cv2.resize(mask, self.size, interpolation=cv2.INTER_AREA) > 127

    def _enlarged(self, bits: NDArray[np.uint8]) -> Mask:
        return enlarged(unpacked(bits, self.size[::-1]), self.clip.width, self.clip.height)

    def _picture(self, index: int) -> NDArray[np.uint8]:
        if index not in self._pictures:
            self._pictures[index] = _resized(self.clip.image(index), self.size)
            while len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        return self._pictures[index]

    def _small_odds(self, index: int) -> Chroma:
        if self._odds is None:
            return np.zeros(self.size[::-1], np.float32)
        return np.asarray(cv2.resize(self._odds(index), self.size, interpolation=cv2.INTER_LINEAR), np.float32)

    def _flow(self, a: int, b: int) -> tuple[Flow, Mask]:
        if (a, b) not in self._flows:
            size = _within(*self.size, FLOW_LONGEST)
            small = [_resized(self._picture(i), size) for i in (a, b)]
            forth, back = (dis_flow(*pair, iterations=5) for pair in (small, small[::-1]))
            for pair, one, other in (((a, b), forth, back), ((b, a), back, forth)):
                self._flows[pair] = one.astype(np.float16), np.packbits(consistency_mask(one, other))
            while len(self._flows) > 2 * MOST_FLOWS:
                self._flows.popitem(last=False)
        kept, bits = self._flows[a, b]
        height, width = kept.shape[:2]
        returns = unpacked(bits, (height, width)).view(np.uint8)
        factor = np.array([self.size[0] / width, self.size[1] / height], np.float32)
        flow = cv2.resize(kept.astype(np.float32), self.size, interpolation=cv2.INTER_LINEAR) * factor
        return flow, cv2.resize(returns, self.size, interpolation=cv2.INTER_NEAREST).view(np.bool_)


def _within(width: int, height: int, longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[1::-1] == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
