"""Any deformation as a cubic B-spline, for what only knows splines: the shareable player."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from endogs.errors import InputError
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.scene import Scene

RIDGE = 1e-6
"""Of the second differences: it decides where the samples do not."""
ROWS = 8192
"""Gaussians at a time."""


@torch.no_grad()
def spline_through(deformation: Deformation, base: Tensor, times: np.ndarray, knots: Knots) -> SplineDeformation:
    """The spline of the given knots that is nearest to a deformation at `times` (F,), in the least-squares sense.

    With as many knots as frames it passes through every sample; between them it is the smoothest that does.
    """
    basis = knots.basis(times)
    bend = np.diff(np.eye(knots.count), 2, axis=0)
    normal = basis.T @ basis + RIDGE * bend.T @ bend
    solve = torch.from_numpy(np.linalg.lstsq(normal, basis.T, rcond=None)[0]).to(base)
    control = base.new_empty(knots.count, *base.shape)
    for first in range(0, len(base), ROWS):
        rows = torch.arange(first, min(first + ROWS, len(base)), device=base.device)
        part, here = deformation.select(rows), base[rows]
        offsets = torch.stack([part.packed_at(here, float(time)) - here for time in times])
        control[:, rows] = torch.einsum("kf,fnc->knc", solve, offsets)
    return SplineDeformation(control, knots)


def scene_as_spline(scene: Scene) -> Scene:
    """The scene with its deformation as a spline with a knot at every frame's time; splines and still scenes stay.

    The samples are the scene's frames, however unevenly they lie in time. Error at those: rounding. Raises InputError
    for frames that lie a number's smallest step apart.
    """
    if isinstance(scene.deformation, SplineDeformation | StaticDeformation):
        return scene
    times = np.unique(scene.times)
    knots = Knots(tuple(times.tolist()) if len(times) > 1 else (float(times[0]), float(times[0]) + 1.0))
    try:
        spline = spline_through(scene.deformation, scene.base, times, knots)
    except np.linalg.LinAlgError as error:
        raise InputError(f"{scene.called}: no spline fits frames at its times ({error}); fit it again.") from error
    return replace(scene, deformation=spline)
