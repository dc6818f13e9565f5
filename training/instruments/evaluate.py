"""How well the network alone finds instruments on real clips, frame by frame, and overlays to look at.

    python -m training.instruments.evaluate CLIP... [--weights FILE] [--every 3] [--part all] [--sheet OUT.png]

A clip is anything that endogs reads. Where it has masks, IoU (mean over frames), the worst frame, precision, recall,
and recall with the halo are printed; without masks, the share of the view that is marked.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from endogs.clip import Clip, load_clip
from endogs.priors.instruments.components import edge_of_view
from endogs.priors.instruments.halo import tip_halo
from endogs.priors.instruments.network import WEIGHTS, InstrumentNetwork

TILE = (320, 256)
SHOWN = 10
"""Frames of each clip on the sheet."""
PARTS = {"all": (0.0, 1.0), "first": (0.0, 0.5), "second": (0.5, 1.0)}
"""The half of a clip that choices were made on may be kept apart from the one that is reported."""


def overlay(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], truth: NDArray[np.bool_], text: str
) -> NDArray[np.uint8]:
    """The picture with what was found tinted green and outlined, and the given masks outlined in white."""
    shown = image.copy()
    shown[mask] = (0.6 * shown[mask] + 0.4 * np.array([0, 255, 0])).astype(np.uint8)
    width = max(1, image.shape[1] // 320)
    for what, color in ((truth, (255, 255, 255)), (mask, (0, 255, 0))):
        contours, _ = cv2.findContours(what.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, contours, -1, color, width)
    small = cv2.resize(shown, TILE, interpolation=cv2.INTER_AREA)
    return cv2.putText(small, text, (4, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1, cv2.LINE_AA)


def measure(network: InstrumentNetwork, clip: Clip, indices: range, tiles: list[NDArray]) -> str:
    """One line of the table; `SHOWN` overlays are added to `tiles`."""
    sums, ious, marked, spent = np.zeros(4), [], [], 0.0
    edge = edge_of_view(~clip.ignored)
    shown = {indices[round(k)] for k in np.linspace(0, len(indices) - 1, min(SHOWN, len(indices)))}
    for i in indices:
        image = clip.image(i)
        begin = time.process_time()
        sight = network.look(image)
        odds = cv2.resize(sight.log_odds, (clip.width, clip.height), interpolation=cv2.INTER_LINEAR)
        spent += time.process_time() - begin
        mask = (odds > 0) & ~clip.ignored
        truth = ~clip.tissue_mask(i) & ~clip.ignored if clip.has_masks else np.zeros_like(mask)
        halo = (mask | tip_halo(mask, edge)) & ~clip.ignored
        sums += (mask & truth).sum(), mask.sum(), truth.sum(), (halo & truth).sum()
        ious.append((mask & truth).sum() / max((mask | truth).sum(), 1))
        marked.append(mask.sum() / (~clip.ignored).sum())
        if i in shown:
            state, share = max(sight.states.items(), key=lambda item: item[1])
            tiles.append(overlay(image, mask, truth, f"{i}: {100 * ious[-1]:.0f} {state} {share:.2f}"))
    ms = 1000 * spent / len(indices)
    if not sums[2]:
        return f"- | - | - | - | - | {100 * np.mean(marked):.2f} % | {100 * np.max(marked):.2f} % | {ms:.0f}"
    return (
        f"{np.mean(ious):.3f} | {min(ious):.3f} | {sums[0] / max(sums[1], 1):.3f} | {sums[0] / sums[2]:.3f} | "
        f"{sums[3] / sums[2]:.3f} | {100 * np.mean(marked):.2f} % | {100 * np.max(marked):.2f} % | {ms:.0f}"
    )


def main() -> None:
    """Prints the table and writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--part", choices=tuple(PARTS), default="all")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    network = InstrumentNetwork.load(options.weights)
    print("| clip | IoU | worst frame | precision | recall | recall with halo | marked | most marked | CPU ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    tiles: list[NDArray] = []
    for place in options.clips:
        clip = load_clip(place)
        low, high = (round(share * len(clip)) for share in PARTS[options.part])
        line = measure(network, clip, range(low, high, options.every), tiles)
        print(f"| {place.name} {options.part} | {line} |", flush=True)
        tiles += [np.zeros((TILE[1], TILE[0], 3), np.uint8)] * (-len(tiles) % 5)
    if options.sheet:
        rows = [np.hstack(tiles[k : k + 5]) for k in range(0, len(tiles), 5)]
        cv2.imwrite(str(options.sheet), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
