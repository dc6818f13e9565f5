"""A scene's colours as the clip's cameras see them, written into Gaussians and splines that know nothing of cameras."""

from dataclasses import replace

import numpy as np
import torch

from endogs.gaussians import COLORS
from endogs.scene.appearance.appearance import PLAIN
from endogs.scene.deformation.knots import Knots
from endogs.scene.deformation.spline import SplineDeformation
from endogs.scene.scene import Scene

COLOR_FRAMES = 2
"""Frames between the knots of colours that change with the camera alone."""


@torch.no_grad()
def baked(scene: Scene) -> Scene:
    """A scene of plain colours that looks the same through the clip's cameras; changes of exposure are left out.

    The colours' control points are the least-squares fit to what each frame's camera shows, in the knots of the
    scene's own spline. A scene at rest before a moving camera gets a spline of colours alone, with a knot every
    `COLOR_FRAMES` frames; before a still one its colours never change. Raises ValueError for other deformations, whose
    colours cannot be written down.
    """
    scene = scene.steady()
    if scene.appearance.plain:
        return scene
    base, frames, deformation = scene.base.clone(), range(len(scene.times)), scene.deformation

    def shown(frame: int) -> torch.Tensor:
        return scene.shown_at(float(scene.times[frame]), scene.camera(frame))[:, COLORS]

    base[:, COLORS] = shown(0)
    if not isinstance(deformation, SplineDeformation):
        if deformation.tensors():
            raise ValueError(f"colours of the deformation '{deformation.kind}' cannot be baked")
        if (knots := color_knots(scene)) is None:
            return replace(scene, base=base, appearance=PLAIN)
        deformation = SplineDeformation(base.new_zeros(knots.count, *base.shape), knots)
    control = deformation.control.clone()
    control[..., COLORS] = 0
    # A little weight on each control point keeps those between frames from running away.
    basis = deformation.knots.basis(scene.times)
    inverse = np.linalg.solve(basis.T @ basis + 1e-6 * np.eye(basis.shape[1]), basis.T)
    for frame in frames:
        change = shown(frame) - base[:, COLORS]
        for knot in np.flatnonzero(np.abs(inverse[:, frame]) > 1e-7):
            control[knot, :, COLORS].add_(change, alpha=float(inverse[knot, frame]))
    return replace(scene, base=base, deformation=deformation.with_control(control), appearance=PLAIN)


def color_knots(scene: Scene) -> Knots | None:
    """Knots of the colours of a scene at rest, every `COLOR_FRAMES` frames; None where they do not change over time."""
    first, last = float(scene.times[0]), float(scene.times[-1])
    if scene.steady().appearance.plain or scene.static_camera or last <= first:
        return None
    return Knots.over(first, last, (last - first) / max(1, round((len(scene.times) - 1) / COLOR_FRAMES)))
