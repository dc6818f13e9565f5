"""The benchmark of density control runs from its command line to a line of its table."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "density.py"


def test_a_row_is_measured(tmp_path):
    size = ["--phantom-size", "48", "40", "--phantom-frames", "16", "--iterations", "12", "--gaussians", "200"]
    command = [sys.executable, str(SCRIPT), "--only", "phantom", "density adaptive", "--work", "work", *size]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    header, _, line = (
        [cell.strip() for cell in row.strip("|").split("|")] for row in done.stdout.splitlines() if row[:1] == "|"
    )
    found = dict(zip(header, line, strict=True))
    assert (found["clip"], found["fit"]) == ("phantom", "density adaptive")
    assert 10 < float(found["PSNR"].split()[0]) < 60
    assert float(found["behind mm"].split()[0]) > 0
    assert 0 < int(found["Gaussians"].split()[0]) <= 200
    assert {path.name for path in tmp_path.iterdir()} == {"work"}, "nothing is left beside it"
