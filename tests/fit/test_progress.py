"""The progress line and the run record."""

import io
import json
import re
from pathlib import Path

from endogs.output import to_json, write_json
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.run_record import StageClock, peak_memory_mb, process_start, software_versions
from endogs.progress import Progress


def test_plain_lines_off_a_terminal():
    stream = io.StringIO()
    with Progress("step", rate="it/s", stream=stream) as progress:
        for step in range(1, 11):
            progress(step, 10, "  loss 0.0100")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert re.fullmatch(r"step 10/10  loss 0\.0100  \d+\.\d it/s  0 s left", lines[0])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_renewed_line_on_a_terminal_which_stays_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with Progress("step", rate="it/s", stream=stream) as progress:
        progress(2, 2, "  loss 0.0100  PSNR 30.00 dB  [120000] Gaussians, more than a line holds")
    shown = " ".join(stream.getvalue().split())
    assert "step 2/2 loss 0.0100 PSNR 30.00 dB [120000] Gaussians, more than a line holds" in shown
    assert "0 s left" in shown.replace("\n", " ")


def test_a_bar_on_a_terminal():
    stream = Terminal()
    with Progress("frame", bar="motion", stream=stream) as progress:
        progress(1, 2)
        progress(2, 2)
    assert "motion" in stream.getvalue()
    assert "2/2" in stream.getvalue()


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
    write_json(path, to_json({"config": Reconstruct(Path("clip.mp4"))}))
    assert json.loads(path.read_text())["config"]["input"] == "clip.mp4"
    assert to_json((1, Path("a"))) == [1, "a"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
