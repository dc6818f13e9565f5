"""The classes of all deformations, by name."""

from importlib import import_module

from endogs.scene.deformation.deformation import Deformation
from endogs.scene.deformation.kinds import KINDS


def _loaded(place: str) -> type[Deformation]:
    module, name = place.split(":")
    found: type[Deformation] = getattr(import_module(module), name)
    return found


DEFORMATIONS: dict[str, type[Deformation]] = {kind: _loaded(place) for kind, place in KINDS.items()}
