"""Scenes: canonical Gaussians with a deformation over time. What needs torch is loaded when first used."""

from typing import TYPE_CHECKING

from endogs.late_names import late_names

if TYPE_CHECKING:
    from endogs.scene.deformation.knots import Knots
    from endogs.scene.deformation.registry import DEFORMATIONS
    from endogs.scene.deformation.spline import SplineDeformation
    from endogs.scene.deformation.static import StaticDeformation
    from endogs.scene.scene import Scene

__all__ = [
    "DEFORMATIONS",
    "Knots",
    "Scene",
    "SplineDeformation",
    "StaticDeformation",
]

__getattr__ = late_names(
    __name__,
    {
        "DEFORMATIONS": "endogs.scene.deformation.registry",
        "Knots": "endogs.scene.deformation.knots",
        "Scene": "endogs.scene.scene",
        "SplineDeformation": "endogs.scene.deformation.spline",
        "StaticDeformation": "endogs.scene.deformation.static",
    },
)
