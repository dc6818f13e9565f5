"""The classes of all deformations, by name."""

from endogs.late_names import at_place
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.kinds import KINDS

DEFORMATIONS: dict[str, type[Deformation]] = {kind: at_place(place) for kind, place in KINDS.items()}
