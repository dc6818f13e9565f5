"""Guesses of depth."""
