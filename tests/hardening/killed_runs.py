"""Runs that are killed at a random moment, in any stage, and what they left.

A tiny fit that saves at every step is started in a process of its own and sent SIGKILL, SIGTERM or SIGINT: a first run,
one that replaces a result, or one that resumes.
"""

import contextlib
import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file

from endogs.cli import main
from endogs.fit.checkpoint import load_checkpoint
from endogs.folder_swap import standing
from endogs.pipeline.result_files import read_result

STEPS = 40
FIT = ("--preset", "fast", "--iterations", str(STEPS), "--gaussians", "500")
# The process says which stage it is in, and waits a little there, so that a kill hits where it is meant to.
RUNNER = """
import sys, time
import endogs.fit.checkpoint_clock, endogs.fit.loop, endogs.pipeline.run_folder, endogs.pipeline.run_record
from endogs.cli import main
endogs.fit.checkpoint_clock.COST = 0
begin = endogs.fit.checkpoint_clock.CheckpointClock.__init__
def often(self, folder, seconds, size):
    begin(self, folder, 0.0)
endogs.fit.checkpoint_clock.CheckpointClock.__init__ = often
take = endogs.fit.loop.Fit.advance
def slowly(self, most):
    time.sleep(0.02)
    return take(self, most)
endogs.fit.loop.Fit.advance = slowly
stage = endogs.pipeline.run_record.StageClock.stage
def told(self, name):
    print(name, flush=True)
    return stage(self, name)
endogs.pipeline.run_record.StageClock.stage = told
publish = endogs.pipeline.run_folder.RunFolder.publish
def published(self, *arguments, **options):
    print("publish", flush=True)
    return publish(self, *arguments, **options)
endogs.pipeline.run_folder.RunFolder.publish = published
sys.exit(main(sys.argv[1:]))
"""
STAGES = {"read": 0.2, "priors": 0.6, "init": 0.3, "fit": 1.0, "write": 0.2, "evaluate": 0.6, "publish": 0.02}
"""How long after its beginning a kill may come, seconds."""
FOREIGN = {"notes.txt": "mine", "exports/points.ply": "mine too"}


@dataclass
class Tally:
    """What came of the kills."""

    tried: Counter = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    """An earlier result gone or changed, or somebody's file."""
    mixed: list[str] = field(default_factory=list)
    """Files of two runs in one folder."""
    stuck: list[str] = field(default_factory=list)
    """The next run did not go on, and what it said."""

    def take_in(self, name: str, said: str) -> None:
        """A run's refusal, which there should be none of."""
        if said:
            self.stuck.append(f"{name}: {said}")


def refused(line: list[str]) -> str:
    """What a run that should go on without a word said instead."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(line)
    return "" if code == 0 else f"{code} {said.getvalue()[-2000:]}"


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kill_in(arguments: list[str], stop: signal.Signals, stage: str, delay: float) -> tuple[int, str]:
    """Starts a run and stops it `delay` seconds into a stage; its exit code and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == stage:
            time.sleep(delay)
            process.send_signal(stop)
            break
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def whole(folder: Path) -> bool:
    """Whether a folder holds one complete result, all of whose files are of one run."""
    result = read_result(folder)
    if result is None or not result.complete or not result.whole(folder):
        return False
    record = json.loads((folder / "run.json").read_text())
    return record["iterations"] == STEPS and record["seed"] == json.loads(seed_text(folder))


def seed_text(folder: Path) -> str:
    """The seed that the scene itself was fitted with, as JSON."""
    from safetensors import safe_open

    with safe_open(folder / "scene.safetensors", "pt") as file:
        return json.dumps(json.loads(file.metadata()["endogs"])["origin"]["seed"])


def trial(clip: Path, home: Path, truth: dict[int, dict], rng: random.Random, tally: Tally) -> None:
    """One kill, what it left, and what the next run makes of it."""
    out = home / "scene"
    second = rng.random() < 0.6
    stop = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    stage = rng.choice(list(STAGES))
    delay = rng.random() * STAGES[stage]
    name = f"{'second' if second else 'first'} run, {stop.name} {delay:.3f} s into {stage}"
    tally.tried[f"{'second' if second else 'first'} {stage}"] += 1
    line = ["reconstruct", str(clip), "--out", str(out), *FIT]
    before: dict[str, str] = {}
    if second:
        assert main([*line, "--seed", "1"]) == 0
        for file, text in FOREIGN.items():
            (out / file).parent.mkdir(exist_ok=True)
            (out / file).write_text(text)
        before = digests(out)
    line += ["--overwrite"] * second
    code, said = kill_in(line, stop, stage, delay)
    assert code in (0, -stop, 128 + stop), f"{name}: {code} {said}"
    assert "Traceback" not in said or stop == signal.SIGINT, said

    found = standing(out)
    now = digests(found) if found.is_dir() else {}
    if second and now != before:
        if not whole(found) or seed_text(found) != "0":
            tally.lost.append(name)
        if {file: (found / file).read_text() for file in FOREIGN if (found / file).exists()} != FOREIGN:
            tally.lost.append(f"{name}: somebody's files")
    elif not second and code != 128 + stop and now and not (whole(found) and seed_text(found) == "0"):
        tally.mixed.append(name)
    work = out.with_name("scene.unfinished")
    place = next((p for p in (work, out) if (p / "checkpoints" / "last.safetensors").is_file()), None)
    done = seed_text(out) == "0" and whole(out) if (out / "scene.safetensors").is_file() else False
    if place is not None:
        kept = load_checkpoint(place / "checkpoints").step
        if stage == "fit" and stop != signal.SIGKILL and code == 128 + stop:
            assert f"interrupted after {kept} steps" in said, name
        tally.take_in(f"{name}: resumed", refused([*line, "--resume"]))
    elif not done:
        said = refused(line)
        if not (whole(out) and seed_text(out) == "0"):  # what was all but published is put in place, and not replaced
            tally.take_in(f"{name}: begun again", said)
    if not whole(out) or seed_text(out) != "0":
        tally.mixed.append(f"{name}: after the next run")
        return
    scene = load_file(out / "scene.safetensors")
    if scene.keys() != truth.keys() or not all(scene[key].equal(truth[key]) for key in scene):
        tally.mixed.append(f"{name}: other bits than an uninterrupted run's")
    if second and {file: (out / file).read_text() for file in FOREIGN if (out / file).exists()} != FOREIGN:
        tally.lost.append(f"{name}: somebody's files after the next run")
    left = {path.name for path in home.iterdir()} - {"scene"}
    if left:
        tally.mixed.append(f"{name}: {left} left over")


def kill_often(home: Path, kills: int, seed: int) -> Tally:
    """`kills` trials on a phantom that is made in `home`."""
    clip, tally, rng = home / "clip", Tally(), random.Random(seed)
    assert main(["phantom", str(clip), "--frames", "9", "--width", "64", "--height", "48"]) == 0
    assert main(["reconstruct", str(clip), "--out", str(home / "truth"), *FIT]) == 0
    truth = load_file(home / "truth" / "scene.safetensors")
    for index in range(kills):
        place = home / str(index)
        place.mkdir()
        trial(clip, place, truth, rng, tally)
    return tally
