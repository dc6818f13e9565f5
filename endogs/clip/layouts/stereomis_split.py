"""What StereoMIS says about which frames its authors evaluate: test_split.csv and sequences.txt.

test_split.csv of a sequence holds `start,end`, the first and the last frame of a part; sequences.txt beside the
sequences holds `sequence,step`: every step-th frame is used (https://github.com/aimi-lab/robust-pose-estimator).
"""

import math
from pathlib import Path

from endogs.bounded_files import is_file
from endogs.clip.config import ClipOptions
from endogs.clip.files.number_files import finite_numbers, read_text
from endogs.clip.files.stacked_video import StackedVideo

SPLIT, SEQUENCES = "test_split.csv", "sequences.txt"
NAMED = 4
"""Parts that a note offers before it counts the rest."""


def split_notes(path: Path, views: StackedVideo, options: ClipOptions) -> list[str]:
    """The options for the parts of test_split.csv and the step of sequences.txt, where nothing is chosen yet."""
    notes = []
    if is_file(path / SPLIT) and options.start is None and options.end is None:
        notes += _parts(path / SPLIT, views)
    file = next((place for place in (path / SEQUENCES, path.resolve().parent / SEQUENCES) if is_file(place)), None)
    if file is not None and options.stride == 1:
        rows = (line.split(",") for line in read_text(file).splitlines())
        steps = [row[1] for row in rows if len(row) == 2 and row[0].strip() == path.resolve().name]
        step = finite_numbers(steps[0], steps[:1]) if steps else []
        if step and step[0] > 1 and step[0] == int(step[0]):
            notes.append(
                f"{SEQUENCES}: of this sequence every {int(step[0])}. frame is meant, but all are read; --stride "
                f"{int(step[0])} chooses those."
            )
    return notes


def _parts(file: Path, views: StackedVideo) -> list[str]:
    """The parts of test_split.csv that are not the whole clip, with the options in seconds that choose each."""
    rows = []
    for line in read_text(file).splitlines():
        numbers = finite_numbers(line, line.split(","))
        if len(numbers) == 2 and 0 <= numbers[0] <= numbers[1]:
            rows.append((int(numbers[0]), int(numbers[1])))
    if not rows:
        return [f"{SPLIT} is not used: it holds no rows of two frame numbers, start and end."]
    offers = []
    for first, last in rows:
        inside = [i for i, frame in enumerate(views.kept) if first <= frame <= last]
        if not inside:
            offers.append(f"frames {first} to {last}, which the clip has not")
        elif len(inside) < len(views.kept):
            start, end = (float(views.times[i]) for i in (inside[0], inside[-1]))
            begin, stop = math.floor(start * 1000 + 1e-3) / 1000, math.ceil(end * 1000 - 1e-3) / 1000
            offers.append(f"frames {first} to {last} by --start {begin:.3f} --end {stop:.3f}")
    if not offers:
        return []
    more = f" and {len(offers) - NAMED} parts more" if len(offers) > NAMED else ""
    return [f"{SPLIT} is not followed, all frames are read; it names {', '.join(offers[:NAMED])}{more}."]
