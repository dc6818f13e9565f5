"""Which frames are fitted and which are held out."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

from endogs.errors import InputError

SplitName = Literal["standard", "gap", "novel-view", "all"]


@dataclass(frozen=True)
class Split:
    """Frame indices of a clip, divided into those that may be learned from and those that are judged."""

    name: SplitName
    """`standard`, `gap`, `novel-view` or `all`."""
    train: list[int]
    """Frames of the left view that may be learned from, ascending."""
    test: list[int]
    """Frames that are judged, ascending; the same as `train` for `all`, whose PSNR is a training PSNR."""
    test_view: Literal["left", "right"] = "left"
    """The view that is judged; `right` is never learned from."""

    @property
    def unseen(self) -> tuple[int, ...]:
        """Frames that are judged and not learned from, ascending."""
        return tuple(sorted(set(self.test) - set(self.train)))


def split_frames(count: int, name: SplitName = "standard") -> Split:
    """Divide `count` frames.

    - `standard`: test frames have (i - 1) % 8 == 0, as EndoNeRF and its successors do.
    - `gap`: test frames have 10 <= i % 20 < 15, five in a row, so that averaging neighbours does not help.
    - `novel-view`: every left frame is learned from, every right frame is judged.
    - `all`: every frame is learned from and judged.

    A clip of one frame has no test frame in `standard`. Raises InputError for an unknown name, for an empty clip, and
    for `gap` on a clip too short to have a gap.
    """
    if name not in get_args(SplitName):
        raise InputError(f"--split {name} is unknown: use one of {', '.join(get_args(SplitName))}.")
    if count < 1:
        raise InputError("a clip without frames cannot be split: read at least one frame.")
    frames = list(range(count))
    if name == "all":
        return Split(name, frames, list(frames))
    if name == "novel-view":
        return Split(name, frames, list(frames), "right")
    if name == "gap" and count <= 15:
        raise InputError(
            f"--split gap holds out frames 10 to 14 and needs a frame after them, but the clip has {count}: "
            "use --split standard or a longer clip."
        )
    is_test = (lambda i: (i - 1) % 8 == 0) if name == "standard" else (lambda i: 10 <= i % 20 < 15)
    return Split(name, [i for i in frames if not is_test(i)], [i for i in frames if is_test(i)])


def without(split: Split, frames: Collection[int]) -> Split:
    """The split without some frames, which are then neither learned from nor judged."""
    if not frames:
        return split
    left_out = set(frames)
    return replace(
        split,
        train=[i for i in split.train if i not in left_out],
        test=[i for i in split.test if i not in left_out],
    )
