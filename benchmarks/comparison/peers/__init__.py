"""The peers' recipes and what they are made of, entered into the registries of the fit from outside."""

from endogs.fit.density_methods import METHODS
from endogs.fit.objective.terms import REGISTRY
from endogs.fit.setup import STARTS

from .initialization import start_from_every_frame, start_from_first_frame
from .total_variation import TotalVariation

METHODS["adaptive"] = "comparison.peers.adaptive:AdaptiveDensity"
REGISTRY["tv"] = TotalVariation
STARTS["first-frame"] = start_from_first_frame
STARTS["every-frame"] = start_from_every_frame
