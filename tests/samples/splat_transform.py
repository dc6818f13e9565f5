"""PlayCanvas' splat-transform, an independent reader and writer of splat files, through npx."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "@playcanvas/splat-transform@3.7.0"


@cache
def why_not() -> str:
    """Why it cannot be run here; empty when it can. The first time npx fetches it."""
    if shutil.which("npx") is None:
        return "npx is not installed"
    try:
        done = _npx("--version", timeout=60)
    except subprocess.TimeoutExpired:
        return f"npx did not fetch {PACKAGE} in a minute"
    return "" if done.returncode == 0 else f"npx cannot run {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}"


def convert(source: Path, target: Path) -> Path:
    """Has splat-transform write `source` as `target`; skips the test where it cannot be had."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    done = _npx("-q", "-w", str(source), str(target), timeout=120)
    assert done.returncode == 0, done.stderr
    return target


def _npx(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"npm_config_fetch_retries": "0", "npm_config_fetch_timeout": "20000"}
    command = ["npx", "--yes", PACKAGE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
