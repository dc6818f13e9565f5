"""The long form of test_kills.py: `python tests/hardening/long_kills.py [--kills 150] [--seed 1]`, some s a kill."""

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

from killed_runs import kill_often

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    said = io.StringIO()
    quiet = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1]:
        tally = kill_often(Path(folder), asked.kills, asked.seed)
    tried, lost, mixed = sum(tally.tried.values()), len(tally.lost), len(tally.mixed)
    print(f"{tried} kills: {lost} lost something, {mixed} left a mixture, {len(tally.stuck)} could not go on")
    for name, count in sorted(tally.tried.items()):
        print(f"  {name}: {count}")
    print(*tally.lost, *tally.mixed, *tally.stuck, sep="\n")
    sys.exit(bool(tally.lost or tally.mixed or tally.stuck))
