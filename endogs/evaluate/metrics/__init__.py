"""Measures of pictures, depth, tracks and trajectories."""
