"""A chain of segments at one time, as a scene in memory: what every export of a moment reads."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.export.map_cameras import colored_from_nearby
from endogs.export.segment_colors import gain_to
from endogs.gaussians import COLORS
from endogs.memory_budget import require_memory
from endogs.scene import Scene
from endogs.scene.chain import SceneChain, identity_of
from endogs.scene.deformation.static import StaticDeformation
from endogs.scene.visibility import Visibility


def instant(scene: Scene, time: float | None, view_only: bool = False) -> Scene:
    """The scene that is meant at `time`, seconds (None: canonical), with all of its Gaussians in memory.

    It is the scene itself, or of a chain: the segment there where the camera stands still, or the view is all that is
    wanted, else the map of all places that any segment saw. Raises InputError where that does not fit into memory.
    """
    if not isinstance(scene, SceneChain):
        return scene
    if scene.static_camera or view_only:
        return scene.part_at(float(scene.times[0]) if time is None else time)
    return chain_map(scene, time)


@torch.no_grad()
def chain_map(chain: SceneChain, time: float | None) -> Scene:
    """All Gaussians of a chain, each once, still as they are at `time`, seconds, evenly exposed.

    A Gaussian is taken from the segment that is nearest in time, at the nearest time of that segment; canonical (None),
    from the first that has it. Colours of segments that were exposed apart are brought together by what they share.
    """
    gains = _gains(chain)
    order = sorted(range(len(chain.segments)), key=lambda k: 0.0 if time is None else _away(chain, k, time))
    known, rows = np.zeros(0, np.int64), list[Tensor]()
    bits: dict[str, list[NDArray[np.uint8]]] = {"drawn": [], "seen": []}
    frames = len(chain.times)
    for k in order:
        segment = chain.segment(k)
        own = identity_of(segment).cpu().numpy()
        new = ~np.isin(own, known)
        packed = _at(segment, time)[torch.from_numpy(new)].cpu()
        packed[:, COLORS] *= gains[k]
        rows.append(packed)
        known = np.concatenate([known, own[new]])
        _add_visibility(bits, segment, chain.segments[k].first, known, own, int(new.sum()), frames)
    base = torch.cat(rows)
    visibility = Visibility(*(torch.from_numpy(np.concatenate(bits[name])) for name in ("drawn", "seen")))
    return Scene(
        base,
        StaticDeformation(),
        chain.times,
        chain.K,
        chain.world_to_camera,
        chain.width,
        chain.height,
        chain.units,
        chain.metadata,
        visibility,
        origin=chain.origin,
        masks=chain.masks,
        file=chain.file,
    )


def _away(chain: SceneChain, k: int, time: float) -> float:
    """Seconds from `time` to the middle of a segment, but never more than to any whose frames do not include it."""
    first, last = float(chain.times[chain.segments[k].first]), float(chain.times[chain.segments[k].last])
    outside = max(first - time, time - last, 0.0)
    return outside + abs(time - (first + last) / 2) * 1e-6


def _at(segment: Scene, time: float | None) -> Tensor:
    """Packed Gaussians (N, 14) of a segment at its time nearest to `time`, each as the nearest camera shows it."""
    segment = segment.steady()
    if time is None:
        return colored_from_nearby(segment, segment.base.clone(), float(segment.times[0]))
    nearest = min(max(time, float(segment.times[0])), float(segment.times[-1]))
    return colored_from_nearby(segment, segment.packed_at(nearest), nearest)


def _gains(chain: SceneChain) -> Tensor:
    """(S, 3) by what the evenly exposed colours of each segment are multiplied to be as those of the first."""
    gains = [np.ones(3)]
    for k in range(len(chain.segments) - 1):
        gains.append(gains[-1] * gain_to(chain.segment(k), chain.segment(k + 1)))
    return torch.from_numpy(np.stack(gains).astype(np.float32))


def _add_visibility(
    bits: dict[str, list[NDArray[np.uint8]]],
    segment: Scene,
    first: int,
    known: NDArray[np.int64],
    own: NDArray[np.int64],
    new: int,
    frames: int,
) -> None:
    """Rows for the `new` Gaussians at the end of `known`, and in all that the segment has what its frames show.

    A segment that does not know its visibility shows nothing.
    """
    order = np.argsort(known)
    at = order[np.searchsorted(known, own, sorter=order)]
    width = -(-frames // 8)
    require_memory(2.0 * width * len(known), "what each frame shows of the map", "use a machine with more memory")
    seen = segment.visibility
    for name, parts in bits.items():
        parts.append(np.zeros((new, width), np.uint8))
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        if seen is None:
            continue
        count = len(segment.times)
        shows = np.zeros((len(own), 8 * width), bool)
        shows[:, first : first + count] = seen.frames_drawn(count) if name == "drawn" else seen.frames_seen(count)
        parts[0][at] |= np.packbits(shows, axis=1, bitorder="little")
