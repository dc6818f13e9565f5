"""The judgement on every reader of the corner: what it returns must project known points onto their pixels."""

import numpy as np
from layouts import corner


def largest_miss(clip, poses: np.ndarray, scale: float = 1.0) -> float:
    """Pixels by which known points of the corner miss where the clip's cameras must see them.

    `poses` are the true ones of the clip's frames, and the clip's world is `scale` times the corner's.
    """
    worst = 0.0
    for i in range(len(clip)):
        rays = corner.pixel_rays(clip.K[i], clip.width, clip.height)[6:-6:23, 6:-6:23].reshape(-1, 3)
        world = (rays * corner.depth_along(poses[i], rays)[:, None] - poses[i, :3, 3]) @ poses[i, :3, :3]
        for j in range(len(clip)):
            # Up to one motion of the whole world, which no reader has to keep: through the first camera.
            relative = clip.world_to_camera[j] @ np.linalg.inv(clip.world_to_camera[0])
            in_first = world @ poses[0, :3, :3].T + poses[0, :3, 3]
            seen = in_first @ relative[:3, :3].T + relative[:3, 3] / scale
            pixels = seen[:, :2] / seen[:, 2:] * clip.K[j][[0, 1], [0, 1]] + clip.K[j][:2, 2]
            worst = max(worst, float(np.abs(pixels - corner.pixels_of(world, clip.K[j], poses[j])).max()))
    return worst


def image_error(clip, poses: np.ndarray, index: int) -> float:
    """Mean absolute difference of the clip's frame from the corner rendered with the clip's own K."""
    truth = corner.see(poses[index], corner.pixel_rays(clip.K[index], clip.width, clip.height))
    tissue = clip.tissue_mask(index)
    return float(np.abs(clip.image(index).astype(float) - truth.image)[tissue].mean())


def depth_error(clip, poses: np.ndarray, index: int) -> float:
    """Median relative error of the clip's depth."""
    truth = corner.depth_along(poses[index], corner.pixel_rays(clip.K[index], clip.width, clip.height))
    depth = clip.depth(index)
    return float(np.median(np.abs(depth[depth > 0] / truth[depth > 0] - 1)))
