"""How many clicks make masks right: a simulated user corrects what is found, against the data sets' masks.

    python benchmarks/mask_clicks.py --clips DIR [--stride 3] [--clicks 12]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; a clip that is missing is named and left out. The
user looks for the frame that is most wrong, and clicks somewhere into the inner part of its largest wrong part. A click
after which that frame is worse is taken back, as a user who sees it would, and the place painted with a disc; both
count.
"""

import argparse
import time
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

COUNTS = (0, 1, 2, 4, 8, 12)
STARTS = {"d4d_bowel_lift": 1.5}
"""Seconds: the numbers of the outlines were chosen on the frames before."""
INNER = 0.6
"""Part of the greatest depth of a wrong part that the user keeps to."""


def click_at(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], frame: int, chance: np.random.Generator
) -> tuple[Click, float] | None:
    """A click into the largest wrong part of a mask (H, W), and how deep it lies there in widths; None for no part."""
    best, wrong, adds = 0, None, True
    for missed, instrument in ((truth & ~mask, True), (mask & ~truth, False)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(missed.view(np.uint8))
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
    return Click(frame, *place, adds), float(depth[rows[one], columns[one]]) / width


def corrected(clip: Clip, clicks: int) -> list[tuple[int, float, float, float]]:
    """(clicks, mean IoU, worst IoU, CPU seconds for the clicks so far) of a simulated user on a clip with masks."""
    truth = [clip.instrument(i) for i in range(len(clip))]
    found = with_instrument_masks(clip, "color")
    corrections = Corrections(found, found.instrument, instrument_odds(clip))
    chance, rows, spent, done = np.random.default_rng(0), [], 0.0, 0
    disc: Click | None = None
    while True:
        masks = [corrections.instrument(i) for i in range(len(clip))]
        iou = np.array([(m & t).sum() / max((m | t).sum(), 1) for m, t in zip(masks, truth, strict=True)])
        rows.append((done, float(iou.mean()), float(iou.min()), spent))
        if done >= clicks:
            return rows
        frame = int(np.argmin(iou))
        wanted = (disc, 0.0) if disc is not None else click_at(masks[frame], truth[frame], frame, chance)
        if wanted is None:
            return rows
        begin = time.process_time()
        corrections.apply(wanted[0])
        spent += time.process_time() - begin
        done, frame = done + 1, wanted[0].frame
        after = corrections.instrument(frame)
        worse = (after != truth[frame]).sum() >= (masks[frame] != truth[frame]).sum()
        disc = None
        if worse and not wanted[0].brush:
            corrections.undo()
            disc = Click(frame, wanted[0].x, wanted[0].y, wanted[0].adds, max(wanted[1], 1 / 500))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--clicks", type=int, default=12)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{date.today()}  mean IoU (worst frame)")
    print("| clip | frames | " + " | ".join(f"{count} clicks" for count in COUNTS) + " | CPU s a click |")
    print("|---" * (len(COUNTS) + 3) + "|", flush=True)
    for name in ("endonerf_pulling", "d4d_bowel_lift"):
        if not (options.clips / name).exists():
            print(f"| {name} | not there |")
            continue
        rows_ignored = ("495:512",) if name == "endonerf_pulling" else ()
        reading = ClipOptions(stride=options.stride, start=STARTS.get(name), ignore_rows=rows_ignored)
        clip = load_clip(options.clips / name, reading, look=False)
        rows = corrected(clip, options.clicks)
        shown = " | ".join(f"{mean:.3f} ({worst:.3f})" for count, mean, worst, _ in rows if count in COUNTS)
        print(f"| {name} | {len(clip)} | {shown} | {rows[-1][3] / max(len(rows) - 1, 1):.1f} |", flush=True)


if __name__ == "__main__":
    main()
