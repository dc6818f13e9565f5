"""Numbers of frames in words."""

import numpy as np
from numpy.typing import NDArray


def spans(chosen: NDArray[np.bool_], most: int = 8) -> str:
    """Frames (F,) as "frames 3 to 7, 12", or "frame 12" alone, cut after the first `most` spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    parts = [f"{a}" if b == a + 1 else f"{a} to {b - 1}" for a, b in zip(edges[::2], edges[1::2], strict=True)]
    more = f" and {len(parts) - most} more spans" if len(parts) > most else ""
    return f"frame{'s' * (int(np.count_nonzero(chosen)) != 1)} {', '.join(parts[:most])}{more}"
