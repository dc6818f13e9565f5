"""The pictures of a video as they are meant to be seen: colours, turn, shape of the pixels and fields."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.files.interlacing import CombSearch, from_upper_field
from endogs.clip.files.orientation import Turn, display_turn
from endogs.clip.files.transfer import REFERENCE_WHITE, TRANSFERS, to_srgb

UNSPECIFIED = 2
"""FFmpeg's and ITU-T H.273's code of a property that a file does not state."""
BT709 = 1
"""Code of the matrix of BT.709, the same for FFmpeg's frames and its scaler."""
KNOWN_MATRICES = (0, 1, 2, 4, 5, 6, 7, 9)
"""H.273's codes that FFmpeg's scaler converts: RGB, BT.709, none, FCC, BT.601 (twice), SMPTE 240M, BT.2020."""
HD_WIDTH, HD_HEIGHT = 1280, 576
"""From this width, or above this height, players take an unstated matrix for BT.709, below for BT.601."""
WIDEST = 4.0
"""Width over height of the oddest pixels: those of 352 x 576 shown at 16:9 have 2.9."""
TRANSPARENT = 128
"""Alpha below which a pixel counts as transparent."""


class FramePixels:
    """Turns the decoded frames of one video into uint8 RGB."""

    def __init__(self, first: Any, pixel_aspect: Fraction | None, square: bool) -> None:
        """`first` is the first `av.VideoFrame`, `pixel_aspect` the width of its pixels over their height, if stated.

        With `square` frames whose pixels are not square are widened or narrowed until they are.
        """
        self.notes: list[str] = []
        """Sentences a user should read."""
        self.stored_size = (first.width, first.height)
        """(width, height) of the frames in the file."""
        self.interlaced = False
        """Whether pictures are made of one field."""
        self.flagged = False
        """Whether a frame's flags say that it is interlaced."""
        self.combs = CombSearch()
        self._transfer = TRANSFERS.get(int(first.color_trc))
        self._primaries = int(first.color_primaries)
        self._matrix = self._source_matrix(first)
        self._turn = self._asked_turn(first)
        aspect = float(pixel_aspect) if pixel_aspect else 1.0
        width, height = self.stored_size
        if not 1 / WIDEST <= aspect <= WIDEST:
            self.notes.append(
                f"the video says that its pixels are {aspect:.4g} times as wide as high, as none are: taken for square."
            )
            aspect = 1.0
        self._width = max(1, round(width * aspect)) if square else width
        self.size = self._turn.size(self._width, height)
        """(width, height) of the pictures."""
        self.pixel_aspect = 1.0 if square else (1 / aspect if self._turn.transposes else aspect)
        """Width of the pictures' pixels over their height."""
        if self._width != width:
            self.notes.append(
                f"pixels are not square (width / height = {aspect:.4f}): frames of {width} x {height} are resampled to "
                f"{self._width} x {height}."
            )
        self._say_transparency(first)

    def rgb(self, frame: Any) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB of an `av.VideoFrame`."""
        if self._transfer is not None:
            image = to_srgb(self._converted(frame, "rgb48le"), self._transfer, self._primaries)
        else:
            image = np.asarray(self._converted(frame, "rgb24"), np.uint8)
        if self.interlaced:
            image = from_upper_field(image)
        if self._width != image.shape[1]:
            import cv2

            how = cv2.INTER_CUBIC if self._width > image.shape[1] else cv2.INTER_AREA
            image = np.asarray(cv2.resize(image, (self._width, image.shape[0]), interpolation=how), np.uint8)
        return self._turn.applied(image)

    def look(self, frame: Any) -> None:
        """Take notice of the next frame's flags and combs."""
        self.flagged |= bool(frame.interlaced_frame)
        self.combs.look(frame)

    def decide_fields(self) -> None:
        """After all frames were looked at: whether pictures are made of one field, and a note about it."""
        self.interlaced = self.combs.found
        seen = f"{self.combs.combed} of the {self.combs.looked} frames looked at"
        if self.interlaced:
            unsaid = "" if self.flagged else ", though its flags say otherwise"
            self.notes.append(
                f"the video is interlaced{unsaid}: {seen} show combs; the even rows of every frame are used, and odd "
                "ones interpolated between them."
            )
        elif self.flagged:
            self.notes.append(f"the video is flagged as interlaced, but {seen} show combs: frames are used whole.")

    def _converted(self, frame: Any, format: str) -> NDArray[Any]:
        if self._matrix is None:
            return np.asarray(frame.to_ndarray(format=format))
        return np.asarray(frame.to_ndarray(format=format, src_colorspace=self._matrix))

    def _source_matrix(self, first: Any) -> int | None:
        """The scaler's code of the matrix where frames do not say the right one themselves."""
        code = int(first.colorspace)
        if code not in KNOWN_MATRICES:
            self.notes.append(
                f"the video's colours are coded by a matrix that is not read (code {code} of ITU-T H.273): they are "
                "wrong; convert it to BT.709."
            )
        width, height = self.stored_size
        if code != UNSPECIFIED or first.format.is_rgb or len(first.format.components) < 3:
            return None
        if width < HD_WIDTH and height <= HD_HEIGHT:
            return None
        self.notes.append(
            f"the video does not say its colour matrix: taken for BT.709, as players do from {HD_WIDTH} columns on."
        )
        return BT709

    def _asked_turn(self, first: Any) -> Turn:
        turn = display_turn(first)
        if turn is None:
            self.notes.append(
                "the video asks to be turned by an angle that is no multiple of 90 degrees: it is read unturned."
            )
            return Turn()
        if not turn.is_none:
            width, height = self.stored_size
            self.notes.append(
                f"the video asks to be turned {turn.words}, and is: frames of {width} x {height} become "
                f"{turn.size(width, height)[0]} x {turn.size(width, height)[1]}."
            )
        return turn

    def _say_transparency(self, first: Any) -> None:
        if self._transfer is not None:
            self.notes.append(
                f"the video is HDR ({self._transfer}) and converted to sRGB by ITU-R BT.2100, with {REFERENCE_WHITE:g} "
                "cd/m2 (BT.2408) as white: what is brighter is white too."
            )
        if any(part.is_alpha for part in first.format.components):
            share = float((first.to_ndarray(format="rgba")[..., 3] < TRANSPARENT).mean())
            if share > 0:
                self.notes.append(
                    f"the video has transparent pixels ({100 * share:.1f} % of the first frame), which are used as if "
                    "they were opaque: masks or --ignore-mask leave them out."
                )
