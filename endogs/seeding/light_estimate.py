"""The headlight and the exposures of a moving camera's training frames, from places that several frames show.

A place p that frame f shows has log (I + 0.055) = a_p + e_f + x . b per channel: the logarithms of its colour, of the
frame's exposure, and of the light there, which is linear in the beam b (`endogs.scene.appearance.headlight`). Weighted
least squares of all at once, without chains from frame to frame that would drift; what a_p can take is taken out first,
so that only changes at the same place count. A frame's exposure is the same on all that it shows; the beam is not.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.scene.appearance import Appearance, Exposure, HeadlightColors
from endogs.scene.appearance.headlight import OFFSET
from endogs.seeding.exposure_estimate import BLUR, UNCLIPPED
from endogs.seeding.observations import Observations, in_image, pixel_index

FRAMES, PLACES = 32, 200
"""Frames from which places are taken, evenly spread, and places in each."""
SAME = 0.15
"""Part by which a place's depth may differ from what a frame shows there."""
ROUNDS, ODD = 3, 0.15
"""Rounds of least squares; after each, logarithms that are off by more than `ODD` count less (Geman and McClure)."""
STEADY = 1e-3
"""How much exposures stay the same from frame to frame, as a part of what a frame's sightings say: it tells those apart
that show nothing in common."""
HOLD = 1e-4
"""Mean squared change at the same place that holds a beam's number at 0: less says nothing of it."""
ALBEDO = 0.95
"""Most that colours without light are, but for a hundredth of them: images hold no more than 1."""


def estimate_light(observations: Observations, even: HeadlightColors) -> Appearance:
    """The headlight, measured as `even` is, and the exposures, the mean log gain 0.

    Depth must be metric. Without places that several frames show, the light is even and exposures are neutral.
    """
    seen, logs, features = sightings(observations, even)
    exposure = Exposure.neutral(observations.times)
    weight = np.where(seen, np.exp(2 * logs.mean(-1)), 0)
    several = np.count_nonzero(seen, 1) > 1
    weight, logs, features = weight[several], logs[several], features[several]
    if not weight.any():
        return Appearance(even, exposure)
    robust = weight
    for _ in range(ROUNDS):
        gains, beam, left = least_squares(robust, logs, features)
        robust = weight / np.square(1 + np.square(left / ODD))
    shown = logs - (features @ beam)[..., None] - gains
    level = float(np.quantile(np.exp(shown.max(-1))[weight > 0], 0.99)) / (ALBEDO + OFFSET)
    bias = OFFSET * np.expm1(gains)
    bias -= bias.mean(0)  # as the fit holds them
    exposure.values[:] = torch.from_numpy(np.stack([gains, bias], 1).astype(np.float32))
    numbers = np.concatenate([[np.log(max(level, 1.0))], beam]).astype(np.float32)
    return Appearance(HeadlightColors(torch.from_numpy(numbers), even.distance, even.reach), exposure)


def least_squares(
    weight: NDArray[np.float64], logs: NDArray[np.float64], features: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Log gains (F, 3) of mean 0, the beam (B,), and what is left in the mean channel (P, F).

    From `weight` (P, F), 0 where a frame does not show a place, `logs` (P, F, 3) and `features` (P, F, B).
    """
    frames, terms = features.shape[1:]
    total = np.maximum(weight.sum(1), 1e-12)
    x = features - (np.einsum("pf,pfb->pb", weight, features) / total[:, None])[:, None]
    y = logs - (np.einsum("pf,pfc->pc", weight, logs) / total[:, None])[:, None]
    # Frames are indicators, of which a place's weighted mean is taken off as well.
    gram = np.zeros((frames + terms, frames + terms))
    gram[:frames, :frames] = np.diag(weight.sum(0)) - weight.T @ (weight / total[:, None])
    gram[frames:, :frames] = np.einsum("pf,pfb->bf", weight, x)
    gram[:frames, frames:] = gram[frames:, :frames].T
    gram[frames:, frames:] = np.einsum("pf,pfb,pfd->bd", weight, x, x, optimize=True)
    right = np.concatenate([np.einsum("pf,pfc->fc", weight, y), np.einsum("pf,pfb,pfc->bc", weight, x, y)])
    gram[frames:, frames:] += HOLD * weight.sum() * np.eye(terms)
    change = np.diff(np.eye(frames), axis=0)
    per_frame = weight.sum() / frames
    gram[:frames, :frames] += per_frame * (STEADY * change.T @ change + 1e-6 * np.eye(frames))
    beam = np.linalg.solve(gram, right.mean(1))[frames:]
    gains = np.linalg.solve(gram[:frames, :frames], right[:frames] - (gram[:frames, frames:] @ beam)[:, None])
    gains -= gains.mean(0)
    left = logs.mean(-1) - gains.mean(-1) - features @ beam
    left -= (np.einsum("pf,pf->p", weight, left) / total)[:, None]
    return gains, beam, left


def sightings(
    observations: Observations, even: HeadlightColors
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Which frames show which places (P, F), log (I + 0.055) there (P, F, 3) and the beam's features but the first
    (P, F, 6)."""
    places = tissue_places(observations)
    shape = len(places), len(observations)
    seen, logs = np.zeros(shape, bool), np.zeros((*shape, 3))
    features = np.zeros((*shape, len(even.beam) - 1))
    for frame in range(len(observations)):
        pose, K = observations.world_to_camera[frame], observations.K[frame]
        points = (places + observations.offsets[frame]) @ pose[:3, :3].T + pose[:3, 3]
        z = points[:, 2]
        pixels = (points[:, :2] / np.maximum(z, 1e-9)[:, None] * K[[0, 1], [0, 1]] + K[:2, 2]).astype(np.float32)
        at = np.flatnonzero((z > 0) & in_image(pixels, observations.size))
        row, column = pixel_index(pixels[at], observations.size)
        image = cv2.GaussianBlur(observations.frames[frame].image.astype(np.float32) / 255, (0, 0), BLUR)
        levels = image[row, column]
        shown = observations.masks[frame][row, column]
        shown &= np.abs(observations.depth(frame)[row, column] / z[at] - 1) < SAME
        shown &= (levels.min(1) > UNCLIPPED[0]) & (levels.max(1) < UNCLIPPED[1])
        at = at[shown]
        seen[at, frame], logs[at, frame] = True, np.log(levels[shown] + OFFSET)
        features[at, frame] = even.features(torch.from_numpy(points[at])).numpy()[:, 1:]
    return seen, logs, features


def tissue_places(observations: Observations) -> NDArray[np.float64]:
    """Places (P, 3) in the world, less what all tissue has moved, at random pixels of tissue of known depth."""
    generator = np.random.default_rng(0)
    parts = [np.zeros((0, 3))]
    for frame in np.unique(np.linspace(0, len(observations) - 1, FRAMES).round().astype(int)).tolist():
        depth = observations.depth(frame)
        rows, columns = np.nonzero(observations.masks[frame] & (depth > 0))
        if len(rows):
            chosen = generator.choice(len(rows), min(PLACES, len(rows)), replace=False)
            rows, columns = rows[chosen], columns[chosen]
            pixels = np.stack([columns, rows], 1).astype(np.float32) + np.float32(0.5)
            parts.append(observations.unproject(frame, pixels, depth[rows, columns]) - observations.offsets[frame])
    return np.concatenate(parts)
