"""Intrinsics that a picture's camera can have: those of another picture size or another unit are told.

Looked at on the calibrations that SCARED, StereoMIS, Hamlyn, C3VD, EndoMapper and NR-SLAM publish: their principal
points lie within 17 % of the size from the middle, their pixels are square, their views 45 to 90 degrees wide.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.focal_lengths import check_focal_lengths
from endogs.errors import InputError

OFF_MIDDLE = 0.3
"""Share of the width or height from the middle to the principal point from which it deserves a note."""
CORNER = 0.1
"""Share of the width and the height: a principal point nearer to a corner than both is not of this picture."""
SCALED = 0.15
"""How far both coordinates of the principal point, over half the size, may be from 1 when they say the same."""
SAME_SCALE = 0.1
"""Relative difference within which they say the same: then the calibration is of another picture size."""
OBLONG = 1.5
"""Ratio of the focal lengths from which pixels are oddly oblong; 16:9 squeezed to 5:4 is 1.42."""
HALVED = 0.1
"""Relative difference from 2 of the ratio of views that were squeezed to half to be packed."""
NARROW, WIDE = 12.0, 140.0
"""Degrees across the longer side that a lens of an endoscope does not have less or more of, without distortion."""


def check_cameras(K: NDArray[np.floating], width: int, height: int, source: Path | str) -> None:
    """Raises InputError, which names `source`, for intrinsics (..., 3, 3) that no picture of this size can have."""
    check_focal_lengths(K, width, height, source)
    centres = np.asarray(K, np.float64)[..., :2, 2].reshape(-1, 2)
    share = centres / (width, height)
    possible = ((share >= 0) & (share <= 1)).all(1) & (share.max(1) >= CORNER) & (share.min(1) <= 1 - CORNER)
    if possible.all():
        return
    cx, cy = centres[int(np.argmin(possible))]
    raise InputError(
        f"{source}: the principal point ({cx:.4g}, {cy:.4g}) lies outside the picture of {width} x {height}, or in its "
        "corner: "
        f"{_of_size(cx, cy, width, height)}; write fx, fy, cx and cy in pixels of these pictures."
    )


def camera_notes(
    K: NDArray[np.floating], width: int, height: int, may_be_squeezed: bool = False, may_be_wide: bool = False
) -> list[str]:
    """Sentences about intrinsics (3, 3) that are possible for a picture of this size and hardly anybody's.

    `may_be_squeezed`: the views were packed, so that one focal length may be half the other. `may_be_wide`: the width
    of the view was asked for.
    """
    fx, fy, cx, cy = (float(K[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    notes = []
    across, down = 2 * cx / width, 2 * cy / height
    is_scaled = min(abs(across - 1), abs(down - 1)) > SCALED and abs(across / down - 1) < SAME_SCALE
    if is_scaled or max(abs(across - 1), abs(down - 1)) > 2 * OFF_MIDDLE:
        notes.append(
            f"camera: the principal point ({cx:.1f}, {cy:.1f}) is far from the middle of the {width} x {height} "
            f"picture, ({width / 2:g}, {height / 2:g}): {_of_size(cx, cy, width, height)}; if so, "
            "lengths are wrong."
        )
    ratio = max(fx / fy, fy / fx)
    if ratio > OBLONG and not (may_be_squeezed and abs(ratio / 2 - 1) < HALVED):
        notes.append(
            f"camera: fx {fx:.1f} and fy {fy:.1f} differ {ratio:.2f} times, though pixels are nearly square: one of "
            "them is of another picture size, unless the picture was squeezed."
        )
    longer, focal = (width, fx) if width >= height else (height, fy)
    degrees = float(np.degrees(2 * np.arctan(longer / 2 / focal)))
    if degrees < NARROW or (degrees > WIDE and not may_be_wide):
        notes.append(
            f"camera: a focal length of {focal:.1f} pixels makes the view {degrees:.0f} degrees wide, and endoscopes "
            f"have 45 to 140: is it in pixels, and of pictures of {width} x {height}?"
        )
    return notes


def _of_size(cx: float, cy: float, width: int, height: int) -> str:
    """What pictures a principal point seems to be of."""
    across, down = 2 * cx / width, 2 * cy / height
    if min(across, down) <= 0:
        return "it is of another picture, or was moved by a crop"
    if abs(across / down - 1) < SAME_SCALE:
        scale = (across + down) / 2
        return f"the camera seems calibrated for pictures of about {scale * width:.0f} x {scale * height:.0f}"
    return f"it is the middle of pictures of {2 * cx:.0f} x {2 * cy:.0f}, or was moved by a crop"
