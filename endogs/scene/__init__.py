"""Scenes: canonical Gaussians with a deformation over time. What needs torch is loaded when first used."""

from typing import TYPE_CHECKING

from endogs.late_names import late_names

if TYPE_CHECKING:
    from endogs.scene.deformation.bases import BasesDeformation
    from endogs.scene.deformation.deformation import Deformation
    from endogs.scene.deformation.hexplane import HexplaneDeformation
    from endogs.scene.deformation.knots import Knots
    from endogs.scene.deformation.lowrank import LowrankDeformation
    from endogs.scene.deformation.mlp import MlpDeformation
    from endogs.scene.deformation.registry import DEFORMATIONS
    from endogs.scene.deformation.spline import SplineDeformation
    from endogs.scene.deformation.static import StaticDeformation
    from endogs.scene.scene import Scene

__all__ = [
    "DEFORMATIONS",
    "BasesDeformation",
    "Deformation",
    "HexplaneDeformation",
    "Knots",
    "LowrankDeformation",
    "MlpDeformation",
    "Scene",
    "SplineDeformation",
    "StaticDeformation",
]

__getattr__ = late_names(
    __name__,
    {
        "DEFORMATIONS": "endogs.scene.deformation.registry",
        "BasesDeformation": "endogs.scene.deformation.bases",
        "Deformation": "endogs.scene.deformation.deformation",
        "HexplaneDeformation": "endogs.scene.deformation.hexplane",
        "Knots": "endogs.scene.deformation.knots",
        "LowrankDeformation": "endogs.scene.deformation.lowrank",
        "MlpDeformation": "endogs.scene.deformation.mlp",
        "Scene": "endogs.scene.scene",
        "SplineDeformation": "endogs.scene.deformation.spline",
        "StaticDeformation": "endogs.scene.deformation.static",
    },
)
