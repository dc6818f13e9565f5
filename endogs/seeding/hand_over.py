"""What goes on from one segment of a long clip into the next: Gaussians, their motion, and by what they are known.

In the frames that both segments saw, they are where the earlier one has them; after that they follow the optical flow,
as new ones do, or rest where no frame shows them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.gaussians import CHANNELS, COLORS, LOG_SCALES, MEANS, OPACITY
from endogs.geometry import project
from endogs.scene.chain import identity_of
from endogs.scene.deformation.knots import Knots
from endogs.scene.scene import Scene
from endogs.seeding.observations import (
    DEPTH_JUMP,
    ColoredTracks,
    Observations,
    follow,
    in_image,
    lookup,
    on_tissue,
    pixel_index,
)
from endogs.seeding.rigid_tracks import track_points
from endogs.seeding.spline_fit import fit_control

MARGIN = 0.15
"""Of the image's sides, by which a Gaussian may lie outside it and still be handed over."""
FAINT = 0.02
"""Opacity below which, at all shared times, nothing is handed over."""
CHUNK = 16_384
"""Gaussians whose splines are laid at a time."""


@dataclass(frozen=True)
class HandedOver:
    """Gaussians that the segment before hands over."""

    base: Tensor
    """(N, 14) canonical Gaussians: as they are at the last shared training frame, less what all tissue has moved."""
    control: Tensor | None
    """(Kn, N, 14) control points; None without knots."""
    identity: Tensor
    """(N,) int64 by what they are known."""
    tracks: ColoredTracks | None
    """Where they are in the training frames; None where they were not followed."""

    def __len__(self) -> int:
        return len(self.base)


@torch.no_grad()
def hand_over(
    observations: Observations, before: Scene, knots: Knots | None, most: int, followed: bool = True
) -> HandedOver:
    """Up to `most` Gaussians of the segment `before`, which shares the first training frames with `observations`.

    They are `followed` through all frames where asked for, and always with knots, for their splines.

    Taken are those that are not faint and that some frame can see; of too many, the largest and most opaque in the
    picture. Where no training frame is shared, as where the camera was lost, they are handed to the first one as they
    were at the end of the segment before.
    """
    shared = int(np.count_nonzero(observations.times <= before.times[-1] + 1e-9))
    at = max(shared - 1, 0)
    times = observations.times[:shared] if shared else before.times[-1:]
    rows = [before.packed_at(float(time)).cpu() for time in times]
    chosen = _worth_keeping(observations, rows, at, most)
    rows = [packed[chosen] for packed in rows]
    now = rows[at].clone()
    now[:, COLORS] = _image_colors(observations, before, at)[chosen]
    canonical = now.clone()
    canonical[:, MEANS] -= torch.from_numpy(observations.offsets[at]).float()
    if knots is None and not followed:
        return HandedOver(canonical, None, identity_of(before)[chosen].cpu(), None)
    with observations.flows_at_hand():
        tracks, at_rest = _tracks(observations, now, at)
    control = None if knots is None else _control(observations, knots, rows, tracks, at_rest)
    return HandedOver(canonical, control, identity_of(before)[chosen].cpu(), tracks)


def _worth_keeping(observations: Observations, rows: list[Tensor], at: int, most: int) -> Tensor:
    """Indices (N,), ascending, of what is handed over."""
    opacity = torch.sigmoid(torch.stack([packed[:, OPACITY] for packed in rows]).amax(0))
    means = rows[at][:, MEANS].double().numpy()
    height, width = observations.size
    margin = MARGIN * np.array([width, height])
    in_view = np.zeros(len(means), bool)
    nearest = np.full(len(means), np.inf)
    for K, pose in zip(observations.K, observations.world_to_camera, strict=True):
        pixels, z = project(means, K, pose)
        inside = (z > 0) & (pixels >= -margin).all(1) & (pixels <= np.array([width, height]) + margin).all(1)
        in_view |= inside
        nearest = np.where(inside, np.minimum(nearest, z), nearest)
        if (observations.world_to_camera == pose).all():
            break
    kept = np.flatnonzero(in_view & (opacity.numpy() > FAINT))
    if len(kept) > most:
        size = rows[at][:, LOG_SCALES].amax(1).double().numpy()[kept] - np.log(nearest[kept])
        weight = np.log(opacity.double().numpy()[kept]) + 2 * size
        kept = np.sort(kept[np.argsort(-weight, kind="stable")[:most]])
    return torch.from_numpy(kept)


def _image_colors(observations: Observations, before: Scene, at: int) -> Tensor:
    """Colours (N, 3) of the segment's Gaussians as the images show them that new Gaussians are coloured by."""
    time = min(float(observations.times[at]), float(before.times[-1]))
    camera = before.camera(before.nearest_frame(time))
    shown = before.shown_at(time, camera)[:, COLORS].cpu()
    image, plain = observations.frames[at].image, observations.images[at]
    if plain is image:
        return shown
    if observations.lost is not None and observations.lost.headlight is not None:
        own = before.packed_at(time).cpu()
        own[:, COLORS] = shown
        return observations.lost.unshown(own, camera.to("cpu"), float(observations.times[at]))[:, COLORS]
    # The images lost their exposure, an affine map of each channel: found again from the two, and taken off here too.
    found = shown.clone()
    for c in range(3):
        x, y = image[..., c].ravel().astype(np.float64), plain[..., c].ravel().astype(np.float64)
        inner = (y > 5) & (y < 250)
        if np.count_nonzero(inner) > 1 and np.ptp(x[inner]) > 0:
            gain, bias = np.polyfit(x[inner], y[inner], 1)
            found[:, c] = shown[:, c] * gain + bias / 255
    return found


def _tracks(observations: Observations, now: Tensor, at: int) -> tuple[ColoredTracks, NDArray[np.bool_]]:
    """Where Gaussians (N, 14) of frame `at` are in all frames, and which of them rest (N,): those out of its view, and
    those behind what it shows."""
    size = observations.size
    pixels, z = project(now[:, MEANS].double().numpy(), observations.K[at], observations.world_to_camera[at])
    inside = (z > 0) & in_image(pixels, size)
    z = np.where(z > 0, z, 1).astype(np.float32)
    own = now[:, COLORS].numpy()
    seen = on_tissue(observations.masks[at], pixels) & inside
    colors = np.where(seen[:, None], lookup(observations.images[at], pixels) / np.float32(255), own)
    tracks = follow(observations, np.full(len(now), at, np.intp), pixels, z, colors)
    at_rest = ~inside
    if observations.metric:
        surface = np.where(inside, observations.depth(at)[pixel_index(pixels, size)], 0)
        off = np.log(z / np.where(surface > 0, surface, z))
        steady = np.abs(off) < DEPTH_JUMP
        at_rest |= ~steady
        # Depth that was read from the prior along the track keeps the offset that the fitted surface has from it.
        read = np.arange(len(observations)) != at
        tracks.depth[read] *= np.exp(np.where(steady, off, 0))
    tracks.valid &= ~at_rest
    tracks.valid[at] |= inside & at_rest & seen
    return tracks, at_rest


def _control(
    observations: Observations,
    knots: Knots,
    rows: list[Tensor],
    tracks: ColoredTracks,
    at_rest: NDArray[np.bool_],
) -> Tensor:
    """Control points (Kn, N, 14) whose splines go where the earlier segment's did, and then along the tracks."""
    frames, shared, count = len(observations), len(rows), len(rows[0])
    points = track_points(observations, tracks, np.full(count, shared - 1, np.intp))
    control = torch.empty(knots.count, count, CHANNELS)
    moved = (observations.offsets - observations.offsets[shared - 1]).astype(np.float32)
    for begin in range(0, count, CHUNK):
        part = slice(begin, min(begin + CHUNK, count))
        now = rows[-1][part]
        offsets = np.zeros((frames, len(now), CHANNELS), np.float32)
        for k, packed in enumerate(rows):
            offsets[k] = (packed[part] - now).numpy()
        moving = ~at_rest[part]
        for k in range(shared, frames):
            offsets[k, :, MEANS] = np.where(moving[:, None], points[k, part] - points[shared - 1, part], moved[k])
            changed = tracks.colors[k, part] - tracks.colors[shared - 1, part]
            offsets[k, :, COLORS] = np.where(moving[:, None], changed, 0)
        offsets[..., MEANS] += observations.offsets[shared - 1].astype(np.float32)
        control[:, part] = torch.from_numpy(fit_control(knots, observations.times, offsets))
    return control
