"""Depth maps in files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import IMAGE_SUFFIXES, read_raw
from endogs.clip.files.mask_files import sampled
from endogs.clip.recording import FrameReader
from endogs.errors import InputError

DEPTH_SUFFIXES = (*IMAGE_SUFFIXES, ".npy", ".exr")
SATURATED = 1e-3
"""Part of the pixels at an integer type's largest value from which on it is worth a note that they are unknown."""
FAR_BEYOND = 2.0
"""Times all other depths: a value so far beyond them that many pixels share stands for what is unknown."""
FULL = 0.02
"""Values as near as this part of the range to both its ends, beside the ends themselves, were stretched to it."""


class DepthFiles:
    """Depth maps that are decoded when read, in the units of the file."""

    def __init__(self, paths: list[Path], size: tuple[int, int]) -> None:
        self.paths = paths
        self.size = size
        self.unknown: float | None = None
        """A value that means unknown, besides 0."""

    def read(self, index: int) -> NDArray[Any]:
        """(H, W) in the file's own type, 0 = unknown; InputError when it is not one plane of numbers of `size`."""
        path = self.paths[index]
        raw = read_raw(path)
        if raw.ndim > 2 and 1 in raw.shape:  # (1, H, W) and (H, W, 1), as networks write one plane
            raw = raw.reshape([side for side in raw.shape if side != 1])
        if raw.ndim == 3:
            if any((raw[..., 0] != raw[..., channel]).any() for channel in range(1, min(3, raw.shape[2]))):
                raise InputError(f"{path}: a picture of depth in colours, not depth: give depth as 16-bit gray PNG.")
            raw = raw[..., 0]
        if raw.ndim != 2 or not np.issubdtype(raw.dtype, np.number):
            raise InputError(f"{path}: holds {raw.dtype} of shape {raw.shape}, not depth of shape (height, width).")
        if raw.shape != self.size[::-1]:
            raise InputError(
                f"{path}: depth is {raw.shape[1]} x {raw.shape[0]} but its image is {self.size[0]} x {self.size[1]}: "
                "resample it to the size of the image."
            )
        return raw if self.unknown is None else np.where(raw == self.unknown, raw.dtype.type(0), raw)


class _Beyond:
    """Looks for a largest value of all maps that stands apart."""

    def __init__(self) -> None:
        self.top = 0.0
        self.next = 0.0
        """The largest value below `top`."""
        self.count = 0
        self.pixels = 0

    def add(self, raw: NDArray[Any], known: NDArray[Any]) -> None:
        """Count a map (H, W), of which the values `known` are depths."""
        self.pixels += raw.size
        top = float(known.max(initial=0))
        if top > self.top:
            self.next, self.top, self.count = self.top, top, 0
        self.count += int((known == self.top).sum())
        self.next = max(self.next, float(known[known < self.top].max(initial=0)))

    @property
    def share(self) -> float:
        """Of the pixels, those with the largest value."""
        return self.count / max(1, self.pixels)

    def value(self) -> float | None:
        """The largest value where it means unknown, else None; a type's own largest always does."""
        return self.top if self.share > SATURATED and self.top > FAR_BEYOND * self.next > 0 else None


class SaturatedDepths:
    """Depth maps whose largest value means "this or more", which is no depth."""

    def __init__(self, depths: FrameReader, limit: float) -> None:
        """`limit` is that value, in the files' own units."""
        self.depths, self.limit = depths, limit

    def read(self, index: int) -> NDArray[Any]:
        """(H, W) in the files' type, 0 = unknown."""
        raw = self.depths.read(index)
        return np.where(raw < self.limit, raw, np.zeros((), raw.dtype))


def depth_files(
    paths: list[Path], size: tuple[int, int], notes: list[str], depth_is: str = "depth"
) -> tuple[DepthFiles, bool]:
    """The depth maps in `paths`, one per image of `size` (width, height), and whether they are 8-bit, with a note.

    `depth_is` is what --depth-is says that they hold: inverse depth may span all values. A value far beyond all others
    that many pixels share, such as the 10000 or 1e10 of renderers and sensors, becomes unknown, with a note.

    Raises InputError when no map holds any depth.
    """
    depths = DepthFiles(paths, size)
    empty, quantized, largest, saturated, whole_range = [], False, 0.0, [], 0
    beyond = _Beyond()
    lowest, is_flat = 0.0, True
    looked_at = sampled(len(paths))
    for index in looked_at:
        raw = depths.read(index)
        known = raw[np.isfinite(raw) & (raw > 0)]
        quantized |= raw.dtype == np.uint8
        largest = max(largest, float(known.max(initial=0)))
        if is_integer := bool(np.issubdtype(raw.dtype, np.integer)):
            top = np.iinfo(raw.dtype).max
            saturated.append(float((raw == top).mean()))
            between = raw[(raw > 0) & (raw < top)]
            ends = raw.min() == 0 and raw.max() == top and between.size > 0
            whole_range += int(ends and between.min() < FULL * top and between.max() > (1 - FULL) * top)
        beyond.add(raw, known[known < np.iinfo(raw.dtype).max] if is_integer else known)
        lowest = min(lowest, float(np.nanmin(raw)) if np.isfinite(raw).any() else 0.0)
        is_flat &= bool(known.size) and known.min() == known.max()
        if not known.size:
            empty.append(paths[index].name)
    if len(empty) == len(looked_at) and not any((depths.read(i) > 0).any() for i in range(len(paths))):
        if lowest < 0:
            raise InputError(
                f"{paths[0].parent}: depth is nowhere above 0, and as low as {lowest:.4g}: write it as distances in "
                "front of the camera, without the minus, or remove the folder."
            )
        raise InputError(f"{paths[0].parent}: depth is 0 everywhere: remove the folder or write the depth again.")
    if is_flat:
        notes.append("depth: every map looked at holds one value only, as if the tissue were a flat wall: is it depth?")
    if depth_is == "depth" and (value := beyond.value()) is not None:
        depths.unknown = value
        notes.append(
            f"depth: {value:.6g}, far beyond all other values (the largest is {beyond.next:.6g}), is taken for unknown "
            f"({100 * beyond.share:.1f} % of the pixels looked at)."
        )
    if empty:
        notes.append(f"depth: {len(empty)} of the {len(looked_at)} maps looked at are empty ({empty[0]}).")
    if len(looked_at) > 1 and whole_range == len(looked_at) and depth_is == "depth":
        notes.append(
            f"depth: every map looked at spans the whole range from 0 to {largest:.0f}, as the output of networks does "
            "that is stretched frame by frame: then it is no depth in one unit; if near is bright in it, say "
            "--depth-is inverse, otherwise reconstruct --depth photometric may serve better."
        )
    elif saturated and max(saturated) > SATURATED:
        notes.append(
            f"depth: {int(largest)}, the largest value that the files can hold, is taken for unknown "
            f"({100 * float(np.mean(saturated)):.1f} % of the pixels looked at)."
        )
    if quantized:
        notes.append(
            f"depth: 8-bit files, quantized to steps of 1/{largest:.0f} of the largest depth; 16-bit depth is better."
        )
    return depths, quantized
