"""By what colours of neighbouring segments of a chain differ, which were exposed apart."""

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.gaussians import COLORS, OPACITY
from endogs.scene import Scene
from endogs.scene.chain import identity_of, shared_rows

MOST_GAIN = 4.0
"""Factor by which colours of a segment are brought to those of the segment before, at most."""


@torch.no_grad()
def gain_to(before: Scene, after: Scene) -> NDArray[np.float64]:
    """(3,) by which the colours of a segment become those of the one before, from the Gaussians that both have.

    Each segment's exposures are known up to a factor only, which its colours make up for. Least squares over the frames
    that they share, weighted by opacity; 1 where neither has exposures.
    """
    if before.appearance.exposure is None and after.appearance.exposure is None:
        return np.ones(3)
    rows, others = shared_rows(identity_of(before), identity_of(after))
    times = [float(time) for time in after.times if time <= before.times[-1]]
    products, squares = np.full(3, 1e-6), np.full(3, 1e-6)
    for time in times:
        one, two = before.steady().shown_at(time)[rows].double(), after.steady().shown_at(time)[others].double()
        weight = (torch.sigmoid(one[:, OPACITY]) * torch.sigmoid(two[:, OPACITY]))[:, None]
        products += (weight * one[:, COLORS] * two[:, COLORS]).sum(0).cpu().numpy()
        squares += (weight * two[:, COLORS] ** 2).sum(0).cpu().numpy()
    return np.clip(products / squares, 1 / MOST_GAIN, MOST_GAIN)
