"""Replays the inputs of issue 16's cases and prints, row by row, what happened and whether it is right.

    python tests/replay_inputs.py [--cases ../shared/cases/inputs] [--only 01 05] [--made FOLDER]

Each case is copied, made by its make.sh (ffmpeg on the path, Pillow, PyAV) and read. `--made` keeps the made inputs in
a folder and uses those that are there. Not a test: the cases lie outside the project; tests/clip/ holds the same kinds.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from replayed.frames import frame_rows
from replayed.outcome import Row, tried

ROWS: list[Row] = [*frame_rows()]
"""All rows; each kind of input adds its own function."""


def main() -> int:
    """Print the table; the exit status is 1 when a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, default=Path(__file__).parents[2] / "shared" / "cases" / "inputs")
    parser.add_argument("--only", nargs="*", default=(), help="beginnings of the cases' names")
    parser.add_argument("--made", type=Path, help="folder for the made inputs")
    given = parser.parse_args()
    if not given.cases.is_dir():
        print(f"{given.cases}: no cases there")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        made = given.made or Path(scratch)
        rows = [row for row in ROWS if not given.only or row.case.startswith(tuple(given.only))]
        wrong = sum(not _replay(row, given.cases, made) for row in rows)
    print(f"{len(rows) - wrong} of {len(rows)} rows are right")
    return 1 if wrong else 0


def _replay(row: Row, cases: Path, made: Path) -> bool:
    folder = made / row.case
    if not folder.exists():
        shutil.copytree(cases / row.case, folder)
        for scene in cases.glob("*.py"):
            shutil.copy(scene, made)
        if (folder / "make.sh").is_file():
            done = subprocess.run(
                ["bash", "make.sh"], cwd=folder, env={**os.environ, "PYTHON": sys.executable}, capture_output=True
            )
            if done.returncode:
                print(f"{row.case}: make.sh failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
    options = replace(row.options, calibration=folder / row.calibration) if row.calibration else row.options
    outcome = tried(folder / row.path, options)
    right = not outcome.crash and row.right(outcome)
    given = f" ({row.calibration})" if row.calibration else ""
    print(f"{'right' if right else 'WRONG'}  {row.case}/{row.path}{given}: {outcome.line()}", flush=True)
    return right


if __name__ == "__main__":
    sys.exit(main())
