"""Around an instrument and beyond its tip lies what may be either: thin jaws that mirror tissue, blur, shadow."""

import cv2
import numpy as np

from endogs.priors.instruments.masks import Mask, grown

MARGIN = 0.012
"""Width of the rim around an instrument, in image widths."""
BEYOND = 0.5
"""How far the halo reaches beyond the free end, in widths of the instrument there."""


def rim_of(width: int) -> int:
    """Pixels of the rim around an instrument, in images that are so wide."""
    return max(1, round(MARGIN * width))


def tip_halo(mask: Mask, edge: Mask, beyond: float = BEYOND) -> Mask:
    """Pixels (H, W) around the instruments of `mask` that are neither surely instrument nor surely tissue.

    A rim of 1.2 % of the width, and a capsule that goes on for `beyond` widths of the instrument from the end farthest
    from the edge of the view (H, W), where jaws are too thin or too shiny to be found by colour.
    """
    height, width = mask.shape
    halo = grown(mask, rim_of(width)).astype(np.uint8)
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    for label in range(1, count):
        patch = labels == label
        y, x = np.nonzero(patch)
        rooted = edge[y, x]
        if y.size < 0.001 * height * width or not rooted.any():
            continue
        points = np.stack([x, y], 1).astype(np.float64)
        distance = np.linalg.norm(points - points[rooted].mean(0), axis=1)
        tip = points[distance >= np.quantile(distance, 0.985)].mean(0)
        behind = points[(distance > 0.6 * distance.max()) & (distance < 0.9 * distance.max())]
        if len(behind) < 5:
            continue
        direction = tip - behind.mean(0)
        direction /= max(float(np.linalg.norm(direction)), 1e-6)
        depth = cv2.distanceTransform(patch.view(np.uint8), cv2.DIST_L2, 3)[y, x]
        thick = 2 * float(np.quantile(depth[distance > 0.5 * distance.max()], 0.95))
        thick = float(np.clip(thick, 0.02 * width, 0.15 * width))
        ends = [tuple(round(float(v)) for v in end) for end in (tip, tip + beyond * thick * direction)]
        cv2.line(halo, ends[0], ends[1], 1, max(1, round(thick)))
    return halo.view(bool) & ~mask
