"""How well instruments are found by colour, against the data sets' masks.

    python benchmarks/priors_masks.py --clips DIR [--work DIR]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; a clip that is missing is named and left out.
"""

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
from command import make_phantom

from endogs import native
from endogs.clip import Clip, load_clip
from endogs.priors.instruments.by_color import find_by_color


def quality(clip: Clip) -> str:
    """IoU (mean over frames), precision, recall, recall with halo, area of the halo, CPU milliseconds per frame."""
    begin = time.process_time()
    found = find_by_color(clip).masks
    spent = 1000 * (time.process_time() - begin) / len(clip)
    sums, ious, halos = np.zeros(4), [], []
    for i in range(len(clip)):
        truth = ~clip.tissue_mask(i) & ~clip.ignored if clip.has_masks else np.zeros_like(clip.ignored)
        mask = found.instrument(i) & ~clip.ignored if found is not None else np.zeros_like(truth)
        halo = found.halo(i) & ~clip.ignored if found is not None else mask
        sums += (mask & truth).sum(), mask.sum(), truth.sum(), ((mask | halo) & truth).sum()
        ious.append((mask & truth).sum() / (mask | truth).sum() if (mask | truth).any() else 1.0)
        halos.append(halo.mean())
    if not sums[2]:
        return f"- | - | - | - | - | masked {100 * sums[1] / clip.ignored.size / len(clip):.2f} % | {spent:.0f}"
    return (
        f"{np.mean(ious):.3f} | {min(ious):.3f} | {sums[0] / max(sums[1], 1):.3f} | {sums[0] / sums[2]:.3f} | "
        f"{sums[3] / sums[2]:.3f} | {100 * np.mean(halos):.1f} % | {spent:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="keep the phantoms in this folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    make_phantom(work / "phantom")
    make_phantom(work / "phantom0", instruments=0)
    print(f"{date.today()}  {native.threads()} threads")
    print("| clip | IoU | worst frame | precision | recall | recall with halo | halo | CPU ms a frame |")
    print("|---|---|---|---|---|---|---|---|")
    for name, place in (
        ("d4d", options.clips / "d4d_bowel_lift"),
        ("pulling", options.clips / "endonerf_pulling"),
        ("phantom", work / "phantom"),
        ("phantom without instruments", work / "phantom0"),
    ):
        print(f"| {name} | {quality(load_clip(place)) if place.exists() else 'no such clip'} |", flush=True)


if __name__ == "__main__":
    main()
