"""Output folders that hold somebody else's work: nothing in them may be lost."""

import shutil

from attacker.case import Case, Workplace
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
