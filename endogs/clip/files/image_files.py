"""Single image files: their natural order, their size, their pixels."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import read_npy
from endogs.bounded_files import is_file, listed, read_bytes, say_read, why
from endogs.clip.files.decoder_words import decoder_words
from endogs.clip.files.image_headers import require_drawable, size_in_header
from endogs.clip.files.picture_damage import damage, reason
from endogs.errors import InputError
from endogs.plain_text import plain

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LFS_POINTER = b"version https://git-lfs"
"""What a file begins with that stands for one in Git's large file storage."""
LONGEST_IMAGE = 512 * 2**20
"""Bytes of an image file: 16384 x 16384 pixels of 16 bits, not compressed."""


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts if part]


def list_images(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """Files of `folder` with one of the suffixes, in natural order, hidden ones left out."""
    if not folder.is_dir():
        return []
    found = (path for path in listed(folder) if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted((path for path in found if is_file(path)), key=natural_key)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image from its header. Raises InputError if unreadable, or too large to be decoded."""
    try:
        with path.open("rb") as file:
            size = size_in_header(file)
        say_read(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({why(error)}): check the path and its permissions.") from error
    if size is None:
        raise _unreadable(path)
    require_drawable(path, *size)
    return size


def check_sizes(
    paths: list[Path],
    width: int,
    height: int,
    reference: Path,
    advice: str = "all frames of a clip must have one size",
) -> None:
    """InputError naming the first of `paths` whose size is not (width, height), the size of `reference`."""
    for path in paths:
        size = image_size(path)
        if size != (width, height):
            raise InputError(
                f"{path}: this image is {size[0]} x {size[1]} but {reference} is {width} x {height}: {advice}."
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
        from endogs.clip.files.exr_files import read_exr

        return read_exr(path)
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    return _decode(path, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)


def _decode(path: Path, flags: int) -> NDArray[Any]:
    # imdecode, because imread cannot open non-ASCII paths on Windows and prints its own warnings.
    return decode(read_bytes(path, LONGEST_IMAGE), flags, path)


def decode(data: bytes, flags: int, path: Path) -> NDArray[Any]:
    """The picture (H, W) or (H, W, C), BGR, that OpenCV makes of an image file's bytes, with its IMREAD_ `flags`.

    Raises InputError naming `path` for what is no image, one too large to be decoded, and one whose decoder says that
    it is damaged.
    """
    import cv2

    size = size_in_header(io.BytesIO(data))
    if size is None:
        raise _unreadable(path)
    require_drawable(path, *size)
    try:
        with decoder_words() as words:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:  # what a header asks for and OpenCV will not do, or a lack of memory
        raise InputError(f"{path}: OpenCV cannot decode this image ({error.err}): write it again.") from error
    if image is None:
        raise _unreadable(path, words.lines)
    harm = damage(words.lines, data)
    if harm:
        raise InputError(f"{path}: the picture is damaged ({plain(harm, 120)}): copy it again, or leave it out.")
    return np.asarray(image)


def _unreadable(path: Path, words: Sequence[str] = ()) -> InputError:
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except OSError:
        head = b"?"
    if head == LFS_POINTER:
        return InputError(f"{path}: stands for a picture that Git LFS has not fetched: run git lfs pull.")
    if not head:
        return InputError(f"{path}: is empty: copy it again, and let a cloud folder fetch its files first.")
    return InputError(
        f"{path}: not a readable image{plain(reason(words))}: copy it again if it is cut short, or write it again as "
        "PNG, JPEG, BMP, TIFF or WebP."
    )
