"""Depth from parallax with another prior's guess in its holes, brought to the parallax around them."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.priors.depth.prediction import DepthInput, DepthPrediction, to_depth

FILLED = 0.15
"""Confidence of depth from the other prior, beside that of parallax."""
NEAR = 0.06
"""Standard deviation, of the frame's width, of the window in which the other prior is brought to the parallax."""
LEAST_USUAL = 0.02
"""Logarithm of a ratio by which the two usually differ from the frame's middle one, at least."""
STRANGE = 3.0
"""So many times that much, and a pixel's ratio counts by half."""
Plane = NDArray[np.float32]


def measured(prediction: DepthPrediction) -> Plane:
    """Its depth (H, W), 0 where it is unknown or only guessed."""
    return np.where(prediction.confidence > FILLED + 1 / 255, prediction.value, 0).astype(np.float32)


def halved(frame: DepthInput) -> DepthInput:
    """Picture, mask and intrinsics at half the size: enough for a guess that is smooth over many pixels."""
    height, width = frame.tissue_mask.shape
    size = max(1, width // 2), max(1, height // 2)
    image, tissue = (
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        for plane in (frame.image, np.ascontiguousarray(frame.tissue_mask).view(np.uint8))
    )
    K = frame.K * np.array([size[0] / width, size[1] / height, 1])[:, None]
    return replace(frame, image=np.asarray(image, np.uint8), tissue_mask=np.asarray(tissue > 0), K=K)


def filled_holes(
    depth: Plane, confidence: Plane, guess: DepthPrediction, tissue_mask: NDArray[np.bool_]
) -> DepthPrediction:
    """Depth (H, W), 0 where parallax says nothing, with the other prior's guess, of this size or smaller, in its holes.

    Where there is no parallax around, the frame's median ratio is the best that is known; without any depth at all,
    there stays none.
    """
    shape = to_depth(guess, 1.0)
    size = shape.shape[::-1]
    here, sure = (cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in (depth, confidence))
    both = (here > 0) & (shape > 0)
    if not both.any():
        return DepthPrediction(depth, "metric", confidence)
    weight = np.where(both, sure, 0).astype(np.float32)
    ratio = np.log(np.where(both, here, 1) / np.where(both, shape, 1)).astype(np.float32)
    middle = float(np.median(ratio[both]))
    # Wrong matches come in patches, so that they would be the mean of what is around them.
    usual = max(float(np.median(np.abs(ratio[both] - middle))), LEAST_USUAL)
    weight = weight / (1 + np.square((ratio - middle) / (STRANGE * usual)))
    fraction = 0.125 * depth.shape[1] / size[0]
    coarse = [
        cv2.resize(plane, None, fx=fraction, fy=fraction, interpolation=cv2.INTER_AREA)
        for plane in (weight, weight * ratio)
    ]
    support, total = (cv2.GaussianBlur(plane, (0, 0), NEAR * depth.shape[1] / 8) for plane in coarse)
    local = (total + 0.01 * middle) / (support + 0.01)
    scale = np.exp(cv2.resize(local, size, interpolation=cv2.INTER_LINEAR))
    known = (shape > 0).astype(np.float32)
    share, scaled, believed = (_at_full_size(plane, depth) for plane in (known, shape * scale, guess.confidence))
    # Half of the pixels around are enough to know a guess by; less is beyond the edge of what it knows.
    brought = np.divide(scaled, share, out=np.zeros_like(depth), where=share > 0.5)
    believed = np.where((share > 0.5) & tissue_mask, FILLED * believed, 0)
    return DepthPrediction(
        np.where(depth > 0, depth, brought).astype(np.float32),
        "metric",
        np.maximum(confidence, believed).astype(np.float32),
    )


def _at_full_size(plane: Plane, like: Plane) -> Plane:
    return np.asarray(cv2.resize(plane.astype(np.float32), like.shape[::-1], interpolation=cv2.INTER_LINEAR))
