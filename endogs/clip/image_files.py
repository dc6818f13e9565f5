"""Single image files: their natural order, their size, their pixels."""

import re
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts if part]


def list_images(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """Files of `folder` with one of the suffixes, in natural order, hidden ones left out."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=natural_key)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image, from the header of a PNG or JPEG, or by decoding; InputError if unreadable."""
    with path.open("rb") as file:
        header = file.read(24)
        if header[:8] == b"\x89PNG\r\n\x1a\n" and len(header) == 24:
            return struct.unpack(">II", header[16:24])
        size = _jpeg_size(file) if header[:2] == b"\xff\xd8" else None
    if size is not None:
        return size
    height, width = read_color(path).shape[:2]
    return width, height


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """(width, height) in the frame header of a JPEG (ITU-T T.81, B.2.2); None when there is none to be found."""
    file.seek(2)
    while True:
        marker = file.read(4)
        if len(marker) < 4 or marker[0] != 0xFF:
            return None
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):  # SOF, not DHT, JPG or DAC
            sides = file.read(5)
            return None if len(sides) < 5 else (int.from_bytes(sides[3:5], "big"), int.from_bytes(sides[1:3], "big"))
        file.seek(int.from_bytes(marker[2:4], "big") - 2, 1)


def check_sizes(paths: list[Path], width: int, height: int, reference: Path) -> None:
    """InputError naming the first of `paths` whose size is not (width, height), the size of `reference`."""
    for path in paths:
        size = image_size(path)
        if size != (width, height):
            raise InputError(
                f"{path}: this image is {size[0]} x {size[1]} but {reference} is {width} x {height}: "
                "all frames of a clip must have one size."
            )


def read_color(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB; rotation tags are not applied, so that masks and depth stay aligned."""
    import cv2

    image = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.ascontiguousarray(image[..., ::-1])


def read_gray(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W)."""
    import cv2

    return _decode(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


def read_raw(path: Path) -> NDArray[Any]:
    """(H, W) or (H, W, C) in the file's own type; .npy files too, and the depth channel of .exr files."""
    import cv2

    if path.suffix.lower() == ".exr":
        from endogs.clip.exr_files import read_exr

        return read_exr(path)
    if path.suffix.lower() == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: not a readable .npy array ({error}): write it again with numpy.save.") from error
    return _decode(path, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)


def _decode(path: Path, flags: int) -> NDArray[Any]:
    import cv2

    # imdecode, because imread cannot open non-ASCII paths on Windows and prints its own warnings.
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}): check the path and its permissions.") from error
    log: Any = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # what is wrong is said below, in a sentence
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    finally:
        log.setLogLevel(level)
    if image is None:
        raise InputError(f"{path}: not a readable image: remove it or write it again.")
    return np.asarray(image)
