"""The version of endogs."""

__version__ = "0.1.0"
