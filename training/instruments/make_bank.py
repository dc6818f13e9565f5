"""Draws samples into a bank on the disk, in shards that several processes may write at once.

python -m training.instruments.make_bank BANK [--first N] [--count 10000] [--seed 0]
"""

import argparse
import shutil
import time
from pathlib import Path

import cv2
import numpy as np

from training.instruments.samples import SHAPE, SHARED, make_sample, tissue_of

SHARD = 500
"""Samples of a shard; a multiple of `SHARED`."""


def write_shard(bank: Path, index: int, seed: int) -> None:
    """Draws samples `index` * SHARD and following; a shard that is there already is kept."""
    place = bank / f"shard-{seed}-{index:04d}"
    if place.exists():
        return
    images = np.empty((SHARD, *SHAPE, 3), np.uint8)
    masks = np.empty((SHARD, *SHAPE), np.uint8)
    states = np.empty(SHARD, np.uint8)
    tissue = None
    for k in range(SHARD):
        number = index * SHARD + k
        if number % SHARED == 0 or tissue is None:
            tissue = tissue_of(number, seed)
        sample = make_sample(number, seed, tissue)
        images[k], masks[k], states[k] = sample.image, sample.mask, sample.state
    unfinished = place.with_name(place.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, values in (("images", images), ("masks", masks), ("states", states)):
        np.save(unfinished / f"{name}.npy", values)
    unfinished.rename(place)


def main() -> None:
    """Writes the shards that hold samples `first` to `first` + `count`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bank", type=Path)
    parser.add_argument("--first", type=int, default=0, help=f"a multiple of {SHARD}")
    parser.add_argument("--count", type=int, default=10_000, help=f"a multiple of {SHARD}")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.first % SHARD or options.count % SHARD:
        parser.error(f"--first and --count are multiples of {SHARD}")
    cv2.setNumThreads(1)
    for index in range(options.first // SHARD, (options.first + options.count) // SHARD):
        begin = time.time()
        write_shard(options.bank, index, options.seed)
        print(f"shard {index}: {time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
