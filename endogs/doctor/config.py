"""Options of `endogs doctor`. No torch here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Say what endogs found on this machine, and what is missing."""
