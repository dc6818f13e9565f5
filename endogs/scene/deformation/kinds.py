"""The deformations by the name that the scene file and the command line use. No torch here.

A new one is a file with a class, and a line here.
"""

KINDS: dict[str, str] = {
    "spline": "endogs.scene.deformation.spline:SplineDeformation",
    "none": "endogs.scene.deformation.static:StaticDeformation",
    "bases": "endogs.scene.deformation.bases:BasesDeformation",
    "hexplane": "endogs.scene.deformation.hexplane:HexplaneDeformation",
    "mlp": "endogs.scene.deformation.mlp:MlpDeformation",
    "lowrank": "endogs.scene.deformation.lowrank:LowrankDeformation",
}
"""Where each class is, in the order of the command's help."""
