"""Depth from parallax: a moving camera with known poses sees tissue from several places.

Optical flow to frames some way before and after says where each pixel went, and the poses what depth that means
(`triangulation.py`). Which frames: those at which the flow still holds and the parallax is already large, measured on a
few frames. What neighbouring frames find is brought together (`agreement.py`). Where parallax says nothing another
prior fills in, brought to the parallax around it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError
from endogs.geometry import invert_rigid
from endogs.priors.depth.agreement import FrameWord, agreed
from endogs.priors.depth.hole_filling import filled_holes, halved
from endogs.priors.depth.inside_out import correlation_where_known, inside_out_note
from endogs.priors.depth.moving_tissue import MARGIN, MovingTissue
from endogs.priors.depth.photometric import PhotometricDepth
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, DepthPrior, TissueMasks, to_depth
from endogs.priors.depth.residual_flow import PosedFrame, quick_flow, sharpened
from endogs.priors.depth.triangulation import InverseDepth, fused, triangulated
from endogs.priors.pull_push import filled
from endogs.priors.speculars import bright_mask
from endogs.priors.tissue import erode_tissue_mask

if TYPE_CHECKING:
    from endogs.clip import Clip

OFFSETS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""How many training frames away a frame is tried as the other view."""
NEIGHBOURS = (1, 2, 4, 8)
"""How many training frames away, before and after, frames are asked for what they found."""
FAR = (2, 4)
"""How many times as far as the nearest offset lie the frames that are warped by the depth found first."""
FIRST_WORD = 1.5
"""Factor on the deviation of the depth found first, beside that found after the warp: it is from the same pictures."""
KEPT_WORDS = 4 * NEIGHBOURS[-1]
"""Frames whose own findings are kept: those around the few that are worked on at once."""
LOOKED_AT = 6
"""Frames by which the offsets are chosen."""
STEP = 2
"""Every second pixel, in rows and columns, is triangulated: the flow is no finer."""
FIRST_STEP = 4
"""Every fourth pixel is enough for the depth by which far frames are warped."""
PRECISE = 0.05
"""Relative standard deviation of depth at which the confidence is a half."""
USEFUL = 0.2
"""Relative standard deviation up to which parallax says something."""
LEAST = 0.05
"""Part of the tissue that must have useful parallax in the frames looked at."""
APART = 0.25
"""A depth that differs from the median of its neighbours by more than this part is an outlier of the flow."""
FAINT = 0.02
"""Confidence up to which the other prior fills in: 0.15 takes out more specks, but lets the scale of single frames of a
real clip wander by 4.2 % instead of 2.2."""
ANCHORS = 12
"""Corners that a frame must show to be brought to their depth."""


class Remembered:
    """A function of a frame's number, called once for each as long as it is among the last `most` that were asked."""

    def __init__(self, made: Callable[[int], FrameWord], most: int) -> None:
        """`made` may be called on several threads at once, for different frames."""
        self._made, self._most = made, most
        self._kept: OrderedDict[int, Future[FrameWord]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, number: int) -> FrameWord:
        """Its value; whoever asks while another thread makes it waits for that."""
        with self._lock:
            kept = self._kept.get(number)
            mine = kept is None
            if kept is None:
                kept = self._kept[number] = Future()
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        if mine:
            try:
                kept.set_result(self._made(number))
            except BaseException as error:
                kept.set_exception(error)
        return kept.result()


class ParallaxDepth:
    """Depth in the poses' units by triangulating optical flow; another prior, brought to it, fills the rest."""

    def __init__(self, fill: DepthPrior, by_itself: bool = False, tissue: MovingTissue | None = None) -> None:
        """`fill` says what parallax does not; chosen `by_itself`, it serves alone where parallax is too little.

        `tissue` is what the tissue does as a whole, of training frames that may be more than this prior's.
        """
        self._fill, self._by_itself = fill, by_itself
        self._offsets: tuple[int, ...] = ()
        self._serves = True
        self._pairs: OrderedDict[tuple[int, int], InverseDepth] = OrderedDict()
        self._words = Remembered(self._found, KEPT_WORDS)
        self._sharper = Remembered(self._sharpened, KEPT_WORDS)
        self._far: tuple[int, ...] = ()
        self._lock = threading.Lock()
        self._poses: NDArray[np.float64] = np.zeros((0, 4, 4))
        self._tissue = tissue

    @property
    def kind(self) -> DepthKind:
        """`metric`, in the poses' units, unless the other prior serves alone."""
        return "metric" if self._serves else self._fill.kind

    @property
    def temporal(self) -> bool:
        """Parallax is already an agreement of several frames."""
        return not self._serves and self._fill.temporal

    def prepare(self, clip: "Clip", frames: list[int], masks: TissueMasks) -> list[str]:
        """Chooses how far away the other frames lie, by a few frames.

        Raises InputError for a camera that stands still, and where fewer than LEAST of the tissue has useful parallax:
        a camera that only turns, poses of another clip, or tissue that moves by itself. Chosen by itself, it says so
        and leaves depth to the other prior.
        """
        notes = list(self._fill.prepare(clip, frames, masks))
        if clip.static_camera:
            raise InputError(
                f"{clip.source}: --depth parallax needs a camera that moves and its poses; use --depth photometric"
            )
        self._clip, self._masks, self._frames = clip, masks, frames
        self._place = {frame: k for k, frame in enumerate(frames)}
        self._tissue = self._tissue or MovingTissue(clip, frames, masks)
        self._poses = self._tissue.poses()
        notes += self._tissue.notes()
        # At most half of the frames away, every frame has another.
        scores = {offset: self._score(offset) for offset in OFFSETS if offset <= len(frames) // 2}
        best = max(scores, key=lambda offset: scores[offset][0]) if scores else 1
        share, deviation, noise = scores[best][1:] if scores else (0.0, np.inf, np.inf)
        off = f"where the flow leaves the epipolar lines by {noise:.2g} pixels"
        found = (
            f"of the tissue {100 * share:.0f} % has parallax that fixes its depth to {100 * USEFUL:.0f} % or better, "
            f"at frames {best} apart, {off if np.isfinite(noise) else 'where no flow tells any depth'}"
        )
        if not scores:
            found = f"{len(frames)} training frame{'s' * (len(frames) != 1)} to compare"
        if share < LEAST:
            if not self._by_itself:
                raise InputError(
                    f"{clip.source}: too little parallax: {found}; more frames, right poses and a camera that does not "
                    "only turn have more, and --depth photometric needs none"
                )
            self._serves = False
            return [*notes, f"no depth from parallax, though the camera moves: {found}."]
        self._offsets = (best,)
        most = max(1, min(OFFSETS[-1], len(frames) // 2))
        self._far = tuple(sorted({min(times * best, most) for times in FAR}))
        doubt = inside_out_note(self._beside_brightness(best)) if isinstance(self._fill, PhotometricDepth) else None
        return [
            *notes,
            f"depth is triangulated from the camera's motion: {found}, {100 * deviation:.2g} % in the median.",
            *([] if doubt is None else [doubt]),
        ]

    def predict(self, frame: DepthInput) -> DepthPrediction:
        """Z-depth (H, W) in the poses' units, kind `metric`; 0 is unknown, such as a frame without any parallax."""
        if not self._serves:
            return self._fill.predict(frame)
        height, width = frame.tissue_mask.shape
        neighbours = [self._sharper(other) for other in self._at(frame.number, NEIGHBOURS)]
        inverse, relative = agreed(self._sharper(frame.number), neighbours)
        weight = np.where(inverse > 0, 1 / (1 + np.square(relative / PRECISE)), 0).astype(np.float32)
        weight[~erode_tissue_mask(frame.tissue_mask, MARGIN)[_sampled((height, width))]] = 0
        weight[bright_mask(frame.image)[_sampled((height, width))]] *= 0.1
        known = _enlarged(weight, (width, height))
        there = _enlarged(weight * inverse, (width, height))
        depth = np.divide(known, there, where=known > FAINT, out=np.zeros_like(known))
        small = isinstance(self._fill, PhotometricDepth)
        guess = self._fill.predict(halved(frame) if small else frame)
        return filled_holes(depth, np.where(depth > 0, known, np.float32(0)), guess, frame.tissue_mask)

    def about(self) -> dict[str, Any]:
        """JSON."""
        if not self._serves:
            return self._fill.about() | {"instead_of": "parallax"}
        poses = self._clip.world_to_camera[self._frames] if self._offsets else np.zeros(0)
        return {
            "prior": "parallax",
            "kind": self.kind,
            "offsets": list(self._offsets),
            "far": list(self._far),
            "poses": poses.round(9).tolist(),
            "common_motion": "" if self.tissue is None else " ".join(self.tissue.notes()),
            "filled_by": self._fill.about(),
        }

    @property
    def tissue(self) -> MovingTissue | None:
        """What the tissue does as a whole; None where the other prior serves alone."""
        return self._tissue if self._serves else None

    def _at(self, number: int, offsets: Sequence[int]) -> list[int]:
        """The training frames so many places before and after a frame."""
        k, last = self._place[number], len(self._frames) - 1
        return [self._frames[k + by] for offset in offsets for by in (-offset, offset) if 0 <= k + by <= last]

    def _found(self, number: int) -> FrameWord:
        """What a frame finds by its flow to others."""
        with self._lock:
            mask = self._masks(number)
        found = fused([self._pair(number, other) for other in self._at(number, self._offsets)])
        return self._anchored(number, self._word(number, mask, *found, FIRST_STEP))

    def _anchored(self, number: int, word: FrameWord) -> FrameWord:
        """Where tissue moves, with the median depth of the corners: over a few frames, an error of its motion is one of
        all depths, and corners were seen for longer."""
        assert self._tissue is not None
        pixels, depth = self._tissue.corners(number)
        column, row = (pixels.astype(np.intp) // word.step).T
        height, width = word.inverse.shape
        inverse = word.inverse[row.clip(0, height - 1), column.clip(0, width - 1)]
        ratio = 1 / (depth * np.where(inverse > 0, inverse, np.inf))
        ratio = ratio[ratio > 0]
        return word if len(ratio) < ANCHORS else replace(word, inverse=word.inverse * np.float32(np.median(ratio)))

    def _word(
        self,
        number: int,
        mask: NDArray[np.bool_],
        inverse: NDArray[np.float32],
        deviation: NDArray[np.float32],
        step: int,
    ) -> FrameWord:
        inverse, relative = _without_outliers(inverse, deviation)
        known = (inverse > 0) & erode_tissue_mask(mask, MARGIN)[_sampled(mask.shape, step)]
        inverse, relative = np.where(known, inverse, 0), np.where(known, relative, np.inf)
        camera = self._clip.K[number], self._poses[number]
        return FrameWord(inverse.astype(np.float32), relative.astype(np.float32), *camera, step)

    def _sharpened(self, number: int) -> FrameWord:
        """What it finds once far frames are warped into it by what all have found first."""
        inverse, relative = agreed(self._words(number), [self._words(n) for n in self._at(number, NEIGHBOURS)])
        frame = self._posed(number)
        height, width = frame.tissue.shape
        if not (inverse > 0).any():
            nothing = np.zeros((height, width), np.float32)[_sampled((height, width))]
            return FrameWord(nothing, np.full_like(nothing, np.inf), frame.K, frame.world_to_camera, STEP)
        rough = _enlarged(filled(inverse), (width, height))
        told = [_first_word(rough, inverse > 0, relative)]
        others = (self._posed(other) for other in self._at(number, self._far))
        told += [sharpened(frame, other, rough, STEP) for other in others]
        with self._lock:
            mask = self._masks(number)
        return self._word(number, mask, *fused(told), STEP)

    def _posed(self, number: int) -> PosedFrame:
        with self._lock:
            image, mask = self._clip.image(number), self._masks(number)
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        return PosedFrame(grey, erode_tissue_mask(mask, MARGIN), self._clip.K[number], self._poses[number])

    def _score(self, offset: int) -> tuple[float, float, float, float]:
        """How good frames so far apart are, their share of useful parallax, its deviation, and the flow's noise."""
        starts = np.linspace(0, len(self._frames) - 1 - offset, LOOKED_AT)
        found = []
        for k in sorted({round(start) for start in starts}):
            a, b = self._frames[k], self._frames[k + offset]
            pair = self._triangulated(a, b)
            tissue = self._masks(a)[_sampled(self._masks(a).shape, FIRST_STEP)]
            relative = np.where(pair.value > 0, pair.deviation / np.maximum(pair.value, 1e-12), np.inf)
            useful = relative[(relative < USEFUL) & tissue]
            deviation = float(np.median(useful)) if useful.size else np.inf
            found.append((useful.size / max(int(np.count_nonzero(tissue)), 1), deviation, pair.noise))
        shares, deviations, noises = np.array(found).T
        goodness = float(np.mean(shares / (deviations + PRECISE)))
        return goodness, float(np.mean(shares)), float(np.median(deviations)), float(np.median(noises))

    def _beside_brightness(self, offset: int) -> list[float | None]:
        """How the depths of a few frames, by frames so far apart, correlate with those of the other prior."""
        found = []
        for k in sorted({round(start) for start in np.linspace(0, len(self._frames) - 1 - offset, LOOKED_AT)}):
            a, mask = self._frames[k], self._masks(self._frames[k])
            pair = self._triangulated(a, self._frames[k + offset])
            sure = (pair.value > 0) & (pair.deviation < USEFUL * pair.value)
            depth = np.where(sure, 1 / np.maximum(pair.value, 1e-12), 0).astype(np.float32)
            guess = to_depth(self._fill.predict(halved(DepthInput.of(self._clip, a, mask))))
            beside = cv2.resize(guess, depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
            found.append(correlation_where_known(depth, np.asarray(beside, np.float32)))
        return found

    def _pair(self, a: int, b: int) -> InverseDepth:
        with self._lock:
            kept = self._pairs.pop((a, b), None)
        return self._triangulated(a, b) if kept is None else kept

    def _triangulated(self, a: int, b: int) -> InverseDepth:
        """What frames `a` and `b` say about `a`; what they say about `b` is kept until it is asked for."""
        one, other = self._posed(a), self._posed(b)
        there, back = quick_flow(one.grey, other.grey), quick_flow(other.grey, one.grey)
        a_to_b = other.world_to_camera @ invert_rigid(one.world_to_camera)
        tissue, K = (one.tissue, other.tissue), (one.K, other.K)
        found = (
            triangulated(there, back, tissue, K, a_to_b, FIRST_STEP),
            triangulated(back, there, tissue[::-1], K[::-1], invert_rigid(a_to_b), FIRST_STEP),
        )
        with self._lock:
            self._pairs[b, a] = found[1]
            while len(self._pairs) > 3 * OFFSETS[-1]:
                self._pairs.popitem(last=False)
        return found[0]


def _sampled(shape: tuple[int, ...], step: int = STEP) -> tuple[slice, slice]:
    height, width = shape
    return slice(step // 2, height, step), slice(step // 2, width, step)


def _first_word(rough: NDArray[np.float32], known: NDArray[np.bool_], relative: NDArray[np.float32]) -> InverseDepth:
    """The depth found first (H, W), at every STEP-th pixel, where it is known (h, w), beside what is found by it."""
    inverse = rough[_sampled(rough.shape)]
    size = inverse.shape[::-1]
    there = _enlarged(known.astype(np.float32), size) > 0.5
    spread = _enlarged(np.where(known, relative, 1).astype(np.float32), size)
    deviation = np.where(there, FIRST_WORD * spread * inverse, np.inf)
    return InverseDepth(np.where(there, inverse, 0), deviation.astype(np.float32), 0.0)


def _without_outliers(
    inverse: NDArray[np.float32], deviation: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inverse depth without what stands apart from its neighbours, and its relative standard deviation."""
    known = inverse > 0
    if not known.any():
        return inverse, np.full_like(inverse, np.inf)
    middle = float(np.median(inverse[known]))
    smooth = cv2.medianBlur(np.where(known, inverse, middle).astype(np.float32), 5)
    known &= np.abs(inverse - smooth) < APART * smooth
    relative = np.where(known, deviation / np.maximum(inverse, 1e-12), np.inf)
    return np.where(known, inverse, 0).astype(np.float32), relative.astype(np.float32)


def _enlarged(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A plane of sampled pixels at the frame's size (width, height)."""
    return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)
