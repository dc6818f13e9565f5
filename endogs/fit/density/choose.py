"""The configured method of density control."""

from endogs.fit.density.control import DensityControl, DensitySetup
from endogs.fit.density_methods import METHODS
from endogs.late_names import at_place


def density_control(setup: DensitySetup) -> DensityControl:
    """The configured method. Raises KeyError for a name that is not in METHODS."""
    control: DensityControl = at_place(METHODS[setup.config.density])(setup)
    return control
