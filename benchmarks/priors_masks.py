"""How well instruments and the field of view are found, and what masks are worth to a fit.

    python benchmarks/priors_masks.py --clips DIR [--preset fast] [--work DIR] [--skip-fits]

DIR holds `endonerf_pulling` and `d4d_bowel_lift` as frame folders; a clip that is missing is named and left out. Found
masks are compared with those of the data set. Every fit of a clip is judged on the same pixels: the test frames' tissue
by the data set's masks, whatever masks it was fitted with.
"""

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
from reconstruct_clips import PHANTOM, endogs, phantom_depth

from endogs import native, reconstruct
from endogs.clip import Clip, ClipOptions, load_clip
from endogs.clip.view.field_of_view import find_field_of_view
from endogs.evaluate.evaluate import evaluate_scene
from endogs.priors.instruments.by_color import find_by_color

SEARCHES = [
    ("d4d", "d4d_bowel_lift", ClipOptions()),
    ("pulling", "endonerf_pulling", ClipOptions()),
    ("phantom", "phantom", ClipOptions()),
    ("phantom without instruments", "phantom0", ClipOptions()),
]
FITS = [("d4d stride 3", "d4d_bowel_lift", ClipOptions(stride=3)), ("phantom", "phantom", ClipOptions())]


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


def strips_in_crops(clips: list[tuple[Clip, int]], count: int = 150) -> str:
    """Random crops of what is tissue and instruments only, moving and frozen: nothing may be left out of them."""
    generator = np.random.default_rng(0)
    wrong = 0
    for clip, rows in clips:
        for k in range(count):
            width, height = int(generator.integers(150, clip.width)), int(generator.integers(150, rows))
            x, y = int(generator.integers(clip.width - width + 1)), int(generator.integers(rows - height + 1))
            start = int(generator.integers(len(clip) - 4))
            frames = [clip.image(start + j * (k % 2)) for j in range(4)]
            wrong += find_field_of_view([frame[y : y + height, x : x + width] for frame in frames]).outside.any()
    return f"field of view: {wrong} of {count * len(clips)} crops were not kept whole"


def fits(name: str, folder: Path, options: ClipOptions, preset: str, work: Path) -> None:
    clip = load_clip(folder, options)
    for masks in ("given", "color", "none"):
        out = work / f"{folder.name}-{masks}"
        scene = reconstruct(folder, clip=options, masks=masks, preset=preset, out=out, overwrite=True).scene
        judged = evaluate_scene(scene, clip, "standard", tissue_mask=clip.tissue_mask).mean
        depth = f"{judged['depth_median_abs_mm']:.2f} mm, abs-rel {judged['depth_abs_rel']:.4f}"
        if folder.name == "phantom":
            depth = phantom_depth(folder, out)
        print(f"| {name} | {masks} | {judged['psnr_masked']:.2f} | {judged['ssim_masked']:.4f} | {depth} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--work", type=Path, help="keep the phantoms and the scenes in this folder")
    parser.add_argument("--skip-fits", action="store_true", help="only the search")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    for name, instruments in (("phantom", "2"), ("phantom0", "0")):
        if not (work / name).exists():
            endogs("phantom", str(work / name), *PHANTOM, "--instruments", instruments)
    print(f"{date.today()}  {native.threads()} threads")
    print("| clip | IoU | worst frame | precision | recall | recall with halo | halo | CPU ms a frame |")
    print("|---|---|---|---|---|---|---|---|")
    for name, folder, how in SEARCHES:
        place = (work if "phantom" in folder else options.clips) / folder
        print(f"| {name} | {quality(load_clip(place, how)) if place.exists() else 'no such clip'} |", flush=True)
    places = [
        (options.clips / "d4d_bowel_lift", 540),
        (options.clips / "endonerf_pulling", 495),
        (work / "phantom", 512),
    ]
    print(strips_in_crops([(load_clip(place), rows) for place, rows in places if place.exists()]), flush=True)
    if options.skip_fits:
        return
    print("| fit | masks | PSNR over tissue | SSIM over tissue | depth error |")
    print("|---|---|---|---|---|")
    for name, folder, how in FITS:
        place = (work if folder == "phantom" else options.clips) / folder
        if place.exists():
            fits(name, place, how, options.preset, work)
        else:
            print(f"| {name} | no such clip | | | |")


if __name__ == "__main__":
    main()
