"""Tissue masks pulled back from the instruments' edges, and kept in an eighth of the memory."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


def erode_tissue_mask(tissue_mask: NDArray[np.bool_], pixels: int = 2) -> NDArray[np.bool_]:
    """The mask (H, W), True = tissue, without the tissue within `pixels` of anything that is not tissue.

    Masks follow an instrument to within a few pixels and its motion blur reaches further, so training on the rim paints
    metal onto tissue. The image border is no such edge: pixels there stay (counted as tissue outside the image).
    """
    if pixels <= 0:
        return tissue_mask.copy()
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    mask = np.ascontiguousarray(tissue_mask).view(np.uint8)
    return cv2.erode(mask, disc, borderType=cv2.BORDER_CONSTANT, borderValue=1).view(bool)


@dataclass(frozen=True)
class PackedMask:
    """A mask as bits."""

    bits: NDArray[np.uint8]
    shape: tuple[int, ...]
    """(H, W)."""

    @staticmethod
    def of(tissue_mask: NDArray[np.bool_]) -> "PackedMask":
        """A mask (H, W) to be kept."""
        return PackedMask(np.packbits(tissue_mask), tissue_mask.shape)

    def unpacked(self) -> NDArray[np.bool_]:
        """The mask (H, W), the caller's own."""
        return np.unpackbits(self.bits, count=int(np.prod(self.shape))).view(np.bool_).reshape(self.shape)
