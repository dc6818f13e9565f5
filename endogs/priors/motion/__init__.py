"""Optical flow, and frames made of it."""
