"""Cropping and shrinking of frames, with the intrinsics that stay true to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.errors import InputError


@dataclass(frozen=True)
class Framing:
    """A crop rectangle of the original and the size that it is shrunk to."""

    x0: int
    """First column kept."""
    y0: int
    """First row kept."""
    x1: int
    """Column after the last one kept."""
    y1: int
    """Row after the last one kept."""
    width: int
    """Width after shrinking, pixels."""
    height: int
    """Height after shrinking, pixels."""

    @staticmethod
    def of(width: int, height: int, options: ClipOptions) -> "Framing":
        """The framing of frames (height, width) by `options.crop` and `options.max_size`, or InputError."""
        x0, y0, x1, y1 = options.crop or (0, 0, width, height)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(
                f"--crop {x0} {y0} {x1} {y1} does not fit in frames of {width} x {height}: give X0 Y0 X1 Y1 with "
                f"0 <= X0 < X1 <= {width} and 0 <= Y0 < Y1 <= {height}."
            )
        longer = max(x1 - x0, y1 - y0)
        factor = 1.0 if options.max_size is None else min(1.0, options.max_size / longer)
        return Framing(x0, y0, x1, y1, max(1, round((x1 - x0) * factor)), max(1, round((y1 - y0) * factor)))

    @property
    def is_identity_size(self) -> bool:
        """True when frames are cropped at most, never resampled."""
        return (self.width, self.height) == (self.x1 - self.x0, self.y1 - self.y0)

    def original_box(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """X0, Y0, X1, Y1 in pixels of the original of a box given in parts of the frame's width and height."""
        width, height = self.x1 - self.x0, self.y1 - self.y0
        return (
            self.x0 + round(box[0] * width),
            self.y0 + round(box[1] * height),
            self.x0 + round(box[2] * width),
            self.y0 + round(box[3] * height),
        )

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop and area-average an image (H, W, 3) into (height, width, 3), contiguous."""
        cropped = image[self.y0 : self.y1, self.x0 : self.x1]
        if self.is_identity_size:
            return np.ascontiguousarray(cropped)
        import cv2

        resized = cv2.resize(np.ascontiguousarray(cropped), (self.width, self.height), interpolation=cv2.INTER_AREA)
        return np.asarray(resized, np.uint8)

    def labels(self, values: NDArray[Any]) -> NDArray[Any]:
        """Crop and pick nearest values of a map (H, W), for masks and depth, whose values must not be mixed.

        The nearest source pixel is the one that contains the centre of the target pixel, at (i + 0.5) * factor.
        """
        cropped = values[self.y0 : self.y1, self.x0 : self.x1]
        if self.is_identity_size:
            return np.ascontiguousarray(cropped)
        rows = ((np.arange(self.height) + 0.5) * (cropped.shape[0] / self.height)).astype(int)
        columns = ((np.arange(self.width) + 0.5) * (cropped.shape[1] / self.width)).astype(int)
        return np.ascontiguousarray(cropped[rows][:, columns])

    def intrinsics(self, K: NDArray[np.float64]) -> NDArray[np.float64]:
        """Intrinsics (..., 3, 3) after the crop and the resize.

        With pixel centres at +0.5 image coordinates are lengths from the image's edge, so that a crop subtracts its
        corner from the principal point and a resize multiplies the first two rows, with no half-pixel terms.
        """
        framed = np.array(K, np.float64)
        framed[..., 0, 2] -= self.x0
        framed[..., 1, 2] -= self.y0
        framed[..., 0, :] *= self.width / (self.x1 - self.x0)
        framed[..., 1, :] *= self.height / (self.y1 - self.y0)
        return framed

    def original_intrinsics(self, K: NDArray[np.float64]) -> NDArray[np.float64]:
        """Intrinsics (..., 3, 3) before the crop and the resize, of those after them."""
        original = np.array(K, np.float64)
        original[..., 0, :] *= (self.x1 - self.x0) / self.width
        original[..., 1, :] *= (self.y1 - self.y0) / self.height
        original[..., 0, 2] += self.x0
        original[..., 1, 2] += self.y0
        return original
