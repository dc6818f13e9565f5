"""Where tissue goes: pixels followed through the training frames along chained optical flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from endogs.priors.flow import ClipFlows, Flow, sample

if TYPE_CHECKING:
    from endogs.clip import Clip


@dataclass(frozen=True)
class Tracks:
    """P pixels followed through F frames."""

    positions: NDArray[np.float32]
    """(F, P, 2) x, y in pixels, pixel centres at +0.5 (so `K` projects onto them). Continued by the flow where not
    valid, as the best guess there is."""
    valid: NDArray[np.bool_]
    """(F, P) True while every step from the start frame was confirmed by the reverse flow, inside the image and, where
    masks were given, on tissue."""


def chain_tracks(
    flows_forward: Sequence[Flow],
    flows_backward: Sequence[Flow],
    start_frame: int,
    pixels: NDArray[np.float32],
    tissue_masks: Sequence[NDArray[np.bool_]] | None = None,
    *,
    relative: float = 0.01,
    absolute: float = 0.5,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Positions (F, P, 2) and validity (F, P) of `pixels` (P, 2), given in frame `start_frame`, in all F frames.

    `flows_forward[k]` (H, W, 2) leads from frame k to k + 1 and `flows_backward[k]` from k + 1 to k, for the F - 1
    steps between F frames in order; any sequence with lazy items will do. Positions have pixel centres at +0.5.
    A step is valid by the forward-backward test of `consistency_mask` in square pixels; after an invalid step a pixel
    stays invalid up to that end of the clip. `tissue_masks` (F of (H, W), True = tissue) invalidate as well, but only
    the frames they cover: tissue that comes out from behind an instrument would be followed as metal, so it stays lost.
    """
    count = len(flows_forward) + 1
    pixels = np.asarray(pixels, np.float32).reshape(-1, 2)
    positions = np.empty((count, len(pixels), 2), np.float32)
    valid = np.zeros((count, len(pixels)), bool)
    positions[start_frame] = pixels
    valid[start_frame] = True
    if tissue_masks is not None:
        valid[start_frame] &= _on_tissue(tissue_masks[start_frame], pixels)

    for step in (1, -1):
        for k in range(start_frame, count - 1 if step == 1 else 0, step):
            there = flows_forward[k] if step == 1 else flows_backward[k - 1]
            back = flows_backward[k] if step == 1 else flows_forward[k - 1]
            height, width = there.shape[:2]
            here = positions[k]
            move = sample(there, here[:, 0] - 0.5, here[:, 1] - 0.5)
            after = here + move
            ret = sample(back, after[:, 0] - 0.5, after[:, 1] - 0.5)
            size = np.square(move).sum(1) + np.square(ret).sum(1)
            ok = np.square(move + ret).sum(1) < relative * size + absolute
            ok &= (after >= 0).all(1) & (after[:, 0] <= width) & (after[:, 1] <= height)
            if tissue_masks is not None:
                ok &= _on_tissue(tissue_masks[k + step], after)
            positions[k + step] = after
            valid[k + step] = valid[k] & ok
    return positions, valid


def track_pixels(
    clip: "Clip",
    flows: ClipFlows,
    frames: Sequence[int],
    start_frame: int,
    pixels: NDArray[np.float32],
    tissue_masks: Sequence[NDArray[np.bool_]] | None = None,
) -> Tracks:
    """`pixels` (P, 2) of clip frame `start_frame` followed through `frames` of the clip (training frames, in order).

    `start_frame` must be one of `frames`; flows come from the shared cache. Without `tissue_masks` (one per entry of
    `frames`) the clip's own are used.
    """
    frames = list(frames)
    masks = [clip.tissue_mask(i) for i in frames] if tissue_masks is None else tissue_masks
    positions, valid = chain_tracks(
        _Steps(flows, frames[:-1], frames[1:]),
        _Steps(flows, frames[1:], frames[:-1]),
        frames.index(start_frame),
        pixels,
        masks,
    )
    return Tracks(positions, valid)


class _Steps(Sequence[Flow]):
    """Flows between paired frames, unpacked from the cache one at a time."""

    def __init__(self, flows: ClipFlows, start: Sequence[int], end: Sequence[int]) -> None:
        self._flows, self._pairs = flows, list(zip(start, end, strict=True))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, k: int) -> Flow:  # type: ignore[override]
        return self._flows.flow(*self._pairs[k])


def _on_tissue(tissue_mask: NDArray[np.bool_], positions: NDArray[np.float32]) -> NDArray[np.bool_]:
    height, width = tissue_mask.shape
    x = np.clip(positions[:, 0], 0, width - 1).astype(np.intp)
    y = np.clip(positions[:, 1], 0, height - 1).astype(np.intp)
    return tissue_mask[y, x]
