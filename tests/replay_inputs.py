"""Replays the inputs of issue 16's cases and prints, row by row, what happened and whether it is right.

    python tests/replay_inputs.py [--cases ../shared/cases/inputs] [--only 01 05] [--made FOLDER]

Each case is copied, made by its make.sh (ffmpeg and endogs on the path, Pillow, PyAV, trimesh) and read. `--made` keeps
the made inputs in a folder and uses those that are there. Not a test: the cases lie outside the project; tests/clip/
holds the same kinds.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path

from replayed.cameras import camera_rows
from replayed.frames import frame_rows
from replayed.labels import label_rows
from replayed.outcome import Row, tried
from replayed.programs import program_rows

ROWS: list[Row] = [*frame_rows(), *label_rows(), *camera_rows(), *program_rows()]
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


def _made(case: str, cases: Path, made: Path) -> Path:
    """The folder of a case below `made`, with its inputs; cases that its make.sh makes use of are put beside it."""
    folder = made / case
    if folder.exists():
        return folder
    for scene in cases.glob("*.py"):
        shutil.copy(scene, made)
    shutil.copytree(cases / case, folder)
    script = folder / "make.sh"
    if script.is_file():
        for other in set(re.findall(r"\.\./(\d\d-[\w-]+)", script.read_text(encoding="utf-8"))):
            _made(other, cases, made)
        environment = {**os.environ, "PYTHON": sys.executable, "ENDOGS_TESTS": str(Path(__file__).parent)}
        done = subprocess.run(["bash", "make.sh"], cwd=folder, env=environment, capture_output=True)
        if done.returncode:
            print(f"{case}: make.sh failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return folder


def _replay(row: Row, cases: Path, made: Path) -> bool:
    folder = _made(row.case, cases, made)
    options = replace(row.options, calibration=folder / row.calibration) if row.calibration else row.options
    outcome = tried(folder / row.path, options)
    try:
        right = not outcome.crash and row.right(outcome)
    except Exception as error:  # the table goes on
        right, outcome = False, replace(outcome, crash=f"{type(error).__name__} while judging: {error}")
    changed = [f"{one.name}={getattr(options, one.name)}" for one in fields(options)
               if getattr(options, one.name) != one.default]  # fmt: skip
    asked = f" ({', '.join(changed)})" if changed else ""
    line = f"{'right' if right else 'WRONG'}  {row.case}/{row.path}{asked}: {outcome.line()}"
    print(line.encode(errors="replace").decode(), flush=True)
    return right


if __name__ == "__main__":
    sys.exit(main())
