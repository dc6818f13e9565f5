"""Specular highlights: mirror images of the light, which say nothing about depth or tissue colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

LARGE_FRACTION = 0.015
"""A clipped component larger than this part of the frame is an over-exposed near wall, not a highlight."""


def bright_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels (H, W) of a uint8 RGB image that are clipped, or brighter and greyer than their surroundings.

    Clipped means min(R, G, B) > 0.86; a soft highlight has a min-channel above 1.35 times its local median (31 px at
    640 px width) and little saturation. Both are rings and blobs, so the result is grown by one pixel.
    """
    red, green, blue = cv2.split(image)
    low = np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)
    high = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    # A median of 31 px at full size costs 60 ms; at a quarter of the size it is 1 ms and as smooth.
    small = cv2.resize(low, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    window = max(3, round(0.048 * small.shape[1])) | 1
    local = cv2.resize(cv2.medianBlur(small, window), low.shape[::-1], interpolation=cv2.INTER_LINEAR)
    clipped = low > 219
    grey = low.astype(np.float32) > 0.62 * high
    soft = (low.astype(np.float32) > 1.35 * local + 10) & grey & (low > 110)
    return cv2.dilate((clipped | soft).view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)


def large_clipped_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Clipped components (H, W) that cover more than 1.5 % of the frame: walls too close to the light."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((image.min(2) > 219).view(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] > LARGE_FRACTION * labels.size
    large[0] = False
    return large[labels]


def specular_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Specular highlights (H, W), True = highlight, of a uint8 RGB image (H, W, 3), without over-exposed walls."""
    return bright_mask(image) & ~large_clipped_mask(image)
