"""run.json: how long each stage took, how much memory, with which configuration and software."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from endogs.output import new_file, to_json

PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "av", "safetensors")
STAGES = ("read", "priors", "init", "fit", "evaluate", "write")
_IMPORTED = time.time()


def process_start() -> float:
    """Unix time at which this process started; where the system does not say, when this module was imported."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return time.time() - (uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _IMPORTED


def peak_memory_mb() -> float:
    """The process's largest resident size so far, in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


class StageClock:
    """Seconds per stage."""

    def __init__(self, from_process_start: bool = False) -> None:
        """`from_process_start` counts the total from the start of the process, otherwise from now."""
        self._begin = process_start() if from_process_start else time.time()
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time inside to a stage."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - begin

    def record(self) -> dict[str, float]:
        """Seconds by stage, with the total until now."""
        return {"total": round(time.time() - self._begin, 2)} | {k: round(v, 2) for k, v in self.seconds.items()}


def software_versions() -> dict[str, str]:
    """Versions of endogs, Python and what numbers depend on."""
    from endogs.version import __version__

    found = {"endogs": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_json_lines(values: list[dict[str, Any]], path: Path) -> None:
    """Write one JSON object per line, whole or not at all. Raises InputError when the place is not writable."""
    with new_file(path) as partial:
        partial.write_text("".join(json.dumps(to_json(value)) + "\n" for value in values))
