"""Options of `endogs doctor`. No torch here."""

from dataclasses import dataclass

from endogs.options import Options


@dataclass(frozen=True)
class Doctor(Options):
    """Say what endogs found on this machine, and what is missing."""
