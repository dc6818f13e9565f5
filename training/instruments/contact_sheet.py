"""Draws samples side by side with their outlines: look at them before you train.

python -m training.instruments.contact_sheet OUT.png [--first N] [--count 40] [--seed 0]
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from training.instruments.samples import UNKNOWN, make_sample

COLUMNS = 8


def tile(number: int, seed: int) -> np.ndarray:
    """One sample (256, 320, 3) RGB, instruments outlined in green, unknown parts darkened."""
    sample = make_sample(number, seed)
    image = sample.image.copy()
    contours, _ = cv2.findContours((sample.mask == 1).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, (0, 255, 0), 1)
    if sample.state:
        cv2.putText(image, str(sample.state), (4, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 255, 255), 2)
    image[sample.mask == UNKNOWN] //= 2 if sample.state == 0 else 1
    return image


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    begin = time.process_time()
    tiles = [tile(options.first + k, options.seed) for k in range(options.count)]
    print(f"{1000 * (time.process_time() - begin) / options.count:.0f} ms a sample")
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(options.out), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
