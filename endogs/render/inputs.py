"""The one gate every backend puts its inputs through."""

from torch import Tensor

from endogs.camera import Camera
from endogs.gaussians import ATTRIBUTES, CHANNELS, all_finite


def check_inputs(
    packed: Tensor, camera: Camera, features: Tensor | None = None, background: Tensor | None = None
) -> None:
    """Raises ValueError naming the attribute whose shape is wrong or that holds a NaN or an infinity.

    packed (N, 14), features (N, C), background (3,); shapes and finiteness only, never a copy to another device.
    """
    if packed.ndim != 2 or packed.shape[1] != CHANNELS:
        raise ValueError(f"packed Gaussians have shape {tuple(packed.shape)}, expected (N, {CHANNELS})")
    count = packed.shape[0]
    if features is not None and (features.ndim != 2 or features.shape[0] != count):
        raise ValueError(f"features have shape {tuple(features.shape)}, expected ({count}, C)")
    if background is not None and background.shape != (3,):
        raise ValueError(f"background has shape {tuple(background.shape)}, expected (3,)")
    if camera.world_to_camera.shape != (4, 4):
        raise ValueError(f"world_to_camera has shape {tuple(camera.world_to_camera.shape)}, expected (4, 4)")
    if camera.K.shape != (3, 3):
        raise ValueError(f"K has shape {tuple(camera.K.shape)}, expected (3, 3)")
    if camera.width < 1 or camera.height < 1:
        raise ValueError(f"the image is {camera.width} x {camera.height} pixels, expected at least 1 x 1")
    if not all_finite(packed):
        for name, columns in ATTRIBUTES.items():
            if not all_finite(packed[:, columns]):
                raise ValueError(f"{name} is not finite")
    named = {
        "features": features,
        "background": background,
        "world_to_camera": camera.world_to_camera,
        "K": camera.K,
    }
    for name, value in named.items():
        if value is not None and not all_finite(value):
            raise ValueError(f"{name} is not finite")
