"""Which clip this is, by what it shows: not by its name, its place or the time of its files."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.mask_files import sampled
from endogs.clip.view.field_of_view import SAMPLES

if TYPE_CHECKING:
    from endogs.clip.clip import Clip

MOST_BYTES = 16 << 20
"""Pixels that are hashed, in bytes, in about 25 ms; of larger frames only some rows are."""
MICROSECONDS = 1e6


def clip_fingerprint(clip: "Clip") -> str:
    """32 hexadecimal digits of what a clip shows as it is read: its size, times and pixels (BLAKE2b, RFC 7693).

    The pixels are those of 16 frames spread evenly over the clip, first and last included, which opening it has
    decoded already to find its field of view. Masks, depth and cameras do not count: the same pictures with a
    better calibration are the same clip. Other options (a crop, a stride, another size) read another clip. Times count
    in whole microseconds. Raises InputError when a frame cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.array([len(clip), clip.height, clip.width], "<i8").tobytes())
    digest.update(np.rint(clip.times * MICROSECONDS).astype("<i8").tobytes())
    chosen = sampled(len(clip), SAMPLES)
    every = -(-len(chosen) * clip.width * clip.height * 3 // MOST_BYTES)
    for index in chosen:
        digest.update(np.ascontiguousarray(clip.image(index)[::every]).tobytes())
    return digest.hexdigest()


def given_fingerprint(clip: "Clip") -> str:
    """32 hexadecimal digits of what came with a clip's pictures: cameras, and masks and depth of those 16 frames."""
    arrays: list[NDArray[Any]] = [clip.K, clip.world_to_camera, clip.ignored]
    for index in sampled(len(clip), SAMPLES):
        depth = clip.inverse_depth(index) if clip.has_inverse_depth else clip.depth(index)
        arrays += [np.packbits(clip.tissue_mask(index))] if clip.masks_are_given else []
        arrays += [] if depth is None else [depth]
    return arrays_fingerprint(arrays)


def arrays_fingerprint(arrays: Iterable[NDArray[Any]]) -> str:
    """32 hexadecimal digits of the shapes and bytes of arrays, in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.array(array.shape, "<i8").tobytes())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
