"""Which view each step takes."""

import torch
from torch import Tensor

from endogs.fit.window import Window


class Schedule:
    """The order of a window's views, drawn from a seed for many steps at once, and anew when its frames change."""

    def __init__(self, window: Window, virtual_share: float, seed: int, steps: int) -> None:
        """`steps` are drawn at once: all that a fit takes, where the window does not change."""
        self._window, self._virtual_share, self._seed, self._steps = window, virtual_share, seed, max(1, steps)
        self.redraw(0)

    def redraw(self, step: int) -> None:
        """The window has changed before `step`, which may be drawn for from now on."""
        self._first, self._order = step, list[int]()

    def __getitem__(self, step: int) -> int:
        """Index into the window of the view that `step` takes, which is not before the last change."""
        if step < self._first:
            raise IndexError(f"step {step} was before the views changed at step {self._first}")
        while step >= self._first + len(self._order):
            self._first += len(self._order)
            real, virtual = len(self._window.real), self._window.virtual_count
            seed = self._seed + self._first
            self._order = schedule(real, virtual, self._steps, self._virtual_share, seed).tolist()
        return self._order[step - self._first]


def schedule(real: int, virtual: int, iterations: int, virtual_share: float, seed: int) -> Tensor:
    """Which view each step takes (iterations,): every real view once per round in random order, virtual ones between.

    Depends only on the arguments, so that a resumed run takes the same views. With one training frame, or a share of 0,
    there are no virtual steps.
    """
    generator = torch.Generator().manual_seed(seed)
    share = virtual_share if virtual else 0.0
    is_virtual = torch.rand(iterations, generator=generator) < share
    count = int(is_virtual.sum())
    order = torch.empty(iterations, dtype=torch.long)
    order[~is_virtual] = _rounds(real, iterations - count, generator)
    order[is_virtual] = real + _rounds(virtual, count, generator)
    return order


def _rounds(count: int, length: int, generator: torch.Generator) -> Tensor:
    if length == 0:
        return torch.empty(0, dtype=torch.long)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(-(-length // count))])[:length]
