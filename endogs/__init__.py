"""endogs: deformable 3D Gaussian scenes from endoscopic video.

The names a notebook needs are loaded when first used, so that `import endogs` stays light.
"""

from typing import TYPE_CHECKING

from endogs.late_names import late_names
from endogs.version import __version__

if TYPE_CHECKING:
    from endogs.batches.run import batch
    from endogs.camera import Camera
    from endogs.clip import load_clip
    from endogs.gaussians import Gaussians
    from endogs.pipeline.reconstruct import reconstruct
    from endogs.render import rasterize
    from endogs.scene import Scene

__all__ = ["Camera", "Gaussians", "Scene", "__version__", "batch", "load_clip", "rasterize", "reconstruct"]

__getattr__ = late_names(
    __name__,
    {
        "Camera": "endogs.camera",
        "Gaussians": "endogs.gaussians",
        "Scene": "endogs.scene",
        "batch": "endogs.batches.run",
        "load_clip": "endogs.clip",
        "rasterize": "endogs.render",
        "reconstruct": "endogs.pipeline.reconstruct",
    },
)
