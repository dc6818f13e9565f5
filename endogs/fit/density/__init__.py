"""Density control: when Gaussians come and go during a fit, and which."""
