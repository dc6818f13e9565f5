"""What a picture is by its pixels: a view of something, labels, or numbers such as depth."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.image_files import read_raw
from endogs.errors import InputError

Kind = Literal["pictures", "labels", "numbers", "unreadable"]

FEW_COLOURS = 64
"""Different colours that label files have at most; a view of anything has hundreds."""
FEW_GRAYS = 24
"""Different values of gray label files; a dark gray view may have no more than a hundred."""
FEW_SHADES = 6
"""Cells of 16 x 16 x 16 levels that hold nearly all of a label file that went through a JPEG."""
NEARLY_ALL = 0.97
COMPARED_SIDE = 160
"""Pixels per side at which two pictures are compared: two eyes' views differ by pixels there, copies do not."""
ALIKE = 3.0
"""Grey levels that copies of one picture differ by at most, on average."""
LONGEST_SIDE = 512
"""Pixels per side that are looked at, spread evenly."""


def picture_kind(path: Path) -> Kind:
    """What the picture at `path` holds: 16-bit or float gray is numbers, few colours are labels."""
    try:
        image = read_raw(path)
    except InputError:
        return "unreadable"
    return kind_of(image)


def is_label_picture(path: Path) -> bool:
    """Whether the picture at `path` is 8-bit gray with two to FEW_GRAYS values, as masks are and tissue never is."""
    try:
        image = read_raw(path)
    except InputError:
        return False
    return image.ndim == 2 and image.dtype == np.uint8 and 2 <= len(np.unique(image)) <= FEW_GRAYS


def kind_of(image: NDArray[Any]) -> Kind:
    """What an image (H, W) or (H, W, C) of any type holds."""
    if image.ndim == 2 and image.dtype != np.uint8:
        return "numbers"
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif image.dtype != np.uint8:
        return "pictures"
    rows, columns = (max(1, side // LONGEST_SIDE) for side in image.shape[:2])
    colours = image[::rows, ::columns].reshape(-1, 1 if image.ndim == 2 else image.shape[2])[:, :3].astype(np.int64)
    packed = colours @ (256 ** np.arange(colours.shape[1]))
    is_gray = bool((colours == colours[:, :1]).all())
    if len(np.unique(packed)) <= (FEW_GRAYS if is_gray else FEW_COLOURS):
        return "labels"
    cells = np.sort(np.unique((colours >> 4) @ (16 ** np.arange(colours.shape[1])), return_counts=True)[1])[::-1]
    return "labels" if cells[:FEW_SHADES].sum() >= NEARLY_ALL * cells.sum() else "pictures"


def look_alike(one: Path, other: Path) -> bool:
    """Whether two files show the same picture, at whatever size and compression."""
    import cv2

    grays = []
    for path in (one, other):
        try:
            image = read_raw(path)
        except InputError:
            return False
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
        if image.dtype != np.uint8:
            return False
        grays.append(image if image.ndim == 2 else cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY))
    height, width = (min(COMPARED_SIDE, *(gray.shape[axis] for gray in grays)) for axis in (0, 1))
    small = [cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) for gray in grays]
    return bool(np.abs(small[0] - small[1]).mean() < ALIKE)
