"""How much sooner `endogs batch` is done with many small clips than a shell's loop, side by side on this machine.

    python benchmarks/batch_clips.py [--clips 24] [--rounds 3] [--work DIR]

The clips are phantoms. In each round a part of them is reconstructed twice, by `endogs reconstruct` in one process
after the other, which may use all cores, and by one `endogs batch` over local workers; every other round begins with
the batch. Both count from the command's first moment to its last, the start of Python and of the workers included.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from command import endogs

from endogs.batches.local_workers import usable_cores

SIZE = ("--frames", "8", "--width", "96", "--height", "80")
FIT = ("--preset", "fast", "--iterations", "60", "--gaussians", "800")


def phantoms(folder: Path, count: int) -> list[Path]:
    """So many phantoms, made unless they are there."""
    found = [folder / f"p{number}" for number in range(1, count + 1)]
    for number, path in enumerate(found, 1):
        if not path.exists():
            endogs("phantom", str(path), *SIZE, "--seed", str(number))
    return found


def in_a_loop(clips: list[Path], out: Path) -> float:
    """Seconds of one process after the other."""
    begin = time.monotonic()
    for clip in clips:
        command = [sys.executable, "-m", "endogs", "reconstruct", str(clip), "--out", str(out / clip.name), *FIT]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def in_a_batch(clips: list[Path], out: Path) -> float:
    """Seconds of one batch; raises CalledProcessError where a clip failed."""
    table = out.with_suffix(".csv")
    table.write_text("input\n" + "".join(f"{clip.resolve()}\n" for clip in clips))
    begin = time.monotonic()
    command = [sys.executable, "-m", "endogs", "batch", str(table), "--out", str(out), *FIT]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def same_scenes(clips: list[Path], loop: Path, batch: Path) -> int:
    """How many clips have the same mean PSNR to the last bit in both."""
    pairs = [(loop / clip.name, batch / "clips" / clip.name) for clip in clips]
    means = [[json.loads((place / "metrics.json").read_text())["mean"]["psnr"] for place in pair] for pair in pairs]
    return sum(a == b for a, b in means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keep the phantoms here")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    os.environ.pop("OMP_NUM_THREADS", None)
    clips, out = phantoms(work, options.clips), Path(tempfile.mkdtemp())
    print(f"{options.clips} phantoms of {SIZE[1]} frames of 96x80, {usable_cores()} cores\n")
    print("| round | clips | loop, s | batch, s | loop / batch |\n|---|---|---|---|---|")
    loops, batches, same = [], [], 0
    for number in range(options.rounds):
        part = clips[number :: options.rounds]
        places = out / f"loop{number}", out / f"batch{number}"
        order = [(in_a_loop, places[0], loops), (in_a_batch, places[1], batches)]
        for run, place, seconds in order if number % 2 == 0 else order[::-1]:
            seconds.append(run(part, place))
        same += same_scenes(part, *places)
        ratio = loops[-1] / batches[-1]
        print(f"| {number + 1} | {len(part)} | {loops[-1]:.1f} | {batches[-1]:.1f} | {ratio:.2f} |", flush=True)
    print(f"| all | {len(clips)} | {sum(loops):.1f} | {sum(batches):.1f} | {sum(loops) / sum(batches):.2f} |")
    print(f"\n{same} of {len(clips)} clips have the same PSNR, to the last bit, in both")
    shutil.rmtree(out)
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
