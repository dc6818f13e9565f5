"""What a scene shows at a time: the one way in which all that look at its pictures draw it."""

import torch

from endogs.camera import Camera
from endogs.render import rasterize_packed
from endogs.render.rendering import DRAWN, Rendering
from endogs.scene.scene import Scene


@torch.no_grad()
def draw_scene(scene: Scene, time: float, camera: Camera | None = None, backend: str = "auto") -> Rendering:
    """The scene at `time`, seconds, through `camera`, by default that of the clip's nearest frame; without gradients.

    Where a chain goes over from one segment into the next, both are drawn and their pictures mixed: colour and alpha by
    their shares, depth by shares and alphas. Gaussians between the places of two fits are the fit of neither. Raises
    InputError as `Scene.shown_at` and `rasterize` do.
    """
    camera = (scene.camera(scene.nearest_frame(time)) if camera is None else camera).to(scene.device)
    parts = scene.parts_at(time)
    drawn = [rasterize_packed(part.shown_at(time, camera), camera, backend=backend) for part, _ in parts]
    if len(drawn) == 1:
        return drawn[0]
    shares = [share for _, share in parts]
    color = sum((share * one.color for share, one in zip(shares, drawn, strict=True)), torch.zeros(()))
    alpha = sum((share * one.alpha for share, one in zip(shares, drawn, strict=True)), torch.zeros(()))
    z = sum((share * one.alpha * one.depth for share, one in zip(shares, drawn, strict=True)), torch.zeros(()))
    return Rendering(color, torch.where(alpha < DRAWN, 0, z / alpha.clamp_min(DRAWN)), alpha)
