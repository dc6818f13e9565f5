"""A scene's colours as the clip's cameras see them, written into Gaussians and splines that know nothing of cameras."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from endogs.gaussians import COLORS
from endogs.scene.appearance.appearance import PLAIN
from endogs.scene.deformation.spline import SplineDeformation
from endogs.scene.scene import Scene


@torch.no_grad()
def baked(scene: Scene) -> Scene:
    """A scene of plain colours as the clip's cameras show it; changes of exposure are left out.

    With a spline the colours' control points are the least-squares fit to what each frame's camera shows. Without a
    deformation a Gaussian's one colour is the mean over the frames that draw it, and how light changes with the
    camera's place is lost. Raises ValueError for other deformations, whose colours
    cannot be written down.
    """
    scene = scene.steady()
    if scene.appearance.plain:
        return scene
    base, frames, deformation = scene.base.clone(), range(len(scene.times)), scene.deformation

    def shown(frame: int) -> torch.Tensor:
        return scene.shown_at(float(scene.times[frame]), scene.camera(frame))[:, COLORS]

    if isinstance(deformation, SplineDeformation):
        base[:, COLORS] = shown(0)
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
    if deformation.tensors():
        raise ValueError(f"colours of the deformation '{deformation.kind}' cannot be baked")
    base[:, COLORS] = _mean_where_drawn(scene, shown)
    return replace(scene, base=base, appearance=PLAIN)


def _mean_where_drawn(scene: Scene, shown: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """(N, 3) means of `shown(frame)` over the frames that draw a Gaussian; over all where none does, or none knows."""
    count = len(scene.times)
    drawn = torch.ones(len(scene), count) if scene.visibility is None else scene.visibility.frames_drawn(count)
    weight = torch.as_tensor(drawn, dtype=scene.base.dtype).to(scene.base.device)
    weight[weight.sum(1) == 0] = 1
    weight /= weight.sum(1, keepdim=True)
    return sum((shown(frame) * weight[:, frame, None] for frame in range(count)), torch.zeros_like(shown(0)))
