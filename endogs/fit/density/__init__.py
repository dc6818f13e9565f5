"""Density control: when Gaussians come and go during a fit, and which."""

from endogs.fit.density.choose import density_control
from endogs.fit.density.control import DensityControl, DensitySetup, drop_transparent
from endogs.fit.density.population import Population
from endogs.fit.density.residual import insert_where_wrong
from endogs.fit.density.residual_maps import ResidualMaps

__all__ = [
    "DensityControl",
    "DensitySetup",
    "Population",
    "ResidualMaps",
    "density_control",
    "drop_transparent",
    "insert_where_wrong",
]
