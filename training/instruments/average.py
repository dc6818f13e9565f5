"""Averages the weights of two trainings of the network, one of which went on from the other.

    python -m training.instruments.average BEFORE.safetensors AFTER.safetensors OUT.safetensors

The mean of both keeps what the first knew of other pictures: "Robust fine-tuning of zero-shot models" (Wortsman et al.,
CVPR 2022).
"""

import argparse
from pathlib import Path

from safetensors.torch import load_file

from training.instruments.train import save


def main() -> None:
    """Reads both and writes their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("before", "after", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    before, after = load_file(options.before), load_file(options.after)
    if before.keys() != after.keys():
        raise SystemExit(f"{options.before}, {options.after}: weights of two networks")
    save(options.out, {name: (before[name].float() + after[name].float()) / 2 for name in before})


if __name__ == "__main__":
    main()
