"""Scenes: canonical Gaussians with a deformation over time."""

from endogs.scene.bases import BasesDeformation
from endogs.scene.deformation import Deformation
from endogs.scene.hexplane import HexplaneDeformation
from endogs.scene.lowrank import LowrankDeformation
from endogs.scene.mlp import MlpDeformation
from endogs.scene.scene import Scene
from endogs.scene.spline import Knots, SplineDeformation
from endogs.scene.static import StaticDeformation

DEFORMATIONS: dict[str, type[Deformation]] = {
    deformation.kind: deformation
    for deformation in (
        SplineDeformation,
        StaticDeformation,
        BasesDeformation,
        HexplaneDeformation,
        MlpDeformation,
        LowrankDeformation,
    )
}
"""Deformations by the name that the scene file and the command line use."""

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
