"""Edges of instruments, by GrabCut (Rother, Kolmogorov & Blake 2004) started from a mask."""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, box_of, grown, shrunk
from endogs.priors.instruments.tissue_colors import Chroma


def refine(image: NDArray[np.uint8], mask: Mask, odds: Chroma, rounds: int = 2) -> Mask:
    """`mask` (H, W) moved to the edges of a uint8 RGB image (H, W, 3); `odds` (H, W) say what is beyond doubt.

    Only a band around the mask's border is in question; patches that do not meet the old mask are dropped.
    """
    if not mask.any():
        return mask.copy()
    width = mask.shape[1]
    # Everything beyond the band is tissue whatever it looks like, and need not be cut: the box makes it faster.
    near = grown(mask, max(3, width // 27))
    box = box_of(near)
    labels = np.full(mask.shape, cv2.GC_PR_BGD, np.uint8)
    core = shrunk(mask, max(1, width // 80))
    labels[mask] = cv2.GC_PR_FGD
    labels[(core & (odds > 0)) | (mask & (odds > 2.5))] = cv2.GC_FGD
    labels[~near | ((odds < -2.5) & ~core)] = cv2.GC_BGD
    inner = np.ascontiguousarray(labels[box])
    if not (np.isin(inner, (cv2.GC_BGD, cv2.GC_PR_BGD)).any() and np.isin(inner, (cv2.GC_FGD, cv2.GC_PR_FGD)).any()):
        return mask.copy()
    cv2.setRNGSeed(0)  # GrabCut starts from a random k-means; the generator is this thread's own
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(  # type: ignore[call-overload]
        np.ascontiguousarray(image[box]), inner, None, *models, rounds, cv2.GC_INIT_WITH_MASK
    )
    cut = np.zeros(mask.shape, np.uint8)
    cut[box] = (inner == cv2.GC_FGD) | (inner == cv2.GC_PR_FGD)
    count, patches = cv2.connectedComponents(cv2.morphologyEx(cut, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    meets = np.zeros(count, bool)
    meets[np.unique(patches[mask])] = True
    meets[0] = False
    return meets[patches]
