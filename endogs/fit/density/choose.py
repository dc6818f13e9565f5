"""The configured method of density control."""

from importlib import import_module

from endogs.fit.density.control import DensityControl, DensitySetup
from endogs.fit.density_methods import METHODS


def density_control(setup: DensitySetup) -> DensityControl:
    """The configured method. Raises KeyError for a name that is not in METHODS."""
    module, name = METHODS[setup.config.density].split(":")
    control: DensityControl = getattr(import_module(module), name)(setup)
    return control
