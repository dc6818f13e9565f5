"""How many clicks make masks right: a simulated user corrects what is found, against the data sets' masks.

    python benchmarks/mask_clicks.py --clips DIR [--stride 3] [--clicks 12]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; a clip that is missing is named and left out. The
user looks for the frame that is most wrong, and clicks somewhere into the inner part of its largest wrong part. What is
wrong by less than 1 % of the width is left alone, and is not counted in the second table: drawn masks have margins. A
click after which that frame is worse is taken back, as a user who sees it would, and the place painted with a disc;
both count.
"""

import argparse
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.priors.instruments.choose import with_instrument_masks
from endogs.priors.instruments.click_evidence import instrument_odds
from endogs.priors.instruments.clicks import Click
from endogs.priors.instruments.corrections import Corrections
from endogs.priors.instruments.masks import Mask, grown

COUNTS = (0, 1, 2, 4, 8, 12)
STARTS = {"d4d_bowel_lift": 1.5}
"""Seconds: the numbers of the outlines were chosen on the frames before."""
RIM = 0.01
"""Widths by which outlines may differ."""
INNER = 0.6
"""Part of the greatest depth of a wrong part that the user keeps to."""


def wrong_parts(mask: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Where (H, W) an instrument is missing from a mask, and where there is none, beyond the rim."""
    rim = max(1, round(RIM * mask.shape[1]))
    return truth & ~grown(mask, rim), mask & ~grown(truth, rim)


def overlaps(mask: Mask, truth: Mask) -> tuple[float, float]:
    """IoU of two masks (H, W), and the same with everything right that is wrong within the rim only."""
    union, wrong = max(int((mask | truth).sum()), 1), int(np.logical_or(*wrong_parts(mask, truth)).sum())
    return (mask & truth).sum() / union, 1 - wrong / union


def click_at(mask: Mask, truth: Mask, frame: int, chance: np.random.Generator) -> tuple[Click, float] | None:
    """A click into the largest wrong part of a mask (H, W), and how deep it lies there in widths; None for no part."""
    best, wrong, adds = 0, None, True
    for part, instrument in zip(wrong_parts(mask, truth), (True, False), strict=True):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(part.view(np.uint8))
        if count > 1 and stats[1:, cv2.CC_STAT_AREA].max() > best:
            label = int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) + 1
            best, wrong, adds = int(stats[label, cv2.CC_STAT_AREA]), labels == label, instrument
    if wrong is None:
        return None
    height, width = mask.shape
    depth = cv2.distanceTransform(np.pad(wrong, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= INNER * depth.max())
    one = int(chance.integers(len(rows)))
    place = (columns[one] + 0.5) / width, (rows[one] + 0.5) / height
    return Click(frame, *place, adds), float(depth[rows[one], columns[one]]) / width + RIM


@dataclass(frozen=True)
class Count:
    """What a number of clicks has come to."""

    clicks: int
    iou: NDArray[np.float64]
    """(F, 2) of `overlaps`."""
    seconds: float
    """CPU time of all clicks so far."""


def corrected(clip: Clip, clicks: int) -> list[Count]:
    """A simulated user at a clip with masks, after 0, 1, 2 ... clicks."""
    truth = [clip.instrument(i) for i in range(len(clip))]
    found = with_instrument_masks(clip, "color")
    corrections = Corrections(found, found.instrument, instrument_odds(clip))
    chance, counts, spent, done = np.random.default_rng(0), [], 0.0, 0
    disc: Click | None = None
    while True:
        masks = [corrections.instrument(i) for i in range(len(clip))]
        iou = np.array([overlaps(m, t) for m, t in zip(masks, truth, strict=True)])
        counts.append(Count(done, iou, spent))
        frame = int(np.argmin(iou[:, 1]))
        wanted = (disc, 0.0) if disc is not None else click_at(masks[frame], truth[frame], frame, chance)
        if done >= clicks or wanted is None:
            return counts
        begin = time.process_time()
        corrections.apply(wanted[0])
        spent += time.process_time() - begin
        done, frame = done + 1, wanted[0].frame
        worse = overlaps(corrections.instrument(frame), truth[frame])[1] <= iou[frame, 1]
        disc = None
        if worse and not wanted[0].brush:
            corrections.undo()
            disc = Click(frame, wanted[0].x, wanted[0].y, wanted[0].adds, wanted[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--clicks", type=int, default=12)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    tables: list[list[str]] = [[], []]
    for name in ("endonerf_pulling", "d4d_bowel_lift"):
        if not (options.clips / name).exists():
            print(f"{name} is not there")
            continue
        ignored = ("495:512",) if name == "endonerf_pulling" else ()
        reading = ClipOptions(stride=options.stride, start=STARTS.get(name), ignore_rows=ignored)
        clip = load_clip(options.clips / name, reading, look=False)
        counts = corrected(clip, options.clicks)
        for which, table in enumerate(tables):
            shown = [count.iou[:, which] for count in counts if count.clicks in COUNTS]
            cells = " | ".join(f"{iou.mean():.3f} ({iou.min():.3f})" for iou in shown)
            table.append(f"| {name} | {len(clip)} | {cells} | {counts[-1].seconds / max(len(counts) - 1, 1):.1f} |")
    for title, table in zip(("IoU", "IoU, rims left out"), tables, strict=True):
        print(f"{date.today()}  {title}: mean over frames (worst frame)")
        print("| clip | frames | " + " | ".join(f"{count} clicks" for count in COUNTS) + " | CPU s a click |")
        print("|---" * (len(COUNTS) + 3) + "|")
        print("\n".join(table), flush=True)


if __name__ == "__main__":
    main()
