"""Output folders that hold somebody else's work: nothing in them may be lost."""

import json
import os
import shutil
from typing import Any

from attacker import evil
from attacker.case import Case, Workplace
from attacker.families.options import options_of
from attacker.samples import SMALL_FIT

FOREIGN = (
    *(
        "checkpoints/epoch-90.pt",
        "checkpoints/last.safetensors",
        "checkpoints/deep/er/x.bin",
        "priors/depth-mine/000.npy",
        "priors/notes.txt",
    ),
    *(
        "metrics.json",
        "metrics.jsonl",
        "preview.mp4",
        "run.json",
        "scene.safetensors",
        "train.py",
        ".git/HEAD",
        ".scene.abc.partial.safetensors",
    ),
    *(".new.x.partial/data.bin", "depth/000000.png", "points.ply", "player.html", "checkpoints"),
)


def used_folder(at: Workplace) -> Case:
    """A command that writes into a folder where foreign files lie, whose names endogs would use itself."""
    random = at.random
    if random.random() < 0.3:
        return _forged_record(at)
    shutil.copytree(at.sample("scene-spline"), at.folder, dirs_exist_ok=True)
    target = at.folder if random.random() < 0.3 else at.folder / "target"
    names = random.sample(FOREIGN, random.choice((1, 2, 4, 8)))
    for name in names:
        file = target / name
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"somebody's own {name}: two weeks of work\n")
    if random.random() < 0.15:
        (target / "link").symlink_to("../clip")
    out = "." if target == at.folder else "target"
    verb = random.choice(
        (
            ("reconstruct", "clip", *SMALL_FIT, "--out", out),
            ("reconstruct", "clip", *SMALL_FIT, "--out", out),
            ("reconstruct", "clip", *SMALL_FIT, "--out", out, "--resume"),
            ("reconstruct", "nothing-here", "--out", out),
            ("phantom", out, "--frames", "2", "--width", "48", "--height", "40", "--tracks", "5"),
            ("export", "depth", "out", "--out", out),
            ("export", "points", "out", "--time", "all", "--out", out),
            ("export", "cameras", "out", "--format", "colmap", "--out", out),
            ("render", "out", "--out", out),
            ("export", "points", "out", "--out", out),
        )
    )
    return Case(f"{out} holds {', '.join(names)}", verb, ("clip", "target", out, *names, "nothing-here"))


def _forged_record(at: Workplace) -> Case:
    """A result whose record claims somebody else's files, by names and through links, and a run that replaces it."""
    random = at.random
    shutil.copytree(at.sample("cached"), at.folder, dirs_exist_ok=True)
    out, other = at.folder / "out", at.folder / "other"
    shutil.copytree(out, other)
    (at.folder / "somebody.txt").write_text("two weeks of work")
    (out / "notes.txt").write_text("two weeks of work")
    (other / "checkpoints").mkdir(exist_ok=True)
    (other / "checkpoints" / "last.safetensors").write_text("somebody's checkpoint")
    act = random.choice(("names", "link", "links", "foreign", "record", "other"))
    if act in ("link", "links"):
        for name in ("priors", "checkpoints")[: 1 + (act == "links")]:
            shutil.rmtree(out / name, ignore_errors=True)
            (out / name).symlink_to(f"../other/{name}")
    elif act == "foreign":
        (out / random.choice(("metrics.json", "preview.mp4", "metrics.jsonl"))).write_text("somebody's own")
    record = json.loads((out / "run.json").read_text())
    if act == "record":
        record, _ = evil.harm_json(random, record)
    elif act == "other":
        shutil.copy(other / "scene.safetensors", out / "run.json")
        record = None
    elif isinstance(record.get("result"), dict):
        record["result"]["files"] |= _claims(at, act)
    if record is not None:
        (out / "run.json").write_text(json.dumps(record))
    again = ("--overwrite",) if "--overwrite" in options_of("reconstruct") else ()
    arguments = ("reconstruct", "clip", "--out", random.choice(("out", "./out", "other/../out")), *SMALL_FIT, *again)
    own = (
        "out/scene.safetensors",
        "out/run.json",
        "out/metrics.json",
        "out/metrics.jsonl",
        "out/preview.mp4",
        "out/priors",
    )
    mine = () if act in ("link", "links", "foreign") else own
    return Case(f"a forged record: {act}", arguments, ("out", "run.json", "clip"), owned=(*mine, "out.unfinished"))


def _claims(at: Workplace, act: str) -> dict[str, Any]:
    """Files that a forged record calls its own, with their true sizes."""
    out = at.folder / "out"
    names = [f"../{name}" for name in ("somebody.txt", "clip/poses_bounds.npy")] + [
        "notes.txt",
        str(at.folder / "somebody.txt"),
    ]
    if act in ("link", "links"):
        names = [str(path.relative_to(out)) for path in out.glob("priors/*/*")] + ["checkpoints/last.safetensors"]
    return {name: os.path.getsize(out / name) for name in names if (out / name).is_file()}
