"""Trains the instrument network on a bank of drawn samples and writes its weights.

python -m training.instruments.train BANK OUT.safetensors [--steps 9000] [--until 9000] [--start WEIGHTS.safetensors]

On one thread of a CPU a step of the default batch takes about half a second. The same bank, options and number of
threads give the same weights.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from endogs.priors.instruments.network_layers import InstrumentLayers
from training.instruments.augment import Batch, Batches

STATE_WEIGHT = 0.15
DICE_WEIGHT = 0.5
BOUNDARY_WEIGHT = 3.0
"""Pixels near an outline count this much more."""
KEPT = 0.998
"""Of the averaged weights that a step keeps."""


def loss_of(odds: Tensor, states: Tensor, batch: Batch) -> Tensor:
    """Weighted cross entropy and Dice over the known pixels (N, h, w), and cross entropy of the frame's state."""
    mask, known = batch.masks, batch.known
    near = functional.max_pool2d(mask[:, None], 7, 1, 3)[:, 0] + functional.max_pool2d(-mask[:, None], 7, 1, 3)[:, 0]
    weight = known * (1 + (BOUNDARY_WEIGHT - 1) * near)
    entropy = functional.binary_cross_entropy_with_logits(odds, mask, weight, reduction="sum") / weight.sum().clamp(1)
    probability = odds.sigmoid() * known
    both, either = (probability * mask).sum((1, 2)), (probability + mask * known).sum((1, 2))
    # Where nothing is to be found Dice says nothing; the constant keeps small tools from ruling the gradient.
    found = (mask * known).sum((1, 2)) > 0
    dice = (1 - (2 * both + 50) / (either + 50)) * found
    state = functional.cross_entropy(states, batch.states, label_smoothing=0.05)
    return entropy + DICE_WEIGHT * dice.mean() + STATE_WEIGHT * state


def averaged(average: dict[str, Tensor], model: InstrumentLayers, step: int) -> None:
    """Moves the averaged weights towards the model's, faster in the beginning."""
    kept = min(KEPT, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - kept)
        else:
            average[name].copy_(value)


def save(place: Path, weights: dict[str, Tensor]) -> None:
    """Writes float16 weights; counters of the normalisation are not needed to infer."""
    kept = {name: value.half().contiguous() for name, value in weights.items() if value.dtype.is_floating_point}
    unfinished = place.with_name(place.name + ".unfinished")
    save_file(kept, unfinished)
    unfinished.chmod(0o644)
    unfinished.rename(place)


def train(options: argparse.Namespace) -> None:
    """The loop."""
    torch.manual_seed(options.seed)
    model = InstrumentLayers().to(memory_format=torch.channels_last)
    if options.start:
        weights = {name: value.float() for name, value in load_file(options.start).items()}
        missing, unknown = model.load_state_dict(weights, strict=False)
        if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
            raise SystemExit(f"{options.start}: weights of another network")
    model.to(options.device).train()
    average = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), options.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, options.steps, 0.1, final_div_factor=100)
    batches = Batches(options.bank, options.batch, options.seed)
    begin, recent = time.time(), []
    last = min(options.until or options.steps, options.steps)
    for step in range(last):
        batch = batches.next().to(options.device)
        odds, states = model(batch.images.contiguous(memory_format=torch.channels_last))
        loss = loss_of(odds, states, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        averaged(average, model, step)
        recent.append(float(loss.detach()))
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {np.mean(recent[-100:]):.4f}, {time.time() - begin:.0f} s", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == last:
            save(options.out, {name: value.cpu() for name, value in average.items()})


def main() -> None:
    """Reads the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--until", type=int, help="stop after so many of them")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="go on from these weights")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    train(options)


if __name__ == "__main__":
    main()
