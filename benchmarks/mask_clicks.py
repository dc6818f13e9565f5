"""How many clicks make masks right: a simulated user corrects what colour finds, against the data sets' masks.

    python benchmarks/mask_clicks.py --clips DIR [--stride 3] [--clicks 12]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; a clip that is missing is named and left out. The
user looks for the frame that is most wrong, and clicks into the middle of the largest wrong part of it.
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


def largest_error(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float, bool] | None:
    """Column and row of the deepest pixel of the largest wrong part, and whether an instrument is missing there."""
    best, place = 0, None
    for wrong, adds in ((truth & ~mask, True), (mask & ~truth, False)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.view(np.uint8))
        if count > 1 and stats[1:, cv2.CC_STAT_AREA].max() > best:
            label = int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) + 1
            best = int(stats[label, cv2.CC_STAT_AREA])
            depth = cv2.distanceTransform(np.pad(labels == label, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
            row, column = np.unravel_index(int(depth.argmax()), depth.shape)
            place = (float(column) + 0.5, float(row) + 0.5, adds)
    return place


def corrected(clip: Clip, clicks: int) -> list[tuple[int, float, float, float]]:
    """(clicks, mean IoU, worst IoU, seconds for the clicks so far) of a simulated user on a clip with masks."""
    truth = [~clip.tissue_mask(i) & ~clip.ignored for i in range(len(clip))]
    found = with_instrument_masks(clip, "color")
    corrections = Corrections(found, found.instrument, instrument_odds(clip))
    rows, spent = [], 0.0
    dead: set[tuple[int, int, int]] = set()
    for done in range(clicks + 1):
        masks = [corrections.instrument(i) for i in range(len(clip))]
        iou = np.array([(m & t).sum() / max((m | t).sum(), 1) for m, t in zip(masks, truth, strict=True)])
        rows.append((done, float(iou.mean()), float(iou.min()), spent))
        if done == clicks:
            break
        for frame in np.argsort(iou):
            place = largest_error(masks[frame], truth[frame])
            if place is None or (int(frame), int(place[0]), int(place[1])) in dead:
                continue
            dead.add((int(frame), int(place[0]), int(place[1])))
            begin = time.perf_counter()
            edit = corrections.apply(Click(int(frame), place[0] / clip.width, place[1] / clip.height, place[2]))
            spent += time.perf_counter() - begin
            print(f"   {edit.click} reached {len(edit.patches)} frames", flush=True)
            break
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--clicks", type=int, default=12)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{date.today()}")
    print("| clip | frames | " + " | ".join(f"{count} clicks" for count in COUNTS) + " | s a click |")
    print("|---" * (len(COUNTS) + 3) + "|")
    for name in ("endonerf_pulling", "d4d_bowel_lift"):
        if not (options.clips / name).exists():
            print(f"| {name} | not there |")
            continue
        reading = ClipOptions(stride=options.stride, start=STARTS.get(name))
        clip = load_clip(options.clips / name, reading, look=False)
        rows = corrected(clip, options.clicks)
        shown = " | ".join(f"{mean:.3f} ({worst:.3f})" for count, mean, worst, _ in rows if count in COUNTS)
        print(f"| {name} | {len(clip)} | {shown} | {rows[-1][3] / max(len(rows) - 1, 1):.1f} |", flush=True)


if __name__ == "__main__":
    main()
