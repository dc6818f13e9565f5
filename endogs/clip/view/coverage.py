"""What a few frames say about a clip's masks and depth, for people to check."""

from dataclasses import dataclass

import numpy as np

from endogs.clip.clip import Clip
from endogs.clip.files.mask_files import sampled


@dataclass(frozen=True)
class Coverage:
    """Numbers over the frames that were looked at."""

    frames: list[int]
    """Frames that were looked at, spread evenly over the clip."""
    ignored: float
    """Share of pixels inside ignored rows or the ignore mask."""
    instruments: tuple[float, float, float] | None
    """Smallest, mean and largest share of pixels that the masks call instrument; None without masks."""
    depth_range: tuple[float, float, float] | None
    """1st, 50th and 99th percentile of known depth in world units; None without depth."""
    depth_known: float
    """Share of pixels whose depth is known; 0 without depth."""


def coverage(clip: Clip, samples: int = 12) -> Coverage:
    """Look at `samples` frames of `clip`."""
    frames = sampled(len(clip), samples)
    ignored = float(clip.ignored.mean())
    hidden, depths, known = [], [], []
    for index in frames:
        if clip.has_masks:
            hidden.append(1 - float(clip.tissue_mask(index).mean()) - ignored)
        depth = clip.depth(index)
        if depth is not None:
            valid = depth[depth > 0]
            known.append(valid.size / depth.size)
            # A few thousand values per frame give the percentiles to well below a percent.
            depths.append(valid[:: max(1, valid.size // 5000)])
    all_depths = np.concatenate(depths) if depths else np.zeros(0)
    quantiles = np.percentile(all_depths, (1, 50, 99)) if all_depths.size else None
    return Coverage(
        frames,
        ignored,
        (min(hidden), float(np.mean(hidden)), max(hidden)) if hidden else None,
        (float(quantiles[0]), float(quantiles[1]), float(quantiles[2])) if quantiles is not None else None,
        float(np.mean(known)) if known else 0.0,
    )
