"""How Gaussians look: from the packed ones of an instant to those that a camera shows."""

from endogs.scene.appearance.appearance import COLOR_MODELS, PLAIN, Appearance
from endogs.scene.appearance.exposure import Exposure
from endogs.scene.appearance.headlight import HeadlightColors
from endogs.scene.appearance.lit import LAMP_AT_LENS, Light, LitColors
from endogs.scene.appearance.spherical_harmonics import HarmonicColors

__all__ = [
    "COLOR_MODELS",
    "LAMP_AT_LENS",
    "PLAIN",
    "Appearance",
    "Exposure",
    "HarmonicColors",
    "HeadlightColors",
    "Light",
    "LitColors",
]
