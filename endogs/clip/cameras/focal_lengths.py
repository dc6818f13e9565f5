"""Focal lengths that a camera can have: what a file says in other units than pixels, or damaged, is no camera."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

SHORTEST, LONGEST = 0.05, 11.45
"""Focal lengths in longer sides of the image: 169 and 5 degrees across."""
MOST_OBLONG = 100.0
"""Largest ratio of the two focal lengths: pixels are nearly square."""


def set_focal_length(K: NDArray[np.float64], focal: float | None) -> None:
    """Give intrinsics (..., 3, 3), in place, the focal length that was asked for, if any; pixels keep their shape."""
    if focal is not None:
        K[..., 1, 1] *= focal / K[..., 0, 0]
        K[..., 0, 0] = focal


def check_focal_lengths(K: NDArray[np.floating], width: int, height: int, source: Path | str) -> None:
    """Raises InputError, which names the source, for intrinsics (..., 3, 3) in pixels that no camera has."""
    focals = np.asarray(K, np.float64)[..., [0, 1], [0, 1]].reshape(-1, 2)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = focals / max(width, height)
        oblong = np.maximum(focals[:, 0] / focals[:, 1], focals[:, 1] / focals[:, 0])
        possible = ((share >= SHORTEST) & (share <= LONGEST)).all(1) & (oblong <= MOST_OBLONG)
    if possible.all():
        return
    fx, fy = focals[int(np.argmin(possible))]
    if min(fx, fy) <= 0:
        raise InputError(f"{source}: a focal length is {min(fx, fy):g} but must be positive: correct it.")
    raise InputError(
        f"{source}: focal lengths of {fx:g} and {fy:g} pixels are no camera's with images of {width} x {height}: give "
        "them in pixels of these images."
    )
