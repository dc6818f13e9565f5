"""Scenes: canonical Gaussians with a deformation over time."""

from endogs.scene.deformation import Deformation
from endogs.scene.scene import Scene
from endogs.scene.spline import Knots, SplineDeformation
from endogs.scene.static import StaticDeformation

DEFORMATIONS: dict[str, type[Deformation]] = {
    deformation.kind: deformation for deformation in (SplineDeformation, StaticDeformation)
}
"""Deformations by the name that the scene file and the command line use."""

__all__ = ["DEFORMATIONS", "Deformation", "Knots", "Scene", "SplineDeformation", "StaticDeformation"]
