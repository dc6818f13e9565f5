"""Three small segments of a chain of ten frames, and what they hold."""

import numpy as np
import torch

from endogs.gaussians import CHANNELS, OPACITY
from endogs.scene import Scene, StaticDeformation
from endogs.scene.chain import SegmentFrames

SEGMENTS = (SegmentFrames(0, 3), SegmentFrames(2, 6), SegmentFrames(5, 9))
OPAQUE = 2.0


def gaussians(count: int, x: float) -> torch.Tensor:
    base = torch.zeros(count, CHANNELS)
    base[:, 0] = x + torch.arange(count) * 0.1
    base[:, 2] = 5
    base[:, 3] = 1
    base[:, OPACITY] = OPAQUE
    return base


def part(first: int, last: int, identity: list[int], x: float) -> Scene:
    count = last - first + 1
    K = np.tile(np.array([[50.0, 0, 16], [0, 50, 12], [0, 0, 1]]), (count, 1, 1))
    times = np.arange(first, last + 1) * 0.1
    poses = np.tile(np.eye(4), (count, 1, 1))
    scene = Scene(gaussians(len(identity), x), StaticDeformation(), times, K, poses, 32, 24, "mm")
    scene.identity = torch.tensor(identity)
    return scene


PARTS = (part(0, 3, [1, 2, 3], 0.0), part(2, 6, [2, 3, 4], 0.2), part(5, 9, [4, 5], 0.0))
