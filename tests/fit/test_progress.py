"""The progress line and the run record."""

import io
import json
from pathlib import Path

from endogs.fit.progress import FitProgress
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.run_record import StageClock, peak_memory_mb, process_start, software_versions, to_json, write_json


def test_plain_lines_off_a_terminal():
    stream = io.StringIO()
    with FitProgress(10, stream=stream) as progress:
        for step in range(1, 11):
            progress.update(step, 0.01, 33.3, 1234)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("step 10/10  loss 0.0100  PSNR 33.30 dB  1234 Gaussians")
    assert "0 s left" in lines[0]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_renewed_line_on_a_terminal():
    stream = Terminal()
    with FitProgress(2, stream=stream) as progress:
        progress.update(2, 0.01, 30.0, 5)
    assert "step 2/2" in stream.getvalue()


def test_the_record_is_json_and_counts_from_the_process_start(tmp_path):
    clock = StageClock(from_process_start=True)
    with clock.stage("fit"):
        pass
    seconds = clock.record()
    assert seconds["total"] > seconds["fit"]
    assert list(seconds) == ["total", "read", "priors", "init", "fit", "evaluate", "write"]
    import time

    assert 0 <= time.time() - process_start() < 3600
    assert peak_memory_mb() > 50
    assert {"endogs", "torch", "python"} <= software_versions().keys()
    path = tmp_path / "run.json"
    write_json({"config": Reconstruct(Path("clip.mp4"))}, path)
    assert json.loads(path.read_text())["config"]["input"] == "clip.mp4"
    assert to_json((1, Path("a"))) == [1, "a"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
