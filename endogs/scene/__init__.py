"""Scenes: canonical Gaussians with a deformation over time."""

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
