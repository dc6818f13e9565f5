"""`endogs compare-poses`: read two camera paths, print how far they are apart, write JSON and a picture."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from endogs.errors import InputError
from endogs.evaluate.config import ComparePoses
from endogs.evaluate.keyframe_times import keyframe_flags
from endogs.evaluate.matched_paths import MatchedPaths, covered, match_paths
from endogs.evaluate.metrics.trajectory import PathComparison, compare_paths
from endogs.evaluate.path_chart import path_chart, write_path_chart
from endogs.evaluate.path_doubts import (
    convention_doubt,
    line_doubt,
    sameness_doubt,
    shift_doubt,
    stillness_doubt,
    tremble_doubt,
    unit_doubt,
)
from endogs.evaluate.path_table import lost_line, path_table
from endogs.evaluate.pose_files import read_path
from endogs.evaluate.writable import check_outputs
from endogs.output import write_json
from endogs.plain_text import plain


def run_compare_poses(config: ComparePoses) -> PathComparison:
    """Compare the paths, print the numbers, write them where `config` says, and return them.

    Raises InputError for what cannot be read, compared or written, before anything is measured where that is known.
    """
    check_outputs({"--out": config.out, "--plot": config.plot}, (config.estimate, config.reference, config.keyframes))
    if config.plot is not None and config.plot.suffix.lower() != ".png":
        raise InputError(f"{config.plot}: the plot is a PNG picture; give a name in .png.")
    estimate = read_path(config.estimate, lost_allowed=True).read_as(config.pose_convention)
    reference = read_path(config.reference).read_as(config.reference_convention)
    estimate = replace(estimate, times=estimate.times + config.time_offset)
    matched = match_paths(estimate, reference, config.max_difference)
    keyframes = None
    if config.keyframes is not None:
        keyframes = keyframe_flags(config.keyframes, matched.times, config.max_difference, config.time_offset)
    found = compare_paths(matched.estimated, matched.true, keyframes, matched.frames)
    notes = [*estimate.notes, *reference.notes, *matched.notes, *doubts(config, matched)]
    if gaps := max((row.over_gaps for row in found.relative), default=0):
        notes.append(f"RPE counts matched poses: {gaps} pairs or fewer lie further apart, over frames that are lost")

    for path, what in ((estimate, "judged"), (reference, "reference")):
        print(f"{what + ':':11}{plain(path.source)}, {covered(path.times)}")
    print("\n".join([lost_line(matched.lost, matched.expected), *path_table(found.as_dict())]))
    sys.stdout.flush()
    for note in notes:
        print(f"note: {plain(note, 2000)}", file=sys.stderr)
    if config.out is not None:
        write_comparison(config.out, config, matched, found, notes)
        print(f"wrote {plain(config.out)}")
    if config.plot is not None:
        write_path_chart(config.plot, path_chart(matched.times, matched.estimated, matched.true))
        print(f"wrote {plain(config.plot)}")
    return found


def doubts(config: ComparePoses, matched: MatchedPaths) -> list[str]:
    """Sentences on what is likely wrong with one of the files."""
    estimated, true = matched.estimated, matched.true
    found = [stillness_doubt(estimated), sameness_doubt(estimated, true), line_doubt(true)]
    if doubt := convention_doubt(estimated, true):
        options = {"estimate": "--pose-convention", "reference": "--reference-convention"}
        advice = " or ".join(f"the {side}'s ({options[side]} {doubt.convention})" for side in doubt.sides)
        found.append(
            f"the paths fit far better if poses are read as {doubt.convention}, {advice}: motions over {doubt.frames} "
            f"frames are then wrong by {doubt.then:.1%} of their length instead of {doubt.as_read:.1%}, scales aligned"
        )
        estimated, true = doubt.estimated, doubt.true
    elif late := shift_doubt(matched.times, estimated, true):
        found.append(f"{late}; --time-offset moves the estimate's")
    trembling = [tremble_doubt(true, "reference"), tremble_doubt(estimated, "estimate")]
    found += trembling if any(trembling) else [unit_doubt(estimated, true)]
    return [sentence for sentence in found if sentence is not None]


def write_comparison(
    path: Path, config: ComparePoses, matched: MatchedPaths, found: PathComparison, notes: list[str]
) -> None:
    """The numbers as a JSON object, with what was lost and the notes."""
    content: dict[str, Any] = {"estimate": str(config.estimate), "reference": str(config.reference)}
    content |= {"frames": matched.expected, "lost": matched.lost, "share_lost": matched.lost / matched.expected}
    content |= found.as_dict() | {"notes": notes}
    write_json(path, content)
