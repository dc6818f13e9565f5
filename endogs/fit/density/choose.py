"""Methods of density control by name. A new one is a file with a class like `ResidualInsertion`, and a line here."""

from collections.abc import Callable

from endogs.fit.density.control import DensityControl, DensitySetup, Unchanged
from endogs.fit.density.residual import ResidualInsertion

METHODS: dict[str, Callable[[DensitySetup], DensityControl]] = {
    "residual": ResidualInsertion,
    "none": Unchanged,
}


def density_control(setup: DensitySetup) -> DensityControl:
    """The configured method. Raises KeyError for a name that is not in METHODS."""
    return METHODS[setup.config.density](setup)
