"""Which method of density control `--density` means."""

from endogs.fit.config import FitConfig
from endogs.fit.density.absgrad import AbsgradSplitting
from endogs.fit.density.adaptive import AdaptiveDensity
from endogs.fit.density.control import DensityControl
from endogs.fit.density.mcmc import McmcRelocation
from endogs.fit.density.residual import ResidualInsertion, ResidualMaps
from endogs.scene.observations import Observations


def density_control(
    config: FitConfig, observations: Observations, maps: ResidualMaps, pixel_footprint: float, seed: int
) -> DensityControl:
    """The configured method; `maps` are what the fit's frames got wrong, `pixel_footprint` world units per pixel."""
    if config.density == "adaptive":
        return AdaptiveDensity(config, pixel_footprint, seed)
    if config.density == "absgrad":
        return AbsgradSplitting(config, pixel_footprint, seed)
    if config.density == "mcmc":
        return McmcRelocation(config, pixel_footprint, seed)
    if config.density == "residual":
        return ResidualInsertion(config, observations, maps, seed)
    return DensityControl(config, seed)
