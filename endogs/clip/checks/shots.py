"""Whether a clip is one shot of moving tissue: cuts, black, still pictures and repeated frames, from the pixels.

Frames are compared as small grey pictures. Two of them show the same place when the middle of one is found somewhere in
the other, by normalized cross-correlation (Lewis, "Fast Normalized Cross-Correlation", 1995) after what is smooth has
been taken off and contrast is evened out: neither a change of light nor a moving camera keeps it from being found.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from endogs.clip.checks.alternation import alternation_note
from endogs.clip.checks.colour_switch import exchanged_note, find_switches, shares
from endogs.clip.clip import Clip

Thumbnail = NDArray[np.float32]

LONGEST = 64
"""Pixels of a thumbnail's longer side: some 100 pixels of 640 x 512 in each, whose noise averages to a tenth."""
DECODED, READ = 320, 80
"""Frames that are looked at where they are decoded already (some 1.5 ms for each of 640 x 512), and where they must be
read (some 10 ms). Of longer clips this many are, evenly spread, and where something begins is found by halving."""
IN_A_ROW = 25
"""Frames in a row of a longer clip in which repeated ones are looked for."""
SMOOTH = 3.0
"""Standard deviation in thumbnail pixels of what counts as shading: vignettes are alike in every clip."""
NOISE = 1.0
"""Grey levels of contrast in thumbnails below which texture is not evened out: that would be noise."""
MARGIN = 0.25
"""Share of the picture on each side within which its middle may have moved between two frames."""
STRANGE = 0.5
"""Correlation below which two frames show different places: by chance, over all shifts, unrelated ones reach 0.2 to
0.4; neighbouring frames of surgery lie between 0.78 and 1."""
KNOWN = 0.6
"""Correlation from which they show the same place."""
SUDDEN = 3.0
"""Times the neighbours' median change that a cut stands out."""
RETURNS_WITHIN = 1.0
"""Seconds within which a flash, a blink or a crossing instrument ends, and the place is seen again."""
FLAT = 2.0
"""Standard deviation in grey levels of a picture of one colour; the darkest tissue that can be fitted has ten."""
UNLIKE = 0.3
"""Difference of the shares of red, green and blue, summed, from the clip's own and from grey, of a colour that is
neither tissue nor light: pure green has 1.3."""
BLACK = 24.0
"""Mean grey level below which one colour is called black (16 is video black shown in full range)."""
SAME_MEAN, SAME_MOST = 0.25, 3.0
"""Mean and largest difference in grey levels of the thumbnails of two codings of one picture. Live pictures differ by
their noise, and where something pulses or a highlight shivers by far more at one place."""
FAR_LESS = 0.2
"""The difference of repeated frames over the median of the others': a calm scene is not frozen."""
FROZEN = 6
"""Frames in a row from which one picture counts as still."""
OFTEN = 0.15
"""Share of repeated frames from which they deserve a note: three to two and five to four rates have 0.33 and 0.2."""


STILL, FLAT_COLOUR, BLACK_FRAMES = "a still picture", "one flat colour", "black"


@dataclass(frozen=True)
class Fault:
    """A run of frames that cannot be learned from."""

    first: int
    """Index of its first frame."""
    last: int
    """Index of its last frame."""
    what: str
    """`BLACK_FRAMES`, `FLAT_COLOUR` or `STILL`."""


def shot_notes(clip: Clip) -> list[str]:
    """Sentences, with moments and options, about what makes `clip` more than one shot of moving tissue.

    Every frame of a short clip is looked at; of a longer one some, evenly spread (`DECODED`, `READ`).
    """
    if len(clip) < 3:
        return []
    looked = _Thumbnails(clip)
    step = math.ceil(len(clip) / (DECODED if clip.is_decoded(min(len(clip), DECODED)) else READ))
    indices = list(range(0, len(clip), step))
    if indices[-1] < len(clip) - 1:
        indices.append(len(clip) - 1)
    faults = find_faults([looked.at(i) for i in indices], [float(clip.times[i]) for i in indices], step)
    faults += _fillers(looked, indices, faults)
    faults = [_widened(looked, Fault(indices[f.first], indices[f.last], f.what), step) for f in faults]
    switches = find_switches(looked.colours, indices)
    notes = _fault_notes(clip, faults, find_cuts(looked, clip.times, indices), switches)
    middle = max(0, len(clip) // 2 - IN_A_ROW // 2)
    window = range(len(clip)) if step == 1 else range(middle, min(len(clip), middle + IN_A_ROW))
    moving = [i for i in window if not any(f.first <= i <= f.last for f in faults)]
    pictures = [looked.at(i) for i in moving]
    notes += exchanged_note([looked.colours(i) for i in indices])
    return notes + (alternation_note(pictures, clip.options.stride) or _repeat_notes(clip, pictures))


def _fillers(looked: "_Thumbnails", indices: list[int], known: list[Fault]) -> list[Fault]:
    """Runs of one flat colour that no light makes, such as the green of a decoder without data, by their places in
    `indices`; those inside `known` faults left out."""
    lit = [colour for i in indices if np.isfinite(colour := looked.colours(i)).all()]
    if not lit:
        return []
    usual = np.median(lit, 0)
    gray = np.full(3, 1 / 3)
    flags = []
    for place, i in enumerate(indices):
        colour = looked.colours(i)
        is_odd = min(float(np.abs(colour - other).sum()) for other in (usual, gray)) > UNLIKE
        flags.append(is_odd and _is_flat(looked.at(i)) and not any(f.first <= place <= f.last for f in known))
    return [Fault(first, last, FLAT_COLOUR) for first, last in _runs(flags)]


class _Thumbnails:
    """Small grey pictures of a clip's frames."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        scale = LONGEST / max(clip.width, clip.height)
        self.size = max(8, round(clip.width * scale)), max(8, round(clip.height * scale))
        self._made: dict[int, Thumbnail] = {}
        self._colours: dict[int, NDArray[np.float64]] = {}

    def at(self, index: int) -> Thumbnail:
        """float32 (h, w) of frame `index`, grey levels."""
        import cv2

        if index not in self._made:
            small = cv2.resize(self.clip.image(index), self.size, interpolation=cv2.INTER_AREA)
            self._made[index] = np.asarray(small, np.float32).mean(2)
            self._colours[index] = shares(np.asarray(small, np.uint8))
        return self._made[index]

    def colours(self, index: int) -> NDArray[np.float64]:
        """(3,) shares of red, green and blue in frame `index`."""
        self.at(index)
        return self._colours[index]


def likeness(here: Thumbnail, there: Thumbnail) -> float:
    """How surely two thumbnails (h, w) show the same place, up to 1; 0 when one of them shows nothing.

    Only what is not smooth counts, anywhere within `MARGIN` of the picture, and faint texture as much as a bright
    instrument. Two empty pictures of about the same grey are alike.
    """
    import cv2

    fine = [grey - cv2.GaussianBlur(grey, (0, 0), SMOOTH) for grey in (here, there)]
    empty = [float(grey.std()) < NOISE / 2 for grey in fine]
    if any(empty):
        return float(all(empty) and abs(float(here.mean() - there.mean())) < BLACK)
    even = [grey / (np.sqrt(cv2.GaussianBlur(grey * grey, (0, 0), SMOOTH)) + NOISE) for grey in fine]
    height, width = here.shape
    top, left = int(MARGIN * height), int(MARGIN * width)
    middle = np.ascontiguousarray(even[0][top : height - top, left : width - left], np.float32)
    if float(middle.std()) < 1e-3:
        return 0.0
    found = cv2.matchTemplate(np.asarray(even[1], np.float32), middle, cv2.TM_CCOEFF_NORMED)
    return float(found[np.isfinite(found)].max(initial=0.0))


def find_cuts(looked: _Thumbnails, times: NDArray[np.float64], indices: list[int]) -> list[int]:
    """Indices of the frames that another shot begins with; `indices` are the frames that are looked at first.

    A cut is a single step between frames that show different places while their neighbours show the same, and what was
    seen does not come back within a second. Fast motion is strange in more than one step, and a flash ends.
    """
    alike = [likeness(looked.at(a), looked.at(b)) for a, b in pairwise(indices)]
    cuts = []
    for step, value in enumerate(alike):
        around = [*alike[max(0, step - 4) : step], *alike[step + 1 : step + 5]]
        beside = alike[max(0, step - 1) : step] + alike[step + 1 : step + 2]
        if value >= STRANGE or len(around) < 2 or min(beside) < KNOWN:
            continue
        if 1 - value < SUDDEN * (1 - float(np.median(around))):
            continue
        first, second = _narrowed(looked, indices[step], indices[step + 1])
        if likeness(looked.at(first), looked.at(second)) < STRANGE and not _returns(looked, times, first, second):
            cuts.append(second)
    return cuts


def _narrowed(looked: _Thumbnails, first: int, second: int) -> tuple[int, int]:
    """The two neighbouring frames between `first` and `second` that differ, found by halving."""
    while second - first > 1:
        middle = (first + second) // 2
        to_first, to_second = (likeness(looked.at(i), looked.at(middle)) for i in (first, second))
        first, second = (middle, second) if to_first > to_second else (first, middle)
    return first, second


def _returns(looked: _Thumbnails, times: NDArray[np.float64], first: int, second: int) -> bool:
    """Whether one of the frames up to `first` is seen again within a second of it, or the other way round."""
    last = int(np.searchsorted(times, times[first] + RETURNS_WITHIN, "right")) - 1
    earliest = int(np.searchsorted(times, times[second] - RETURNS_WITHIN, "left"))
    later = sorted({round(i) for i in np.linspace(second, max(second, last), 9)})
    earlier = sorted({round(i) for i in np.linspace(min(first, earliest), first, 9)})
    return any(likeness(looked.at(first), looked.at(i)) > KNOWN for i in later) or any(
        likeness(looked.at(second), looked.at(i)) > KNOWN for i in earlier
    )


def _widened(looked: _Thumbnails, fault: Fault, step: int) -> Fault:
    """The fault with its true ends, which lie less than `step` frames outside of what was looked at."""
    first, last = fault.first, fault.last
    outside = max(-1, first - step)
    while first - outside > 1:
        middle = (first + outside) // 2
        first, outside = (middle, outside) if _is_part(looked, fault, middle) else (first, middle)
    outside = min(len(looked.clip), last + step)
    while outside - last > 1:
        middle = (last + outside) // 2
        last, outside = (middle, outside) if _is_part(looked, fault, middle) else (last, middle)
    return Fault(first, last, fault.what)


def _is_part(looked: _Thumbnails, fault: Fault, index: int) -> bool:
    """Whether frame `index`, near `fault`, shows what the fault's frames show."""
    if fault.what != STILL:
        return _is_flat(looked.at(index))
    return same_picture(looked.at(fault.first if index < fault.first else fault.last), looked.at(index))


def _is_flat(picture: Thumbnail) -> bool:
    return float(picture.std()) < FLAT


def same_picture(here: Thumbnail, there: Thumbnail) -> bool:
    """Whether two thumbnails (h, w) are of one picture, coded twice at most."""
    change = np.abs(here - there)
    return bool(change.mean() < SAME_MEAN and change.max() < SAME_MOST)


def find_faults(pictures: list[Thumbnail], times: list[float], step: int = 1) -> list[Fault]:
    """Runs of thumbnails (h, w) of one colour, or of one picture, by their indices in the list; thumbnails lie
    `step` frames apart.

    One colour counts from two frames on at either end and from `RETURNS_WITHIN` seconds on elsewhere, for light that
    blinks is no fault of the recording; one picture from `FROZEN` frames on.
    """
    flat = [_is_flat(picture) for picture in pictures]
    repeats = repeated(pictures)
    found: list[Fault] = []
    for first, last in _runs(flat):
        at_an_end = first == 0 or last == len(pictures) - 1
        if (at_an_end and last > first) or times[last] - times[first] >= RETURNS_WITHIN:
            dark = np.mean([picture.mean() for picture in pictures[first : last + 1]]) < BLACK
            found.append(Fault(first, last, BLACK_FRAMES if dark else FLAT_COLOUR))
    for first, last in _runs(repeats):
        first -= 1  # the frame that is repeated
        is_long = last - first >= 2 and (last - first) * step + 1 >= FROZEN
        if is_long and not any(flat[first : last + 1]):
            found.append(Fault(first, last, STILL))
    return sorted(found, key=lambda fault: fault.first)


def repeated(pictures: list[Thumbnail]) -> list[bool]:
    """Of each thumbnail (h, w), whether it shows the one before it again, while others change by far more."""
    pairs = list(pairwise(pictures))
    changes = np.array([np.abs(b - a).mean() for a, b in pairs])
    same = np.array([same_picture(a, b) for a, b in pairs], bool)
    usual = float(np.median(changes[~same])) if not same.all() else math.inf
    return [False, *(same & (changes < FAR_LESS * usual)).tolist()]


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    """(first, last) of each run of True."""
    edges = np.diff(np.concatenate([[0], np.array(flags, np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def _fault_notes(clip: Clip, faults: list[Fault], cuts: list[int], switches: list[int]) -> list[str]:
    """What is wrong and when, and the options that keep the longest part without it."""
    if faults and faults[0].first == 0 and faults[0].last == len(clip) - 1:
        if faults[0].what == STILL:
            return [f"all {len(clip)} frames show one still picture: nothing moves, so no motion can be learned."]
        return [f"all {len(clip)} frames are {faults[0].what}: nothing is seen, so there is nothing to learn."]
    cuts = [cut for cut in cuts if not any(fault.first <= cut <= fault.last + 1 for fault in faults)]
    switches = [
        switch
        for switch in switches
        if switch not in cuts and not any(fault.first <= switch <= fault.last + 1 for fault in faults)
    ]
    found = [
        *(
            (fault.first, f"{fault.what} from {_moment(clip, fault.first)} to {_moment(clip, fault.last)}")
            for fault in faults
        ),
        *((cut, f"a cut to another scene at {_moment(clip, cut)}") for cut in cuts),
        *((switch, f"a switch to other colours at {_moment(clip, switch)}") for switch in switches),
    ]
    if not found:
        return []
    named = [text for _, text in sorted(found)]
    listed = ", ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else "")
    if not cuts and not switches and all(fault.what == BLACK_FRAMES for fault in faults):
        return [f"the clip is not one shot of moving tissue: {listed}; reconstruct leaves black frames out."]
    usable = np.ones(len(clip), bool)
    for fault in faults:
        usable[fault.first : fault.last + 1] = False
    begins = {0, *cuts, *switches}
    parts: list[list[int]] = []
    for index in np.flatnonzero(usable).tolist():
        if not parts or index in begins or index != parts[-1][1] + 1:
            parts.append([index, index])
        parts[-1][1] = index
    if not parts:
        return [f"the clip is not one shot of moving tissue: {listed}."]
    first, last = max(parts, key=lambda part: part[1] - part[0])
    return [
        f"the clip is not one shot of moving tissue: {listed}; {_keeping(clip, first, last)} keeps the longest part "
        f"without that, {last - first + 1} of {len(clip)} frames."
    ]


def _moment(clip: Clip, index: int) -> str:
    return f"{clip.time_offset + clip.times[index]:.3f} s (frame {index})"


def _keeping(clip: Clip, first: int, last: int) -> str:
    """The options that keep frames `first` to `last`, to the millisecond on the safe side."""
    texts = []
    start, end = (clip.time_offset + float(clip.times[i]) for i in (first, last))
    if first > 0 or clip.options.start is not None:
        texts.append(f"--start {math.floor(start * 1000 + 1e-3) / 1000:.3f}")
    if last < len(clip) - 1 or clip.options.end is not None:
        texts.append(f"--end {math.ceil(end * 1000 - 1e-3) / 1000:.3f}")
    return " ".join(texts)


def _repeat_notes(clip: Clip, pictures: list[Thumbnail]) -> list[str]:
    """How many frames of those in a row repeat the one before, and the stride that leaves them out, if one does."""
    if len(pictures) < FROZEN:
        return []
    repeats = repeated(pictures)
    count = sum(repeats)
    if count < max(2, OFTEN * len(pictures)):
        return []
    longest = max(last - first + 2 for first, last in _runs(repeats))
    news = np.flatnonzero(~np.array(repeats))
    is_even = bool((np.diff(news)[1:-1] == longest).all()) and len(news) > 2
    remedy = (
        f"every picture comes {longest} times: --stride {longest * clip.options.stride} leaves the repeated ones out"
        if is_even
        else "no --stride leaves out exactly these; export the clip again at the rate that it was recorded at"
    )
    return [
        f"{count} of {len(pictures)} frames looked at show the frame before again, so time seems to stop: {remedy}."
    ]
