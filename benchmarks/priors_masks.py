"""How well instruments are found, against the data sets' masks, and what of them stays in scenes.

    python benchmarks/priors_masks.py --clips DIR [--others FOLDER ...] [--methods found color network] [--fits]

DIR holds `endonerf_pulling`, `d4d_bowel_lift`, `gallbladder`, `sinus35` and `sinus200` as frame folders; a clip that
is missing is named and left out. Masks "drawn by hand" are the project's own outlines (`drawn_masks.json`) of a few
frames: whole instruments with the windows of their jaws; frames without one are among them. `network` is what the
network says by itself, above 0, at the size of the search. On clips without instruments what is masked is false.
--others names further clips with masks of their own, as endogs reads them; the folder is the name in the table.

With --fits small scenes are fitted with given masks and with each method's: PSNR of held-out frames over the tissue of
the given masks, the residue (`residue.py`), and on the phantom the depth behind instruments.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
from command import PHANTOM, endogs, make_phantom
from numpy.typing import NDArray
from residue import TissueRange, residue, residue_of

from endogs import native
from endogs.clip import Clip, load_clip
from endogs.clip.config import ClipOptions
from endogs.clip.splits import split_frames
from endogs.evaluate.evaluate import evaluate_scene
from endogs.phantom.judge import judge_phantom
from endogs.phantom.visibility import PhantomTruth
from endogs.priors.instruments.by_color import find_by_color
from endogs.priors.instruments.by_fusion import find_by_fusion
from endogs.priors.instruments.masks import InstrumentMasks
from endogs.scene.scene_file import load_scene

Masks = dict[int, NDArray[np.bool_]]
"""(H, W) by the number of the frame."""
DRAWN = Path(__file__).with_name("drawn_masks.json")
"""Outlines in pixels of the frames, by clip and frame."""
LONGEST = 320
"""Pixels of the longer side at which `network` is judged."""
FIT_SIZE, FIT_SECONDS = 320, 2.1
"""Of the scenes with --fits: pixels of the longer side, and how much of a clip."""

HALVES = (("first half", (None, 2.99)), ("second half", (2.99, None)))
"""Of d4d: name and span in seconds; 90 and 89 frames."""


@dataclass(frozen=True)
class Case:
    """A clip, or a part of one."""

    name: str
    folder: Path
    start: float | None = None
    end: float | None = None
    """Seconds."""
    whole: bool = False
    """Whether --fits fits all of it, as a phantom's truth wants."""
    ignore_rows: tuple[str, ...] = ()

    def load(self) -> Clip:
        """All of it."""
        return load_clip(self.folder, ClipOptions(start=self.start, end=self.end, ignore_rows=self.ignore_rows))

    def load_small(self) -> Clip:
        """What a scene with --fits is fitted to."""
        options = ClipOptions(end=None if self.whole else FIT_SECONDS, max_size=FIT_SIZE, ignore_rows=self.ignore_rows)
        return load_clip(self.folder, options)

    def truths(self, clip: Clip) -> list[tuple[str, Masks]]:
        """What each of a few masks is called, and the masks of the frames of `clip` that they know."""
        drawn = json.loads(DRAWN.read_text()).get(self.folder.name)
        by_hand = [(f"{self.name} (drawn by hand)", drawn_masks(drawn, clip))] if drawn else []
        return by_hand if drawn and not clip.has_masks else [(self.name, given_masks(clip)), *by_hand]


def drawn_masks(drawn: dict, clip: Clip) -> Masks:
    """Instruments (H, W) of those frames of a clip that were `drawn` by hand; a frame without any is empty."""
    masks = {}
    if [clip.width, clip.height] != drawn["size"]:
        raise SystemExit(f"{clip.source}: its masks were drawn on frames of {drawn['size']} pixels")
    for number, outlines in drawn["frames"].items():
        mask = np.zeros((clip.height, clip.width), np.uint8)
        for outline in outlines:
            cv2.fillPoly(mask, [np.array(outline, np.int32)], 1)
        masks[int(number)] = mask.view(bool) & ~clip.ignored
    return masks


def given_masks(clip: Clip) -> Masks:
    """Instruments (H, W) of every frame by the clip's own masks; none where it has none."""
    none = np.zeros_like(clip.ignored)
    return {i: ~clip.tissue_mask(i) & ~clip.ignored if clip.has_masks else none for i in range(len(clip))}


def by_network(clip: Clip) -> InstrumentMasks:
    """What the network says of each frame alone: no neighbours, no colour, no outlines, no halo."""
    from endogs.priors.instruments.network import InstrumentNetwork

    network, masks = InstrumentNetwork.load(), []
    scale = LONGEST / max(clip.width, clip.height)
    size = (round(clip.width * scale), round(clip.height * scale))
    for i in range(len(clip)):
        odds = cv2.resize(network.log_odds(clip.image(i)), size, interpolation=cv2.INTER_LINEAR)
        masks.append(odds > 0)
    return InstrumentMasks(masks, [np.zeros_like(mask) for mask in masks], clip.width, clip.height)


METHODS: dict[str, Callable[[Clip], InstrumentMasks | None]] = {
    "color": lambda clip: find_by_color(clip).masks,
    "network": by_network,
    "found": lambda clip: find_by_fusion(clip).masks,
}


def quality(clip: Clip, found: InstrumentMasks | None, truths: Masks) -> str:
    """IoU (mean over frames), worst frame, precision, recall, recall with halo, halo, false alarms."""
    sums, ious, halos = np.zeros(4), [], []
    for i, truth in truths.items():
        mask = found.instrument(i) & ~clip.ignored if found is not None else np.zeros_like(truth)
        halo = found.halo(i) & ~clip.ignored if found is not None else mask
        sums += (mask & truth).sum(), mask.sum(), truth.sum(), ((mask | halo) & truth).sum()
        ious.append((mask & truth).sum() / (mask | truth).sum() if (mask | truth).any() else 1.0)
        halos.append(halo.mean())
    false = (sums[1] - sums[0]) / clip.ignored.size / len(truths)
    if not sums[2]:
        return f"- | - | - | - | - | {100 * np.mean(halos):.1f} % | {100 * false:.2f} %"
    return (
        f"{np.mean(ious):.3f} | {min(ious):.3f} | {sums[0] / max(sums[1], 1):.3f} | {sums[0] / sums[2]:.3f} | "
        f"{sums[3] / sums[2]:.3f} | {100 * np.mean(halos):.1f} % | {100 * false:.2f} %"
    )


def fitted(case: Case, clip: Clip, masks: str, work: Path) -> str:
    """Fit `case` with `--masks masks`: PSNR over given tissue, residue, and a phantom's depth behind instruments."""
    out = work / f"{case.name.replace(' ', '-')}-{masks}"
    how = ["--preset", "fast", "--max-size", str(FIT_SIZE), *(() if case.whole else ("--end", str(FIT_SECONDS)))]
    how += [word for rows in case.ignore_rows for word in ("--ignore-rows", rows)]
    endogs("reconstruct", str(case.folder), *how, "--masks", masks, "--out", str(out))
    scene = load_scene(out / "scene.safetensors")
    frames = list(range(0, len(clip), 4))
    left = residue(scene, clip, TissueRange.of(clip), frames)
    found = evaluate_scene(scene, clip, tissue_mask=clip.tissue_mask)
    psnr = found.mean["psnr_masked"]
    line = f"{psnr:.2f} | {100 * left.behind:.1f} % | {100 * left.worst:.1f} % | {100 * left.seen:.1f} %"
    if not (case.folder / "truth" / "phantom.json").is_file():
        return f"{line} | - | -"
    truth = PhantomTruth.read(case.folder)
    errors = judge_phantom(scene, truth, split_frames(len(truth), "standard").train)
    return f"{line} | {errors.behind_seen.mean:.2f} | {errors.never_seen.mean:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="further clips with masks of their own")
    parser.add_argument("--work", type=Path, help="keep the phantoms and scenes in this folder")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--fits", action="store_true", help="fit small scenes too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    make_phantom(work / "phantom")
    make_phantom(work / "phantom0", instruments=0)
    clips = options.clips
    pulling = Case("pulling", clips / "endonerf_pulling", ignore_rows=("495:512",))
    d4d, d4d_rest = (Case(f"d4d {name}", clips / "d4d_bowel_lift", *part) for name, part in HALVES)
    phantom = Case("phantom", work / "phantom")
    gallbladder = Case("gallbladder", clips / "gallbladder")
    bare = [Case("phantom without instruments", work / "phantom0")]
    bare += [Case(name, clips / name) for name in ("sinus35", "sinus200")]
    print(f"{date.today()}  {native.threads()} threads")
    print("| clip | masks | IoU | worst frame | precision | recall | recall with halo | halo | false | CPU ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    others = [Case(folder.name, folder) for folder in options.others]
    for case in (d4d, d4d_rest, pulling, gallbladder, phantom, *bare, *others):
        if not case.folder.exists():
            print(f"| {case.name} | no such clip |", flush=True)
            continue
        clip = case.load()
        for method in options.methods:
            begin = time.process_time()
            found = METHODS[method](clip)
            spent = 1000 * (time.process_time() - begin) / len(clip)
            for name, truths in case.truths(clip):
                print(f"| {name} | {method} | {quality(clip, found, truths)} | {spent:.0f} |", flush=True)
    if not options.fits:
        return
    print("\n| scene | masks | PSNR, dB | residue | worst frame | elsewhere | depth behind (seen), mm | never seen |")
    print("|---|---|---|---|---|---|---|---|")
    small = Case("phantom", work / "phantom320", whole=True)
    if not small.folder.exists():
        endogs("phantom", str(small.folder), *PHANTOM, "--instruments", "2", "--width", "320", "--height", "256")
    for case in (d4d, pulling, small):
        if not case.folder.exists():
            continue
        clip = case.load_small()
        raw = residue_of(clip.image, clip, TissueRange.of(clip), range(0, len(clip), 4))
        print(f"| {case.name} | frames | - | {100 * raw.behind:.1f} % | {100 * raw.worst:.1f} % | - | - | - |")
        for masks in ("given", *(method for method in options.methods if method != "network")):
            print(f"| {case.name} | {masks} | {fitted(case, clip, masks, work)} |", flush=True)


if __name__ == "__main__":
    main()
