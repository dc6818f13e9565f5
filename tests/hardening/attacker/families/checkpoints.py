"""Checkpoints made worse, and runs that continue from them."""

import contextlib
import json
import shutil
from importlib import import_module
from pathlib import Path

from attacker import evil
from attacker.case import Case, Workplace
from attacker.damage import harm_disk, harm_file
from attacker.families.options import options_of
from attacker.pickles import pickle_that_makes, torch_file_that_makes
from attacker.samples import INTERRUPTED_FIT, SMALL_FIT
from attacker.tensors import Tensors, harm_metadata, harm_tensors


def damaged_checkpoint(at: Workplace) -> Case:
    """What Ctrl-C left, with a damaged checkpoint or something else of the run, resumed."""
    random = at.random
    if random.random() < 0.2:
        return _damaged_guess(at)
    shutil.copytree(at.sample("checkpoint"), at.folder, dirs_exist_ok=True)
    checkpoint = next(at.folder.glob("*/checkpoints/*.safetensors"))
    out = checkpoint.parents[1]
    files = sorted(path for path in out.rglob("*") if path.is_file())
    turn = random.random()
    names = ["out", "checkpoints", checkpoint.name, "clip"]
    if turn < 0.75:
        said = _harm(at, checkpoint)
        if random.random() < 0.7:
            _seal(out, checkpoint)
    elif turn < 0.85:
        said = harm_disk(random, out, checkpoint)
    else:
        other = random.choice([path for path in files if path != checkpoint])
        names.append(other.name)
        changed, what = evil.harm_bytes(random, other.read_bytes())
        other.write_bytes(changed)
        said = f"{other.name}: {what}"
    arguments = ("reconstruct", "clip", "--out", "out", *INTERRUPTED_FIT, "--resume")
    return Case(f"checkpoint: {said}", arguments, tuple(names), owned=("out", "out.unfinished"))


def _damaged_guess(at: Workplace) -> Case:
    """What was guessed for an earlier run, damaged, in the way of the same run once more."""
    shutil.copytree(at.sample("cached"), at.folder, dirs_exist_ok=True)
    kept = sorted(path for path in (at.folder / "out" / "priors").rglob("*") if path.is_file())
    said = []
    for _ in range(at.random.choice((1, 2, 5))):
        file = at.random.choice(kept)
        if not file.is_file() or at.random.random() < 0.1:
            continue
        if file.suffix == ".safetensors" and at.random.random() < 0.7:
            tensors = Tensors.read(file) if not said else None
            if tensors is not None:
                said.append(harm_tensors(at.random, tensors))
                tensors.write(file)
                continue
        said.append(harm_file(at.random, file, at.canary))
    again = ("--overwrite",) if "--overwrite" in options_of("reconstruct") else ()
    arguments = ("reconstruct", "clip", "--out", "out", *SMALL_FIT, *again)
    names = ("out", "priors", "clip", *(file.name for file in kept))
    return Case(f"guessed depth: {'; '.join(said)}", arguments, names, owned=("out", "out.unfinished"))


def _harm(at: Workplace, path: Path) -> str:
    random, turn = at.random, at.random.random()
    if turn < 0.06:
        path.write_bytes(pickle_that_makes(at.canary))
        return "a pickle"
    if turn < 0.12:
        torch_file_that_makes(path, at.canary)
        return "a torch file"
    if turn < 0.25:
        changed, said = evil.harm_bytes(random, path.read_bytes())
        path.write_bytes(changed)
        return said
    file, done = Tensors.read(path), []
    for _ in range(random.choice((1, 1, 2))):
        done.append(harm_metadata(random, file) if random.random() < 0.45 else harm_tensors(random, file))
    file.write(path)
    return "; ".join(done)


def _seal(out: Path, checkpoint: Path) -> None:
    """Make the checksum in the file and the size in the folder's record true again, as somebody would who wants in."""
    with contextlib.suppress(Exception):  # what was damaged may not be read any more
        module = import_module("endogs.fit.checkpoint")
        found = module.load_checkpoint(checkpoint.parent)
        checksum = module.checksum_of(found._text(), {name: found.tensors[name] for name in found.layout})
        file = Tensors.read(checkpoint)
        file.metadata["checksum"] = checksum
        file.write(checkpoint)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((out / "run.json").read_text())
        record["result"]["files"][checkpoint.relative_to(out).as_posix()] = checkpoint.stat().st_size
        (out / "run.json").write_text(json.dumps(record))
