"""Density control: when Gaussians come and go during a fit, and which."""

from endogs.fit.density.choose import density_control
from endogs.fit.density.control import DensityControl, drop_transparent
from endogs.fit.density.population import Population
from endogs.fit.density.residual import ResidualMaps, insert_where_wrong

__all__ = [
    "DensityControl",
    "Population",
    "ResidualMaps",
    "density_control",
    "drop_transparent",
    "insert_where_wrong",
]
