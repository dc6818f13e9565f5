"""The entry to rasterization: picks a backend and calls it."""

from importlib.util import find_spec

import torch
from torch import Tensor

from endogs import native
from endogs.camera import Camera
from endogs.gaussians import Gaussians
from endogs.render.gsplat_library import rasterize_gsplat
from endogs.render.native import rasterize_native
from endogs.render.reference import rasterize_reference
from endogs.render.rendering import Rendering
from endogs.render.room import require_room

BACKENDS = ("auto", "native", "gsplat", "reference")
"""`native`: the compiled kernels, on the CPU and on NVIDIA GPUs; `gsplat`: that library, on NVIDIA GPUs; `reference`:
plain torch, slow, anywhere; `auto`: native where it runs."""
_FUNCTIONS = {"native": rasterize_native, "gsplat": rasterize_gsplat, "reference": rasterize_reference}


def choose_backend(backend: str = "auto", device: torch.device | str = "cpu") -> str:
    """The backend that `backend` stands for on `device`: "native", "gsplat" or "reference".

    Raises ValueError for an unknown name and RuntimeError, saying why, when the one asked for cannot run there.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    device_type = torch.device(device).type
    if backend == "auto":
        return "native" if native.runs_on(device_type) else "reference"
    if backend == "native":
        native.module()
        if not native.runs_on(device_type):
            why = native.cuda_problem() if device_type == "cuda" else "there are kernels for cpu and cuda only"
            raise RuntimeError(f"the native backend cannot run on {device_type}: {why}")
    if backend == "gsplat":
        if device_type != "cuda":
            raise RuntimeError(f"the gsplat backend runs on NVIDIA GPUs only, not on {device_type}")
        if find_spec("gsplat") is None:
            raise RuntimeError("the gsplat backend needs gsplat: pip install 'endogs[gsplat]'")
    return backend


def rasterize(
    gaussians: Gaussians,
    camera: Camera,
    *,
    features: Tensor | None = None,
    background: Tensor | None = None,
    antialiased: bool = False,
    normals: bool = False,
    backend: str = "auto",
) -> Rendering:
    """Renders Gaussians through a camera by EWA splatting (Zwicker et al. 2002; Kerbl et al. 2023).

    features (N, C) are composited over zero beside the colours; background (3,) defaults to black; `antialiased`
    compensates opacity for the low-pass filter (Yu et al., "Mip-Splatting", 2024); `normals` adds a normal map.
    Gradients reach every attribute, the features, the background and the camera's pose. Raises ValueError naming the
    attribute when an input has a wrong shape or is not finite.
    """
    return rasterize_packed(
        gaussians.packed(),
        camera,
        features=features,
        background=background,
        antialiased=antialiased,
        normals=normals,
        backend=backend,
    )


def rasterize_packed(
    packed: Tensor,
    camera: Camera,
    *,
    features: Tensor | None = None,
    background: Tensor | None = None,
    antialiased: bool = False,
    normals: bool = False,
    backend: str = "auto",
    screen_gradients: Tensor | None = None,
) -> Rendering:
    """`rasterize` for packed Gaussians (N, 14).

    `screen_gradients` (N,) is overwritten by the backward pass with the length of the summed absolute gradients by the
    2D mean, in loss per pixel, for density control (AbsGS, Ye et al. 2024). Raises InputError for a picture that memory
    does not hold, as `rasterize` does.
    """
    require_room(camera)
    return _FUNCTIONS[choose_backend(backend, packed.device)](
        packed,
        camera,
        features=features,
        background=background,
        antialiased=antialiased,
        normals=normals,
        screen_gradients=screen_gradients,
    )
