"""A coloured slope seen by moving cameras, where a swapped axis, a turned-round pose or a wrong unit shows at once.

Everything here is worked out from rays and a plane, with none of the code that reads it back. All numbers differ per
axis. Lengths are millimetres; pixel centres are at +0.5.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from endogs.clip.clip import Clip

NORMAL = np.array([0.31, -0.22, 1.0])
OFFSET = 62.0
"""The slope is where NORMAL . X = OFFSET."""
K = np.array([[71.0, 0, 36.25], [0, 66.0, 21.5], [0, 0, 1]])
"""Of a view of SIZE, neither square nor centred."""
SIZE = (80, 48)


def color(world: np.ndarray) -> np.ndarray:
    """(..., 3) floats 70 to 240 of world points (..., 3): smooth, and another pattern along every axis."""
    x, y, z = np.moveaxis(world, -1, 0)
    red = np.sin(x / 5.1) * np.cos(y / 8.3)
    green = np.sin(y / 4.3 + x / 19)
    blue = np.sin(z / 6.7 + x / 11 - y / 13)
    return 155 + 85 * np.stack([red, green, blue], -1)


def poses(count: int) -> np.ndarray:
    """`world_to_camera` (count, 4, 4), the first one already turned and shifted, each step another in every axis."""
    steps = np.arange(count)
    found = np.eye(4)[None].repeat(count, 0)
    angles = np.array([0.04, -0.07, 0.11]) + steps[:, None] * np.array([0.020, -0.013, 0.031])
    found[:, :3, :3] = Rotation.from_rotvec(angles).as_matrix()
    found[:, :3, 3] = np.array([1.7, -2.9, 4.1]) + steps[:, None] * np.array([0.9, -0.5, 1.3])
    return found


def pinhole_rays(K: np.ndarray = K, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Directions (H, W, 3), z = 1, of the pixels of a view."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    return np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)


def bent_rays(K: np.ndarray, distortion: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Directions (H, W, 3), z = 1, of the pixels of a view with distortion k1 k2 p1 p2 k3."""
    k1, k2, p1, p2, k3 = distortion
    target = pinhole_rays(K, size)[..., :2]
    flat = target.copy()
    for _ in range(50):  # a mild lens: the fixed point is reached to rounding
        x, y = flat[..., 0], flat[..., 1]
        square = x * x + y * y
        radial = 1 + square * (k1 + square * (k2 + square * k3))
        sideways = [2 * p1 * x * y + p2 * (square + 2 * x * x), p1 * (square + 2 * y * y) + 2 * p2 * x * y]
        flat = (target - np.stack(sideways, -1)) / radial[..., None]
    return np.concatenate([flat, np.ones((*flat.shape[:2], 1))], -1)


def see(world_to_camera: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a camera sees along `rays` (H, W, 3): uint8 (H, W, 3) RGB and the distance along them in ray lengths."""
    rotation, shift = world_to_camera[:3, :3], world_to_camera[:3, 3]
    centre = -rotation.T @ shift
    directions = rays @ rotation
    depth = (OFFSET - NORMAL @ centre) / (directions @ NORMAL)
    assert depth.min() > 0
    return np.rint(color(centre + depth[..., None] * directions)).astype(np.uint8), depth


@dataclass(frozen=True)
class Mismatch:
    """How far what a reader returned is from the slope."""

    off_slope: float
    """95th percentile of the distance of unprojected pixels to the slope, mm."""
    off_color: float
    """Mean difference of their colours and the slope's, of 255."""
    known: float
    """Share of the pixels with depth."""


def mismatch(
    images: list[np.ndarray], depths: list[np.ndarray], K: np.ndarray, world_to_camera: np.ndarray
) -> Mismatch:
    """Unproject every pixel of every frame, compare place and colour with the slope; K (F, 3, 3), poses (F, 4, 4)."""
    distances, differences, known = [], [], []
    for image, depth, camera, pose in zip(images, depths, K, world_to_camera, strict=True):
        rays = pinhole_rays(camera, (image.shape[1], image.shape[0]))
        inside = depth > 0
        points = (rays * depth[..., None])[inside]
        world = (points - pose[:3, 3]) @ pose[:3, :3]
        distances.append(np.abs(world @ NORMAL - OFFSET) / np.linalg.norm(NORMAL))
        differences.append(np.abs(color(world) - image[inside]).mean(-1))
        known.append(inside.mean())
    return Mismatch(
        float(np.percentile(np.concatenate(distances), 95)),
        float(np.concatenate(differences).mean()),
        float(np.mean(known)),
    )


def view_mismatch(
    images: list[np.ndarray], K: np.ndarray, world_to_camera: np.ndarray, inside: np.ndarray | None = None
) -> float:
    """Mean colour difference of images and what such cameras must see of the slope, of 255; needs no depth.

    Only pixels `inside` (H, W) count, by default all.
    """
    differences = []
    for image, camera, pose in zip(images, K, world_to_camera, strict=True):
        try:
            seen, _ = see(pose, pinhole_rays(camera, (image.shape[1], image.shape[0])))
        except AssertionError:  # the slope is behind such a camera
            return np.inf
        differences.append(np.abs(seen.astype(float) - image)[... if inside is None else inside].mean())
    return float(np.mean(differences))


def right_mismatch(clip: Clip, baseline: float | None = None) -> float:
    """The mismatch of right views, with the clip's baseline or another one."""
    poses = clip.world_to_camera.copy()
    poses[:, 0, 3] -= clip.baseline if baseline is None else baseline
    return view_mismatch([clip.right_image(i) for i in range(len(clip))], clip.K, poses, ~clip.ignored)


def wrong_cameras(clip: Clip) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """K and poses that a careless reader would have returned, by name of the mistake; only those that are others."""
    good_K, good = clip.K, clip.world_to_camera
    transposed, swapped, flipped, unit = (good.copy() for _ in range(4))
    transposed[:, :3, :3] = good[:, :3, :3].swapaxes(1, 2)
    swapped[:, [0, 1]] = good[:, [1, 0]]
    flipped[:, 1:3] *= -1
    unit[:, :3, 3] *= 1000
    exchanged, centre, doubled = (good_K.copy() for _ in range(3))
    exchanged[:, [0, 1], [0, 1]] = good_K[:, [1, 0], [1, 0]]
    centre[:, :2, 2] += 0.5
    doubled[:, [0, 1], [0, 1]] *= 2
    wrong = {
        "rotation transposed": (good_K, transposed),
        "pose inverted": (good_K, np.linalg.inv(good)),
        "axes swapped": (good_K, swapped),
        "OpenGL axes": (good_K, flipped),
        "translation in other units": (good_K, unit),
        "poses of other frames": (good_K, np.roll(good, 1, 0)),
        "fx and fy exchanged": (exchanged, good),
        "pixel centres half a pixel off": (centre, good),
        "focal length doubled": (doubled, good),
    }
    return {
        name: cameras
        for name, cameras in wrong.items()
        if not (np.allclose(cameras[0], good_K) and np.allclose(cameras[1], good))
    }


def check_clip(clip: Clip, off_slope: float, off_color: float, known: float = 0.9) -> None:
    """Assert that every view fits the slope to `off_slope` mm and `off_color`, and that with no mistake it would."""
    assert clip.units == "mm"
    frames = range(len(clip))
    images, inside = [clip.image(i) for i in frames], ~clip.ignored
    assert inside.mean() > known
    assert view_mismatch(images, clip.K, clip.world_to_camera, inside) < off_color
    for name, (K, poses) in wrong_cameras(clip).items():
        assert view_mismatch(images, K, poses, inside) > off_color, name
    if clip.has_right:
        assert right_mismatch(clip) < off_color
        assert right_mismatch(clip, -clip.baseline) > off_color
        assert right_mismatch(clip, 1.25 * clip.baseline) > off_color
    if not clip.has_depth:
        return
    depths = [clip.depth(i) for i in frames]
    found = mismatch(images, depths, clip.K, clip.world_to_camera)
    assert found.off_slope < off_slope, found
    assert found.off_color < off_color, found
    assert found.known > known, found
    for name, (K, poses) in wrong_cameras(clip).items():
        wrong = mismatch(images, depths, K, poses)
        assert wrong.off_slope > off_slope or wrong.off_color > off_color, (name, wrong)
    for factor in (1000, 0.001, 1.05):
        wrong = mismatch(images, [factor * depth for depth in depths], clip.K, clip.world_to_camera)
        assert wrong.off_slope > off_slope, factor
