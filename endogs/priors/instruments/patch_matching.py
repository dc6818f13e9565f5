"""Where a small patch of one frame is in the next, by trying places and turns.

Optical flow is smooth: a thin jaw that moves before still tissue is taken for tissue by it. Such a patch is rigid from
one frame to the next, and is found by comparing it as a whole.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.instruments.masks import Mask, grown

TURNS = (0.0, -4.0, 4.0, -8.0, 8.0)
"""Degrees."""
REACH = 0.05
"""How far it is looked for, in widths of the frame."""
MOST_PIXELS = 0.02
"""Part of the frame up to which a patch is small."""
FAR = 4.0
"""Grey levels by which a place at that distance must be better than the same place."""


def matched_patch(image: NDArray[np.uint8], patch: Mask, after: NDArray[np.uint8]) -> Mask | None:
    """The place (h, w) in `after` that looks most like `patch` (h, w) of `image`, both (h, w, 3) RGB.

    The sum of squared differences over the patch and the pixel around it decides. None for patches that are not small.
    """
    height, width = patch.shape
    if not 0 < patch.sum() <= MOST_PIXELS * patch.size:
        return None
    reach = max(2, round(REACH * width))
    rows, columns = np.flatnonzero(patch.any(1)), np.flatnonzero(patch.any(0))
    # Room for turns around the patch; beyond the frame there is none.
    half = 2 + int(0.5 * np.hypot(rows[-1] - rows[0], columns[-1] - columns[0]))
    middle = (int(rows[0] + rows[-1]) // 2, int(columns[0] + columns[-1]) // 2)
    pad = half + reach + 1
    padded, shown = _padded(image, pad), _padded(patch.view(np.uint8), pad)
    context = _padded(grown(patch, 1).view(np.uint8), pad)
    top, left = middle[0] + pad - half, middle[1] + pad - half
    inner = slice(top, top + 2 * half + 1), slice(left, left + 2 * half + 1)
    around = slice(top - reach, top + 2 * half + 1 + reach), slice(left - reach, left + 2 * half + 1 + reach)
    window = _padded(after, pad)[around].astype(np.float32)
    steps = np.arange(-reach, reach + 1)
    distance = np.hypot(steps[:, None], steps[None]) / reach
    best, found = np.inf, None
    for turn in TURNS:
        matrix = cv2.getRotationMatrix2D((float(half), float(half)), turn, 1.0)
        size = (2 * half + 1, 2 * half + 1)
        template = cv2.warpAffine(padded[inner].astype(np.float32), matrix, size, borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.warpAffine(context[inner].astype(np.float32), matrix, size)
        total = float(weight.sum())
        if total < 1:
            continue
        squares = cv2.matchTemplate(window, template, cv2.TM_SQDIFF, mask=np.repeat(weight[..., None], 3, 2))
        cost = np.sqrt(np.maximum(squares, 0) / (3 * total)) + FAR * (distance + abs(turn) / TURNS[-1]) / 2
        place = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if cost[place] < best:
            best = float(cost[place])
            turned = cv2.warpAffine(shown[inner].astype(np.float32), matrix, size) > 0.5
            canvas = np.zeros(shown.shape, bool)
            y, x = top - reach + int(place[0]), left - reach + int(place[1])
            canvas[y : y + size[1], x : x + size[0]] = turned
            found = canvas[pad : pad + height, pad : pad + width]
    return found


def _padded(values: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    kind = cv2.BORDER_REPLICATE if values.ndim == 3 else cv2.BORDER_CONSTANT
    return np.asarray(cv2.copyMakeBorder(values, pixels, pixels, pixels, pixels, kind, value=0), np.uint8)
