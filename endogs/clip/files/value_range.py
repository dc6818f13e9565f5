"""Pictures with more than eight bits as the eight bits that everything works on."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

BITS = (8, 10, 12, 14)
"""Depths of cameras whose values are stored in 16 bits without being stretched."""


def is_deep(path: Path) -> bool:
    """Whether an image file may have more than 8 bits per value: PNG says so in its header, and TIFF may."""
    if path.suffix.lower() == ".png":
        with path.open("rb") as file:
            header = file.read(25)
        return header[:8] == b"\x89PNG\r\n\x1a\n" and header[24:25] == b"\x10"
    return path.suffix.lower() in (".tif", ".tiff")


def white_value(samples: list[NDArray[Any]], source: object, notes: list[str]) -> float | None:
    """The value that is white in pictures like `samples`; None where their type says it: 8 bits, or all of 16.

    Values that stay below 2^8, 10, 12 or 14 in 16 bits are a camera's of that depth, with a note; floats up to 1 are
    read as 0 to 1, up to 255 as 8 bits. Raises InputError for other numbers.
    """
    deep = [image for image in samples if image.dtype != np.uint8]
    if not deep:
        return None
    largest = max(float(image[..., :3].max() if image.ndim == 3 else image.max()) for image in deep)
    smallest = min(float(image.min()) for image in deep)
    if any(image.dtype.kind == "f" for image in deep):
        if not np.isfinite([smallest, largest]).all() or smallest < 0 or largest > 255:
            raise InputError(
                f"{source}: pictures of floating-point values from {smallest:g} to {largest:g}, and what is white is "
                "unknown: save them with 8 or 16 bits."
            )
        white = 1.0 if largest <= 1 else 255.0
        notes.append(f"the pictures hold floating-point values up to {largest:.4g}: {white:g} is taken for white.")
        return white
    if any(image.dtype != np.uint16 for image in deep):
        raise InputError(f"{source}: pictures of type {deep[0].dtype}: save them with 8 or 16 bits.")
    bits = next((bits for bits in BITS if largest < 2**bits), 16)
    if bits == 16 or largest == 0:
        return None
    notes.append(
        f"the pictures have 16 bits, but values up to {largest:.0f} only: taken for {bits} bits, so that "
        f"{2**bits - 1} is white."
    )
    return float(2**bits - 1)


def to_eight_bits(image: NDArray[Any], white: float | None) -> NDArray[np.uint8]:
    """uint8 image of the same shape, whose 255 is `white`, or all of the type's range; larger values are white."""
    if image.dtype == np.uint8:
        return image
    if white is None:
        return (image >> 8).astype(np.uint8)
    return np.clip(image.astype(np.float32) * (255 / white) + 0.5, 0, 255).astype(np.uint8)


def as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB of OpenCV's gray (H, W), BGR or BGRA."""
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., 2::-1])
