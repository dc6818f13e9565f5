"""Lenses, calibrations and conventions of poses."""
