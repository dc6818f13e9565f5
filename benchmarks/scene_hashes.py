"""Hashes of the scenes that small fits of a phantom give, to show that a change of the code changed no number.

    python benchmarks/scene_hashes.py --write before.json
    python benchmarks/scene_hashes.py --against before.json

Both on one machine: other kernels round otherwise. Run on the CPU with the compiled kernels. The first prints every
scene's hash and keeps the hashes of its tensors; the second names the tensors that differ and exits with 1 where any
does. The interrupted fit must give the same scene as the one that it is a part of, and one thread the same as two.
"""

import argparse
import hashlib
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors import safe_open

from endogs import native, reconstruct
from endogs.cli import main as endogs
from endogs.clip.config import ClipOptions
from endogs.errors import InputError
from endogs.fit.loop import Fit
from endogs.pipeline.options import Reconstruct
from endogs.pipeline.reconstruct import execute
from endogs.pipeline.run_record import StageClock
from endogs.scene.scene_file import FILE_NAME

PHANTOM = ["--frames", "16", "--width", "128", "--height", "96", "--instruments", "1", "--view", "stereo"]
SMALL: dict[str, Any] = {"iterations": 60, "gaussians": 4000, "device": "cpu"}
CASES: dict[str, dict[str, Any]] = {
    "balanced": {},
    "fast": {"preset": "fast"},
    "best": {"preset": "best"},
    "insertions": {"preset": "fast", "gaussians": 55_000},
    "gap, depth from brightness": {"split": "gap", "depth": "photometric"},
    "novel view": {"split": "novel-view"},
    "masks by colour": {"masks": "color"},
    "half the size, other seed": {"clip": ClipOptions(max_size=64), "seed": 9},
    "no density control": {"density": "none"},
    "bloop": {"balance": "bloop"},
    "normals": {"normal_weight": 0.05},
    "rigidity": {"rigidity_weight": 0.2},
    "still": {"deformation": "none"},
    "bases": {"deformation": "bases"},
    "lowrank": {"deformation": "lowrank"},
    "hexplane": {"deformation": "hexplane", "iterations": 30},
    "mlp": {"deformation": "mlp", "iterations": 12},
    "lit": {"colors": "lit"},
    "harmonics": {"colors": "sh"},
    "exposure": {"exposure": True},
}
"""Options beside SMALL."""
INTERRUPTED = ("balanced", "lit", "bases", "rigidity")
"""Cases that are also fitted with an interruption after INTERRUPTED_AT steps."""
INTERRUPTED_AT = 25
THREADED = ("balanced", "fast")
"""Cases that are also fitted with one thread."""


class Interrupting:
    """A watcher that ends the fit as Ctrl-C does."""

    def begin(self, fit: Fit, clip: Any, metric: bool) -> None:
        """Nothing."""

    def on_step(self, fit: Fit) -> None:
        """Raise the signal once."""
        if fit.step == INTERRUPTED_AT:
            signal.raise_signal(signal.SIGINT)

    def finished(self, scene: Any, interrupted: bool) -> None:
        """Nothing."""


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every tensor of the scene in a folder."""
    found = {}
    with safe_open(folder / FILE_NAME, "np") as file:
        for name in sorted(file.keys()):
            array = file.get_tensor(name)
            kind = f"{array.dtype} {array.shape} "
            found[name] = hashlib.sha256(kind.encode() + array.tobytes()).hexdigest()
    return found


def fitted(clip: Path, out: Path, options: dict[str, Any]) -> dict[str, str]:
    """Hashes of one fit."""
    return hashes(reconstruct(clip, out=out, **(SMALL | options)).out)


def resumed(clip: Path, out: Path, options: dict[str, Any]) -> dict[str, str]:
    """Hashes of a fit that was interrupted and continued."""
    execute(Reconstruct(clip, out=out, **(SMALL | options)), StageClock(), Interrupting())
    return fitted(clip, out, options | {"resume": True})


def one(found: dict[str, str]) -> str:
    """A short hash of a scene."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]


def all_hashes(work: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Hashes by case, and what differs that must be the same."""
    clip = work / "clip"
    endogs(["phantom", str(clip), *PHANTOM])
    found: dict[str, dict[str, str]] = {}
    faults = []
    for name, options in CASES.items():
        try:
            found[name] = fitted(clip, work / name.replace(" ", "_").replace(",", ""), options)
        except (InputError, TypeError) as error:
            print(f"{name:28} not fitted: {error}")
            continue
        print(f"{name:28} {one(found[name])}", flush=True)
        if name in INTERRUPTED and resumed(clip, work / f"{name}-resumed", options) != found[name]:
            faults.append(f"{name}: interrupted and resumed, the scene is another")
        if name in THREADED:
            threads = native.threads()
            native.set_threads(1 if threads > 1 else 2)
            if fitted(clip, work / f"{name}-threads", options) != found[name]:
                faults.append(f"{name}: with {native.threads()} threads the scene is another than with {threads}")
            native.set_threads(threads)
    return found, faults


def main() -> int:
    """Print the hashes; the exit status is 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="JSON file for the hashes")
    parser.add_argument("--against", type=Path, help="JSON file of an earlier --write on this machine")
    given = parser.parse_args()
    if not native.available():
        print("the compiled part of endogs is missing: " + native.problem())
        return 2
    with tempfile.TemporaryDirectory() as work:
        found, faults = all_hashes(Path(work))
    if given.against is not None:
        before = json.loads(given.against.read_text())
        if before["instructions"] != native.instruction_set():
            faults.append(f"the earlier hashes are of {before['instructions']}, these of {native.instruction_set()}")
        for name, tensors in before["scenes"].items():
            now = found.get(name, {})
            changed = sorted(key for key in tensors.keys() | now.keys() if tensors.get(key) != now.get(key))
            if changed:
                faults.append(f"{name}: {', '.join(changed)} differ from before")
    if given.write is not None:
        given.write.write_text(json.dumps({"instructions": native.instruction_set(), "scenes": found}, indent=1))
    print(*(faults or [f"{len(found)} scenes, no difference"]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
