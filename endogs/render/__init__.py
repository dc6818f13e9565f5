"""Rasterization: one entry, several backends."""

from endogs.render.backends import BACKENDS, choose_backend, rasterize, rasterize_packed
from endogs.render.rendering import Rendering

__all__ = ["BACKENDS", "Rendering", "choose_backend", "rasterize", "rasterize_packed"]
