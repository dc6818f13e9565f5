"""A DICOM file of several frames, as recorders of operating theatres and archives write them; needs pydicom."""

import math
import struct
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file, open_file, why
from endogs.clip.config import ClipOptions
from endogs.clip.files.chosen_frames import chosen_frames
from endogs.clip.files.frame_folders import DEFAULT_FPS
from endogs.clip.files.image_files import decode
from endogs.clip.files.image_headers import require_drawable
from endogs.clip.files.selection import Selection
from endogs.clip.files.value_range import as_rgb, to_eight_bits
from endogs.clip.layouts import video
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError
from endogs.plain_text import plain

KIND = "dicom"
LANDMARKS: tuple[str, ...] = ()
LONGEST = 2**33
"""Bytes of a file that is read whole: an hour of compressed video has about 4 GB."""
DEFLATED = "1.2.840.10008.1.2.1.99"
"""A whole data set in one deflated stream, which pydicom inflates without a bound (PS3.5, A.5)."""
VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
"""MPEG-2, MPEG-4 AVC/H.264 and HEVC/H.265 in one stream; the fragmentable ones end in a further .1 (PS3.6, A-1)."""
JPEG_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
"""JPEG baseline and extended, a file per frame."""


def unreadable() -> tuple[type[Exception], ...]:
    """What pydicom raises for damaged files and unknown codings; it makes values only when they are asked for."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        *(InvalidDicomError, BytesLengthException, AttributeError, EOFError, IndexError, KeyError, NotImplementedError),
        *(OSError, OverflowError, RecursionError, RuntimeError, TypeError, ValueError, struct.error),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, pydicom says nothing of values that the standard does not allow and pictures do not need."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom\.")
        yield


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` is no DICOM file, None when it is one: "DICM" stands after 128 bytes (PS3.10, 7.1)."""
    if not is_file(path):
        return "not a file"
    try:
        with path.open("rb") as file:
            return None if file.read(132)[128:] == b"DICM" else "no DICOM file"
    except OSError as error:
        return f"cannot be read ({why(error)})"


@quiet()
def read(path: Path, options: ClipOptions) -> Recording:
    """All frames at the times that the file states: Frame Time, its vector, or a frame rate; pose still.

    Videos inside (MPEG-2, H.264, HEVC) are decoded as video files are, frames as they are or in JPEG; other codings if
    pydicom has a plugin. Raises InputError without pydicom, for codings that are not read, and as videos do.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError(f"{path}: DICOM files are read with pydicom: pip install pydicom.") from error
    try:
        syntax = str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)
        if syntax == DEFLATED:
            raise InputError(f"{path}: deflated DICOM files are not read: save it without compression of the whole.")
        with open_file(path, LONGEST) as (file, _):
            data = pydicom.dcmread(file)
        count, bits = int(data.get("NumberOfFrames") or 1), int(data.get("BitsStored") or 8)
        width, height = int(data.get("Columns") or 0), int(data.get("Rows") or 0)
        pixels = data.get("PixelData")
    except unreadable() as error:
        raise InputError(f"{path}: not a readable DICOM file ({plain(error)}): copy it again.") from error
    if not pixels or not 1 <= count <= len(pixels):
        raise InputError(f"{path}: this DICOM file holds no pictures, or not as many as it says: give one that does.")
    if not 1 <= bits <= 16:
        raise InputError(f"{path}: its values have {bits} bits, not a picture's 1 to 16: export it as a video.")
    require_drawable(path, width, height)
    steps, notes = _steps(data, count, options.fps)
    if syntax.removesuffix(".1").startswith(VIDEO_SYNTAXES):
        return _read_video(path, pixels, steps, options)
    frames = DicomFrames(path, data, syntax, count, bits)
    seconds = np.concatenate([[0.0], np.cumsum(steps if steps is not None else np.full(count - 1, 1 / DEFAULT_FPS))])
    if steps is None:
        notes.append(f"the frame rate is unknown and taken as {DEFAULT_FPS:g} per second; --fps sets it.")
    kept = Selection(options).indices(seconds.tolist(), path)
    return chosen_frames(path, KIND, frames, seconds, kept, options, [*notes, *frames.notes])


def _read_video(path: Path, pixels: bytes, steps: NDArray[np.float64] | None, options: ClipOptions) -> Recording:
    """The one stream whose fragments `pixels` holds, through a temporary file that lives as long as its frames."""
    from pydicom.encaps import generate_frames

    folder = tempfile.TemporaryDirectory(prefix="endogs-dicom-")
    stream = Path(folder.name) / "stream"
    stream.write_bytes(b"".join(generate_frames(pixels, number_of_frames=1)))
    # An elementary stream has no timestamps of its own.
    rate = options.fps if steps is None or not len(steps) else 1 / float(np.median(steps))
    try:
        found = video.read(stream, replace(options, fps=options.fps or rate))
    except InputError as error:
        raise InputError(str(error).replace(str(stream), str(path))) from error
    return replace(found, source=path, kind=KIND, images=_KeptFile(found.images, folder))


class DicomFrames:
    """The frames of a DICOM file that is no video, decoded when read."""

    def __init__(self, path: Path, data: Any, syntax: str, count: int, bits: int) -> None:
        """`data` is pydicom's data set, `syntax` its transfer syntax; it has `count` frames and `bits` bits a value."""
        self.path, self._data, self._count = path, data, count
        self._is_jpeg = syntax in JPEG_SYNTAXES
        self._meaning = str(data.get("PhotometricInterpretation", ""))
        self.white = None if bits <= 8 else float(2**bits - 1)
        self.notes = [] if bits <= 8 else [f"the file's values have {bits} bits: {2**bits - 1} is white."]
        """Sentences a user should read."""
        if self._is_jpeg and self._meaning == "RGB":
            raise InputError(
                f"{path}: JPEG frames that are RGB and not YBR are not read: convert the file to YBR_FULL_422."
            )

    @quiet()
    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        image = self._jpeg(index) if self._is_jpeg else self._decoded(index)
        if self._meaning == "MONOCHROME1":  # small values are bright (PS3.3, C.7.6.3.1.2)
            image = 255 - image
        return image

    def _jpeg(self, index: int) -> NDArray[np.uint8]:
        import cv2
        from pydicom.encaps import get_frame

        try:
            file = get_frame(self._data.PixelData, index, number_of_frames=self._count)
        except unreadable() as error:
            raise InputError(
                f"{self.path}: frame {index} is not readable ({plain(error, 200)}): copy the file again."
            ) from error
        return as_rgb(decode(file, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, self.path))

    def _decoded(self, index: int) -> NDArray[np.uint8]:
        from pydicom.pixels import pixel_array

        try:
            image = pixel_array(self._data, index=index)
        except unreadable() as error:
            raise InputError(
                f"{self.path}: the coding of its frames is not read ({plain(error, 200)}): pip install "
                "pylibjpeg[all], or save it uncompressed."
            ) from error
        if image.dtype.kind not in "ui" or image.dtype.itemsize > 2:
            raise InputError(f"{self.path}: its values are {image.dtype}, not a picture's: export it as a video.")
        eight = to_eight_bits(image if image.dtype == np.uint8 else image.astype(np.uint16), self.white)
        return np.ascontiguousarray(as_rgb(eight)[..., ::-1] if eight.ndim == 3 else as_rgb(eight))


class _KeptFile:
    """Frames of a temporary file, which goes when they do."""

    def __init__(self, frames: FrameReader, folder: Any) -> None:
        self.frames, self.folder = frames, folder

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        return self.frames.read(index)


def _steps(data: Any, count: int, fps: float | None) -> tuple[NDArray[np.float64] | None, list[str]]:
    """Seconds from each frame to the next (count - 1,), None where nothing says them (PS3.3, C.7.6.5), and notes."""
    if fps is not None:
        return np.full(count - 1, 1 / fps), []
    try:
        vector = [float(milliseconds) for milliseconds in data.get("FrameTimeVector") or ()]
        frame_time = float(data.get("FrameTime") or 0)
        rate = float(data.get("RecommendedDisplayFrameRate") or data.get("CineRate") or 0)
    except unreadable():
        return None, ["the file's frame times are no numbers."]
    if not all(math.isfinite(number) for number in (*vector, frame_time, rate)):
        return None, ["the file's frame times are no numbers."]
    if len(vector) == count and min(vector[1:], default=1.0) > 0:  # the first entry is always 0
        return np.array(vector[1:]) / 1000, []
    if frame_time > 0:
        return np.full(count - 1, frame_time / 1000), []
    return (np.full(count - 1, 1 / rate), []) if rate > 0 else (None, [])
