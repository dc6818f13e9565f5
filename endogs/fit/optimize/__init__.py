"""Optimizers: who owns the trained scene, and takes its steps."""
