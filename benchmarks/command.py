"""The command line in a process of its own, as a user waits for it, and the phantom that benchmarks are made with."""

import subprocess
import sys
from pathlib import Path

PHANTOM = ("--frames", "60", "--seed", "3", "--view", "stereo")


def endogs(*arguments: str) -> None:
    """Run a command; what it says is not shown. Raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", "endogs", *arguments], check=True, stdout=subprocess.DEVNULL)


def make_phantom(folder: Path, instruments: int = 2) -> None:
    """A phantom of 60 frames with so many instruments, unless the folder is there."""
    if not folder.exists():
        endogs("phantom", str(folder), *PHANTOM, "--instruments", str(instruments))
