"""The exposure of each training frame, guessed from pixels that the optical flow matches between neighbours."""

from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.priors.motion.flow import warp
from endogs.scene.appearance.exposure import Exposure
from endogs.seeding.observations import Observations

BLUR = 2.0
"""Standard deviation, pixels, by which images are smoothed first: noise would count as contrast."""
UNCLIPPED = (0.03, 0.97)
"""Levels between which a channel is neither black nor overexposed."""
FEWEST = 200
"""Matched pixels below which two frames are taken to have the same exposure."""
Affine = tuple[NDArray[np.float64], NDArray[np.float64]]


def estimate_exposure(observations: Observations) -> Exposure:
    """Gain and bias of every training frame, of mean log gain 0 and mean bias 0, per channel.

    From one frame to the next a channel's values at matched tissue pixels change by the affine map that carries their
    mean and standard deviation over (which, unlike regression, does not shrink with noise), averaged over both
    directions of the flow, because looking up at fractions of a pixel smooths one of the two images. The maps are
    chained.
    """
    images = [cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), BLUR) for image in observations.images]
    gains, biases = [np.ones(3)], [np.zeros(3)]
    for a, b in pairwise(range(len(observations))):
        forth = _change(images[a], images[b], observations.flow(a, b), observations.masks[a], observations.masks[b])
        back = _change(images[b], images[a], observations.flow(b, a), observations.masks[b], observations.masks[a])
        gain = np.sqrt(forth[0] / back[0])
        bias = 0.5 * (forth[1] - back[1] * gain)
        gains.append(gain * gains[-1])
        biases.append(gain * biases[-1] + bias)
    gain, bias = np.array(gains), np.array(biases)
    gain /= np.exp(np.log(gain).mean(0))
    # What the biases share is moved into the colours that the gains multiply.
    bias -= gain * (bias.mean(0) / gain.mean(0))
    values = np.stack([np.log(gain), bias], 1).astype(np.float32)
    return Exposure(observations.times, torch.from_numpy(values))


def without_exposure(image: NDArray[np.uint8], gain: NDArray, bias: NDArray) -> NDArray[np.uint8]:
    """The sRGB image (H, W, 3) that shows `image` after a gain (3,) and a bias (3,), rounded and clipped."""
    return np.rint(np.clip((image / 255 - bias) / gain, 0, 1) * 255).astype(np.uint8)


def _change(a: NDArray, b: NDArray, flow: NDArray, mask_a: NDArray[np.bool_], mask_b: NDArray[np.bool_]) -> Affine:
    """Gain (3,) and bias (3,) from image `a` (H, W, 3) to `b`, by the flow (H, W, 2) from a to b."""
    moved = warp(b, flow)
    both = mask_a & (warp(mask_b.astype(np.float32), flow) > 0.99)
    gain, bias = np.ones(3), np.zeros(3)
    for c in range(3):
        before, after = a[..., c][both], moved[..., c][both]
        used = (np.minimum(before, after) > UNCLIPPED[0]) & (np.maximum(before, after) < UNCLIPPED[1])
        if np.count_nonzero(used) < FEWEST:
            continue
        before, after = before[used].astype(np.float64), after[used].astype(np.float64)
        spread = before.std()
        gain[c] = np.clip(after.std() / spread, 0.25, 4) if spread > 1e-3 else 1
        bias[c] = after.mean() - gain[c] * before.mean()
    return gain, bias
