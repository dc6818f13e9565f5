"""All deformations, by the name that the scene file and the command line use."""

from endogs.scene.deformation.bases import BasesDeformation
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.hexplane import HexplaneDeformation
from endogs.scene.deformation.lowrank import LowrankDeformation
from endogs.scene.deformation.mlp import MlpDeformation
from endogs.scene.deformation.spline import SplineDeformation
from endogs.scene.deformation.static import StaticDeformation

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
