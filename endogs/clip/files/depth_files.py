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
FULL = 0.02
"""Values as near as this part of the range to both its ends, beside the ends themselves, were stretched to it."""


class DepthFiles:
    """Depth maps that are decoded when read, in the units of the file."""

    def __init__(self, paths: list[Path], size: tuple[int, int]) -> None:
        self.paths = paths
        self.size = size

    def read(self, index: int) -> NDArray[Any]:
        """(H, W) in the file's own type, 0 = unknown; InputError when it is not one plane of numbers of `size`."""
        path = self.paths[index]
        raw = read_raw(path)
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
        return raw


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

    `depth_is` is what --depth-is says that they hold: inverse depth may span all values.

    Raises InputError when no map holds any depth.
    """
    depths = DepthFiles(paths, size)
    empty, quantized, largest, saturated, whole_range = [], False, 0.0, [], 0
    looked_at = sampled(len(paths))
    for index in looked_at:
        raw = depths.read(index)
        known = raw[np.isfinite(raw) & (raw > 0)]
        quantized |= raw.dtype == np.uint8
        largest = max(largest, float(known.max(initial=0)))
        if np.issubdtype(raw.dtype, np.integer):
            top = np.iinfo(raw.dtype).max
            saturated.append(float((raw == top).mean()))
            between = raw[(raw > 0) & (raw < top)]
            ends = raw.min() == 0 and raw.max() == top and between.size > 0
            whole_range += int(ends and between.min() < FULL * top and between.max() > (1 - FULL) * top)
        if not known.size:
            empty.append(paths[index].name)
    if len(empty) == len(looked_at) and not any((depths.read(i) > 0).any() for i in range(len(paths))):
        raise InputError(f"{paths[0].parent}: depth is 0 everywhere: remove the folder or write the depth again.")
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
