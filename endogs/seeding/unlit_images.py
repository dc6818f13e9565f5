"""The training frames' images without the light and exposure that they were taken in: they colour new Gaussians."""

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.priors.pull_push import filled
from endogs.scene.appearance import Appearance, HeadlightColors
from endogs.scene.appearance.headlight import OFFSET
from endogs.seeding.exposure_estimate import without_exposure
from endogs.seeding.observations import Observations


def take_off(observations: Observations, lost: Appearance) -> None:
    """Let new Gaussians be coloured by the frames' images less the headlight and exposures `lost`, on the CPU."""
    observations.images, observations.lost = [frame.image for frame in observations.frames], lost
    if lost.exposure is None:
        return
    for k, (log_gain, bias) in enumerate(lost.exposure.values.double().numpy()):
        gain = np.exp(log_gain)
        if lost.headlight is not None:
            light = light_on_image(observations, lost.headlight, k)[..., None]
            gain, bias = gain * light, bias + gain * OFFSET * (light - 1)
        observations.images[k] = without_exposure(observations.images[k], gain, bias)


def light_on_image(observations: Observations, headlight: HeadlightColors, k: int) -> NDArray[np.float32]:
    """(H, W) factor of light on the tissue that each pixel of a training frame shows; 1 without depth in the frame."""
    depth = filled(np.where(observations.masks[k], observations.depth(k), 0).astype(np.float32))
    if not depth.any():
        return np.ones_like(depth)
    (height, width), K = observations.size, observations.K[k].astype(np.float32)
    x = (np.arange(width, dtype=np.float32) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(height, dtype=np.float32) + 0.5 - K[1, 2]) / K[1, 1]
    rays = np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.float32(1)), -1)
    features = headlight.features(torch.from_numpy(rays * depth[..., None]))
    return np.asarray((features @ headlight.beam.float().cpu()).exp().numpy(), np.float32)
