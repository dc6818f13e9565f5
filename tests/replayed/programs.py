"""Rows about whole commands (INPUTS.md, part A): whose clip is judged, what exports hold, what a console can show.

Cases 42 to 44 fit small scenes in their make.sh.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
from replayed.outcome import Outcome, Row

from endogs.clip import load_clip

SHOTS = ("cut", "title_card", "black_lead", "frozen", "twice", "still")


def program_rows() -> list[Row]:
    """The rows of cases 06, 20, 35, 37, 42 to 45."""
    return [
        *(
            Row("06-colon-name", name, lambda o: o.holds(8) and inspected(o))
            for name in ("13:05:22.mp4", "file:x.mp4", "pipe:0.mp4", "clip %03d 100%.mp4", "-dash.mp4")
        ),
        *(
            Row("20-latin1-names", name, inspected)
            for name in ("images_latin1", "dossier_\udce9t\udce9", "vid/op\udce9ration.mp4")
        ),
        Row("20-latin1-names", "bad/op\udce9ration.mp4", lambda o: inspected(o, code=2)),
        *(Row("35-cuts-and-freezes", f"{name}.mp4", lambda o: o.says("not one shot")) for name in SHOTS[:4]),
        Row("35-cuts-and-freezes", "twice.mp4", lambda o: o.says("12 of 24", "--stride 2")),
        Row("35-cuts-and-freezes", "flash.mp4", lambda o: o.holds(12) and not o.says("a cut")),
        *(
            Row("37-cut-in-the-middle", name, lambda o: o.clip is not None and len(o.clip) > 8 and o.says("frames"))
            for name in ("late.ts", "late_unaligned.ts", "frag_cut.mp4")
        ),
        Row("37-cut-in-the-middle", "m_noindex.avi", lambda o: o.holds(34)),
        Row("37-cut-in-the-middle", "no_moov.mp4", lambda o: o.says("copy it again")),
        Row("42-other-clip-of-the-same-name", "case_a/clip.mp4", judged_on_its_own),
        Row("42-other-clip-of-the-same-name", "case_b/clip.mp4", other_is_refused),
        Row("43-export-timing-and-colour", "vfr.mp4", lambda o: same_times(o, "11-gap/phone_vfr.mkv")),
        Row("43-export-timing-and-colour", "pal.mp4", lambda o: same_aspect(o, "36-odd-and-oblong/pal_wide.mp4")),
        Row("43-export-timing-and-colour", "hd.mp4", says_its_colours),
        Row("44-xyz-in-meshlab", "p.xyz", columns_of_numbers),
        Row("45-console-encoding", "видео.mp4", lambda o: inspected(o, encoding="cp1252")),
        Row("45-console-encoding", "op\udce9ration.mp4", inspected),
    ]


def command(folder: Path, *words: object, encoding: str = "utf-8") -> subprocess.CompletedProcess:
    """`endogs WORDS` in a folder, on a console of that encoding which takes nothing else."""
    code = "import sys; from endogs.cli import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=folder, env=environment, capture_output=True, check=False
    )


def inspected(outcome: Outcome, code: int = 0, encoding: str = "utf-8") -> bool:
    """Whether `endogs inspect`, with the path as it is typed beside the file, ends with `code` and no traceback."""
    name = f"./{outcome.path.name}" if outcome.path.name.startswith("-") else outcome.path.name
    done = command(outcome.path.parent, "inspect", name, "--out", "sheet.png", encoding=encoding)
    return done.returncode == code and b"Traceback" not in done.stderr


def psnr(folder: Path, *words: object) -> float | None:
    """What `evaluate` says from `folder`; None where it refuses."""
    out = folder / "judged.json"
    out.unlink(missing_ok=True)
    done = command(folder, "evaluate", *words, "--measures", "psnr", "--out", out)
    return float(json.loads(out.read_text())["mean"]["psnr"]) if done.returncode == 0 else None


def judged_on_its_own(outcome: Outcome) -> bool:
    """The same number from the clip's folder, from the one above and from the other clip's folder."""
    here = outcome.path.parent
    own = psnr(here, "clip_endogs")
    return own is not None and psnr(here.parent, "case_a/clip_endogs") == own == psnr(
        here.parent / "case_b", "../case_a/clip_endogs"
    )


def other_is_refused(outcome: Outcome) -> bool:
    """Where the scene's own clip is gone, the other one of its name is not taken for it."""
    case = outcome.path.parents[1]
    own = case / "case_a" / "clip.mp4"
    own.rename(own.with_suffix(".away"))
    try:
        done = command(outcome.path.parent, "evaluate", "../case_a/clip_endogs", "--measures", "psnr")
    finally:
        own.with_suffix(".away").rename(own)
    return done.returncode == 2 and b"--clip" in done.stderr


def same_times(outcome: Outcome, source: str) -> bool:
    """Whether the video's frames have the source's seconds, to a millisecond."""
    times = load_clip(outcome.path.parents[1] / source).times
    return (
        outcome.holds(len(times))
        and outcome.clip is not None
        and bool(np.allclose(outcome.clip.times, times, atol=2e-3))
    )


def same_aspect(outcome: Outcome, source: str) -> bool:
    """Whether pixels are declared as oblong as they are drawn: the shown width over height is the source's."""
    shapes = []
    for path in (outcome.path, outcome.path.parents[1] / source):
        with av.open(str(path)) as video:
            stream = video.streams.video[0]
            shapes.append(float(stream.width * (stream.sample_aspect_ratio or 1) / stream.height))
    return abs(shapes[0] / shapes[1] - 1) < 0.02


def says_its_colours(outcome: Outcome) -> bool:
    """Whether an HD video says that its matrix is BT.709 and its range limited (ITU-T H.273: 1; FFmpeg: 1)."""
    with av.open(str(outcome.path)) as video:
        context = video.streams.video[0].codec_context
        return context.width >= 1280 and int(context.colorspace) == 1 and int(context.color_range) == 1


def columns_of_numbers(outcome: Outcome) -> bool:
    """Whether plain numbers, three to six a line, are all that the file holds, and trimesh reads as many points."""
    import trimesh

    table = np.loadtxt(outcome.path, comments=None)
    read = trimesh.load(outcome.path)
    return 3 <= table.shape[1] <= 6 and len(table) > 1000 and len(read.vertices) == len(table)
