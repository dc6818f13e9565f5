"""How much of the instruments a finished scene still shows where they were: its residue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull

from endogs.clip import Clip
from endogs.pictures.scene_frames import picture
from endogs.priors.instruments.masks import grown
from endogs.priors.speculars import specular_mask
from endogs.scene import Scene

CELL = 8
"""Grey levels of a cell of the histogram of R, G and B."""
INSIDE = 0.99
"""Part of the tissue's own pixels whose cells span its range: the densest ones."""
TOLERANCE = 6.0
"""Grey levels by which a colour may lie outside of what they span."""
FAR = 0.04
"""How far from any instrument tissue is surely tissue, in image widths: masks miss tips, shadows and reflections."""
AROUND = 0.012
"""How far beyond an instrument's mask its residue is looked for, in image widths."""
LEARNED_FRAMES = 20

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TissueRange:
    """The colours that a clip's tissue has, and all that mixing them can give.

    Pixels far from all instruments, without highlights, whose white is steel's too, are counted in cells of R, G and B.
    The range is the convex hull of the densest cells that hold 99 % of them, grown by TOLERANCE: what a scene fills in
    behind instruments mixes colours of tissue, and mixtures lie in the hull, at any brightness between those mixed.
    """

    planes: NDArray[np.float32]
    """(F, 4): a colour c is inside where `planes[:, :3] c + planes[:, 3]` is nowhere above TOLERANCE."""

    @staticmethod
    def of(clip: Clip) -> "TissueRange":
        """The range of a clip with given masks, which must be its own, from at most LEARNED_FRAMES of its frames."""
        assert clip.masks_are_given
        found = []
        for i in sorted({round(k) for k in np.linspace(0, len(clip) - 1, LEARNED_FRAMES)}):
            image, tissue = clip.image(i), clip.tissue_mask(i) | clip.ignored
            sure = ~grown(~tissue, round(FAR * clip.width)) & ~clip.ignored & ~specular_mask(image)
            found.append(_smooth(image)[sure])
        pixels = np.concatenate(found)
        cells = (pixels // CELL).astype(np.intp)
        size = 256 // CELL
        flat = (cells[:, 0] * size + cells[:, 1]) * size + cells[:, 2]
        counts = np.bincount(flat, minlength=size**3).reshape(size, size, size).astype(float)
        density = gaussian_filter(counts, 0.7)
        dense = np.argwhere(density >= np.quantile(density.ravel()[flat], 1 - INSIDE))
        return TissueRange(ConvexHull(dense * CELL + CELL / 2).equations.astype(np.float32))

    def outside(self, image: NDArray[np.uint8]) -> Mask:
        """Pixels (H, W) of a uint8 RGB image that have no colour of tissue."""
        beyond = _smooth(image).reshape(-1, 3) @ self.planes[:, :3].T + self.planes[:, 3]
        return (beyond.max(1) > TOLERANCE).reshape(image.shape[:2])


def _smooth(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)


@dataclass(frozen=True)
class Residue:
    """Shares (0..1) of pixels whose colour lies outside the tissue's range."""

    behind: float
    """Of those that an instrument of the given masks hides, and AROUND of the width around it."""
    seen: float
    """Of all other pixels of the scene's pictures: what the scene's own softness and its ghosts add."""
    worst: float
    """The largest share behind instruments of a frame."""


def residue(scene: Scene, clip: Clip, colors: TissueRange, frames: Sequence[int]) -> Residue:
    """Over `frames` of a scene of `clip`, which has its given masks."""
    return residue_of(lambda i: picture(scene, float(scene.times[i]))[0], clip, colors, frames)


def residue_of(
    image: Callable[[int], NDArray[np.uint8]], clip: Clip, colors: TissueRange, frames: Sequence[int]
) -> Residue:
    """The same of any pictures: those of the clip itself show how much of an instrument this measure sees."""
    behind, seen, shares = np.zeros(2), np.zeros(2), [0.0]
    for i in frames:
        outside, view = colors.outside(image(i)), ~clip.ignored
        hidden = grown(~clip.tissue_mask(i) & view, round(AROUND * clip.width)) & view
        counts = np.array([np.count_nonzero(outside & hidden), np.count_nonzero(hidden)])
        behind += counts
        seen += np.count_nonzero(outside & view & ~hidden), np.count_nonzero(view & ~hidden)
        if counts[1]:
            shares.append(counts[0] / counts[1])
    return Residue(behind[0] / max(behind[1], 1), seen[0] / max(seen[1], 1), max(shares))
