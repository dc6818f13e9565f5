"""Panels of the viewer's page."""
