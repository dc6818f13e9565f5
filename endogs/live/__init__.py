"""Scenes in the browser: playback, measurement, and watching a fit."""
