"""The entry to rasterization: picks a backend and calls it."""

from torch import Tensor

from endogs import native
from endogs.camera import Camera
from endogs.gaussians import Gaussians
from endogs.render.native import rasterize_native
from endogs.render.reference import rasterize_reference
from endogs.render.rendering import Rendering

BACKENDS = ("auto", "native", "reference")
"""`native`: the compiled CPU kernels; `reference`: plain torch, slow; `auto`: native where it is installed."""


def choose_backend(backend: str = "auto") -> str:
    """The backend that `backend` stands for here: "native" or "reference".

    Raises ValueError for an unknown name and RuntimeError when the compiled kernels are asked for but missing.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if backend == "auto":
        return "native" if native.available() else "reference"
    if backend == "native":
        native.module()
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
    2D mean, in loss per pixel, for density control (AbsGS, Ye et al. 2024).
    """
    render = rasterize_native if choose_backend(backend) == "native" else rasterize_reference
    return render(
        packed,
        camera,
        features=features,
        background=background,
        antialiased=antialiased,
        normals=normals,
        screen_gradients=screen_gradients,
    )
