"""Takes the measurements of docs/RESULTS.md again and writes their tables into it.

    python benchmarks/results.py --clips DIR [--only NAME ...] [--work DIR] [--list]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders. Every table of docs/RESULTS.md stands between
`<!-- NAME -->` and `<!-- end -->`; those of the sections that were asked for are replaced by what their scripts print
now, under the commands, the date and the machine. Without --only everything is measured, which takes some hours on two
cores; what needs a GPU is left as it is where there is none. A section whose script fails is named and left as it is.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from endogs.device import choose_device, device_name
from endogs.output import new_file
from endogs.version import __version__

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "RESULTS.md"
PULLING = "pulling={clips}/endonerf_pulling,ignore-rows=495:512"
CLIPS = (PULLING, "d4d={clips}/d4d_bowel_lift,stride=3", "phantom={work}/phantom")
SMALL = ("--gaussians", "30000", "--clips", *(clip + ",max-size=320" for clip in CLIPS))
PRESETS = ("--models", "spline", "fast", "best")
MODELS = ("--models", "spline", "lowrank", "bases-quartic", "hexplane", "recipe-deform3dgs", "recipe-endogaussian")
PHANTOM = ("phantom", "{work}/phantom30", "--frames", "60", "--instruments", "2", "--seed", "3")


@dataclass(frozen=True)
class Section:
    """Commands whose tables make one block of the page; `{clips}` and `{work}` stand for the folders."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    needs_gpu: bool = False


SECTIONS = (
    Section(
        "presets",
        (
            ("compare_models.py", "--summary", *PRESETS, "--out", "{work}/presets", "--clips", *CLIPS),
            ("reconstruct_clips.py", "--clips", "{clips}", "--only", "pulling, standard"),
        ),
    ),
    Section(
        "models",
        (("compare_models.py", "--summary", *MODELS, "--seconds", "20", "--out", "{work}/models", *SMALL),),
    ),
    Section(
        "truth",
        (
            ("endogs", *PHANTOM),
            ("endogs", "reconstruct", "{work}/phantom30", "--out", "{work}/scene", "--overwrite"),
            ("measure_phantom.py", "{work}/phantom30", "{work}/scene"),
        ),
    ),
    Section("depth", (("reconstruct_clips.py", "--clips", "{clips}", "--only", "depth"),)),
    Section("masks", (("priors_masks.py", "--clips", "{clips}"),)),
    Section(
        "gpu",
        (
            ("reconstruct_clips.py", "--clips", "{clips}", "--only", "pulling, standard", "--device", "cuda"),
            ("rasterize_cuda.py",),
        ),
        needs_gpu=True,
    ),
    Section("viewer", (("view_fps.py",),)),
)


def measured(section: Section, clips: Path, work: Path) -> str:
    """What a section's commands print: their tables, and lines between them. Raises CalledProcessError."""
    printed = []
    for command in section.commands:
        words = [word.format(clips=clips, work=work) for word in command]
        if words[:2] == ["endogs", "phantom"] and Path(words[2]).exists():
            continue
        start = [sys.executable, "-m", "endogs"] if words[0] == "endogs" else [sys.executable, str(HERE / words[0])]
        process = subprocess.run([*start, *words[1:]], check=True, stdout=subprocess.PIPE, text=True)
        if words[0] != "endogs":
            printed.append(process.stdout.strip())
    said = "; ".join("`" + public(command) + "`" for command in section.commands)
    machine = f"endogs {__version__}, {device_name(choose_device('auto'))}, torch {torch.__version__}"
    return f"{said}, {date.today()}, {machine}.\n\n" + "\n\n".join(printed) + "\n"


def public(command: tuple[str, ...]) -> str:
    """A command as a reader of the page types it."""
    start = "endogs" if command[0] == "endogs" else f"python benchmarks/{command[0]}"
    words = [word.replace("{clips}", "DIR").replace("{work}/", "") for word in command[1:]]
    return f"{start} {shlex.join(words)}".strip()


def with_block(page: str, name: str, text: str) -> str:
    """The page with another text in a section's block. Raises ValueError where the page has no such block."""
    block = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    found, count = block.subn(lambda start: start[1] + text, page)
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} blocks <!-- {name} -->")
    return found


def main() -> None:
    """Measure what was asked for, and write each section as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--only", nargs="*", choices=[section.name for section in SECTIONS])
    parser.add_argument("--work", type=Path, help="keep clips and scenes here, and go on from what is there")
    parser.add_argument("--list", action="store_true", help="show each section's commands and leave")
    options = parser.parse_args()
    chosen = [section for section in SECTIONS if options.only is None or section.name in options.only]
    if options.list:
        print("\n".join(f"{section.name}: " + "; ".join(map(public, section.commands)) for section in chosen))
        return
    if options.clips is None:
        parser.error("--clips is needed to measure")
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    failed = []
    for section in chosen:
        if section.needs_gpu and not torch.cuda.is_available():
            print(f"{section.name}: left as it is, there is no GPU")
            continue
        print(f"{section.name} ...", flush=True)
        try:
            text = measured(section, options.clips.resolve(), work.resolve())
        except subprocess.CalledProcessError as error:
            failed.append(f"{section.name}: left as it is; {error}")
            continue
        page = with_block(PAGE.read_text(encoding="utf-8"), section.name, text)
        with new_file(PAGE) as file:
            file.write_text(page, encoding="utf-8")
    if options.work is None:
        shutil.rmtree(work)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
