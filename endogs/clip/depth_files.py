"""Depth maps in files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.image_files import IMAGE_SUFFIXES, read_raw
from endogs.clip.mask_files import sampled
from endogs.errors import InputError

DEPTH_SUFFIXES = (*IMAGE_SUFFIXES, ".npy", ".exr")


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


def depth_files(paths: list[Path], size: tuple[int, int], notes: list[str]) -> tuple[DepthFiles, bool]:
    """The depth maps in `paths`, one per image of `size` (width, height), and whether they are 8-bit, with a note.

    Raises InputError when no map holds any depth.
    """
    depths = DepthFiles(paths, size)
    empty, quantized, largest = [], False, 0.0
    looked_at = sampled(len(paths))
    for index in looked_at:
        raw = depths.read(index)
        known = raw[np.isfinite(raw) & (raw > 0)]
        quantized |= raw.dtype == np.uint8
        largest = max(largest, float(known.max(initial=0)))
        if not known.size:
            empty.append(paths[index].name)
    if len(empty) == len(looked_at) and not any((depths.read(i) > 0).any() for i in range(len(paths))):
        raise InputError(f"{paths[0].parent}: depth is 0 everywhere: remove the folder or write the depth again.")
    if empty:
        notes.append(f"depth: {len(empty)} of the {len(looked_at)} maps looked at are empty ({empty[0]}).")
    if quantized:
        notes.append(
            f"depth: 8-bit files, quantized to steps of 1/{largest:.0f} of the largest depth; 16-bit depth is better."
        )
    return depths, quantized
