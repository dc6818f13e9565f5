"""Files that options name: recipes, trajectories, tracks, calibrations, masks and weights."""

import shutil

from attacker.case import Case, Workplace
from attacker.damage import harm_disk, harm_file
from attacker.pickles import pickle_that_makes, torch_file_that_makes
from attacker.samples import SMALL_FIT

KINDS = {
    "recipe": ("recipe.toml", ("reconstruct", "recipe.toml", "--data", "clip", "--out", "new", *SMALL_FIT)),
    "trajectory": ("trajectory.tum", ("evaluate", "out", "--trajectory", "trajectory.tum")),
    "path": ("trajectory.tum", ("compare-poses", "trajectory.tum", "reference.tum")),
    "reference": ("reference.tum", ("compare-poses", "trajectory.tum", "reference.tum")),
    "points": ("points.npz", ("evaluate", "out", "--sparse-points", "points.npz")),
    "cloud": ("cloud.ply", ("evaluate", "out", "--sparse-points", "cloud.ply")),
    "tracks": ("tracks.npz", ("evaluate", "out", "--tracks", "tracks.npz")),
    "calibration": ("camera.json", ("inspect", "frames", "--out", "sheet.png", "--calibration", "camera.json")),
    "colmap-camera": ("cameras.txt", ("inspect", "frames", "--out", "sheet.png", "--calibration", "cameras.txt")),
    "opencv-xml": ("camera.xml", ("inspect", "frames", "--out", "sheet.png", "--calibration", "camera.xml")),
    "ignore-mask": ("mask.png", ("inspect", "clip", "--out", "sheet.png", "--ignore-mask", "mask.png")),
    "clicks": (
        "clicks.json",
        ("inspect", "frames", "--out", "sheet.png", "--masks", "--masks-from", "none", "--clicks", "clicks.json"),
    ),
    "mask-list": ("given/masks.json", ("inspect", "frames", "--out", "sheet.png", "--mask-folder", "given")),
    "sam2-mask": (
        "mask.png",
        (
            "reconstruct",
            "clip",
            "--out",
            "new",
            "--masks",
            "sam2",
            "--sam2-model",
            "model",
            "--sam2-mask",
            "0:mask.png",
        ),
    ),
    "weights": ("alex.pth", ("evaluate", "out", "--lpips-weights", "alex.pth")),
    "packed": (
        "both.mp4",
        ("inspect", "both.mp4", "--out", "sheet.png", "--stereo", "side-by-side", "--calibration", "calibration.json"),
    ),
}
SHARES = {"recipe": 4, "trajectory": 2, "tracks": 3, "calibration": 3, "weights": 0.6, "sam2-mask": 0.4}


def damaged_file(at: Workplace) -> Case:
    """A sound command that names a file, and the file made worse."""
    random = at.random
    kind = random.choices(list(KINDS), [SHARES.get(name, 1) for name in KINDS])[0]
    shutil.copytree(at.sample("files"), at.folder, dirs_exist_ok=True)
    shutil.rmtree(at.folder / "clip")
    shutil.copytree(at.sample("scene-spline"), at.folder, dirs_exist_ok=True)
    name, arguments = KINDS[kind]
    if kind == "recipe":
        shutil.rmtree(at.folder / "clip")
        shutil.copytree(at.sample("files") / "clip", at.folder / "clip")
    if kind == "packed":
        shutil.copytree(at.sample("packed"), at.folder, dirs_exist_ok=True)
        name = random.choice(("both.mp4", "calibration.json", "calibration.json"))
    file = at.folder / name
    if kind == "weights":
        if random.random() < 0.5:
            torch_file_that_makes(file, at.canary)
        else:
            file.write_bytes(pickle_that_makes(at.canary))
        said = "a pickle"
    elif random.random() < 0.08:
        said = harm_disk(random, at.folder, file)
    else:
        said = "; ".join(harm_file(random, file, at.canary) for _ in range(random.choice((1, 1, 2))))
    named = (name, file.stem, "clip", "frames", "both.mp4", "out", "model", "given")
    return Case(f"{kind} {name}: {said}", arguments, named)
