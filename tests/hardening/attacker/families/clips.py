"""Folders in every layout, with damaged files: each reader, its pose check and its pictures."""

import shutil
from collections.abc import Callable
from pathlib import Path

from attacker.case import Case, Workplace
from attacker.damage import harm_folder
from attacker.samples import CLIPS, SMALL_FIT, clip_at

OPTIONS = (
    *((), (), (), (), ("--max-size", "16"), ("--stride", "2"), ("--start", "0.05"), ("--end", "0.1"), ("--fps", "10")),
    *(("--crop", "0", "0", "16", "12"), ("--borders", "keep"), ("--undistorted-degrees", "60"), ("--focal", "30")),
    ("--ignore-box", "2,2,9,9"),
)


def damaged_clip(at: Workplace) -> Case:
    """One sound clip, damaged, looked at by `inspect`, read frame by frame, or reconstructed."""
    name = at.random.choice(sorted(CLIPS))
    root = at.folder / "clip"
    shutil.copytree(at.sample(name), root)
    at.notes, names = harm_folder(at.random, root, at.canary)
    clip, options = clip_at(name, root)
    about = f"{name}: {'; '.join(at.notes)}"
    names += [clip.name, root.name]
    where = str(clip.relative_to(at.folder))
    turn = at.random.random()
    if turn < 0.5:
        arguments = ("inspect", where, "--out", "sheet.png", *options, *at.random.choice(OPTIONS))
        return Case(about, arguments, tuple(names), call=_read_all(clip, options) if turn < 0.25 else None)
    if turn < 0.62:
        masks = ("--masks", "--masks-from", at.random.choice(("auto", "given", "found", "color")))
        return Case(about, ("inspect", where, "--out", "sheet.png", *options, *masks), tuple(names))
    arguments = ("reconstruct", where, "--out", "out", *SMALL_FIT, *options, *at.random.choice(OPTIONS))
    return Case(about, arguments, tuple(names), owned=("out",))


def _read_all(clip: Path, options: tuple[str, ...]) -> Callable[[], None]:
    """Reads every picture, depth map, mask and right view, which `inspect` does of some frames only."""

    def read() -> None:
        from endogs.cli import Verb, parse
        from endogs.clip import load_clip

        found = load_clip(clip, parse(["inspect", str(clip), *options], Verb).clip)
        for frame in range(len(found)):
            found.image(frame)
            found.tissue_mask(frame)
            if found.has_depth:
                found.depth(frame)
            if found.has_right:
                found.right_image(frame)

    return read
