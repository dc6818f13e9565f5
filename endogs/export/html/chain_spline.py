"""A part of a chain as one spline, for the shareable player, which knows no segments."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from endogs.export.html.chain_part import ChainPart, rows_of
from endogs.export.html.importance import reduced_to
from endogs.gaussians import CHANNELS, OPACITY, QUATS
from endogs.memory_budget import require_memory
from endogs.scene import Scene, SplineDeformation
from endogs.scene.chain import SceneChain, identity_of

FAINTEST = -6.0
"""Logit of the opacity of what is not there: under what is drawn at all. The lower, the more a spline swings."""
RIDGE = 1e-6
"""Of the second differences: it decides where there are no frames between knots."""
NEGLIGIBLE = 1e-6
"""Share of a frame in a control point below which it is left out."""


@torch.no_grad()
def chain_as_spline(part: ChainPart, most: int) -> tuple[Scene, NDArray[np.float32]]:
    """The part as a plain scene of up to `most` Gaussians, those that add most, and what each adds (N,).

    The control points are the least-squares fit to the Gaussians that the chain shows at each frame, blended where
    segments overlap. Where no segment holds a Gaussian, it is transparent and rests where it was last, or will be
    first. Frames are summed up one after the other, so that no more is in memory than the control points and two
    segments. Raises InputError for more than the memory there is, and as `SceneChain.segment`.
    """
    chain, identity, weights = part.chain, part.identity, part.weights
    if len(identity) > most:
        kept = np.sort(np.argsort(-weights, kind="stable")[:most])
        identity, weights = identity[kept], weights[kept]
        chain = _fewer(part, identity)
    times = chain.times[part.frames.start : part.frames.stop]
    knots = part.knots
    needed = 3.0 * knots.count * len(identity) * CHANNELS * 4
    require_memory(needed, f"a page of {len(identity):,} Gaussians", "give a shorter --start and --end")
    basis = knots.basis(times)
    bend = np.diff(np.eye(knots.count), 2, axis=0)
    solve = np.linalg.lstsq(basis.T @ basis + RIDGE * bend.T @ bend, basis.T, rcond=None)[0]

    base, last = torch.zeros(len(identity), CHANNELS), torch.zeros(len(identity), CHANNELS)
    known = torch.zeros(len(identity), dtype=torch.bool)
    control = torch.zeros(knots.count, len(identity), CHANNELS)
    so_far = torch.zeros(knots.count)
    for column, frame in enumerate(part.frames):
        time = float(chain.times[frame])
        rows = torch.from_numpy(rows_of(identity, chain.identity_at(time)))
        shown = chain.shown_at(time, chain.camera(frame)).cpu()
        shown[:, QUATS] = torch.nn.functional.normalize(shown[:, QUATS], dim=1)
        shown[:, OPACITY].clamp_(min=FAINTEST)
        opposite = (shown[:, QUATS] * last[rows, QUATS]).sum(1, keepdim=True) < 0
        shown[:, QUATS] = torch.where(opposite, -shown[:, QUATS], shown[:, QUATS])
        fresh = ~known[rows]
        new = rows[fresh]
        base[new], known[new] = shown[fresh], True
        control[:, new, OPACITY] = so_far[:, None] * (FAINTEST - base[new, OPACITY])
        last[known, OPACITY] = FAINTEST
        last[rows] = shown
        offsets = last - base
        for knot in np.flatnonzero(np.abs(solve[:, column]) > NEGLIGIBLE):
            control[knot].add_(offsets, alpha=float(solve[knot, column]))
        so_far += torch.from_numpy(solve[:, column].astype(np.float32))
    frames = slice(part.frames.start, part.frames.stop)
    scene = Scene(
        base,
        SplineDeformation(control, knots),
        times,
        chain.K[frames],
        chain.world_to_camera[frames],
        chain.width,
        chain.height,
        chain.units,
        chain.metadata,
        origin=chain.origin,
        file=chain.file,
    )
    return scene, weights


def _fewer(part: ChainPart, kept: NDArray[np.int64]) -> SceneChain:
    """The chain of the identities `kept`, grown in each segment to cover for those that it loses there."""

    def read(number: int) -> Scene:
        segment = part.chain.read(number)
        rows = np.flatnonzero(np.isin(identity_of(segment).numpy(), kept))
        return reduced_to(segment, part.segment_weights[number], rows)

    return replace(part.chain, read=read, _loaded=OrderedDict())
