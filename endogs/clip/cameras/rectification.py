"""A calibrated pair of cameras turned so that a point lies on the same row of both views."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.baselines import check_baseline
from endogs.clip.cameras.plausible_cameras import camera_notes, check_cameras
from endogs.clip.files.number_files import json_numbers
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

Maps = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Column and row (H, W) of the original, OpenCV's centres at integers, for each pixel of the rectified view."""


Array = NDArray[np.float64]
Pinhole = tuple[Array, Array]
"""K (3, 3) and OpenCV's distortion."""

DISTORTION_SIZES = (4, 5, 8, 12, 14)
"""How many numbers OpenCV's distortions have."""


@dataclass(frozen=True)
class Rectification:
    """Where the pixels of a rectified pair come from."""

    left: Maps
    right: Maps
    K: NDArray[np.float64]
    """(3, 3) of both rectified views, pixel centres at +0.5."""
    rotation: NDArray[np.float64]
    """(3, 3) from the left camera's axes to the rectified ones."""
    baseline: float
    """World units."""
    depth_factor: NDArray[np.float32]
    """(H, W) rectified z-depth over the original z-depth of the same point."""
    notes: tuple[str, ...] = ()
    """What is odd about the cameras before they were turned."""

    @property
    def turn(self) -> NDArray[np.float64]:
        """(4, 4) from the left camera's axes to the rectified ones."""
        motion = np.eye(4)
        motion[:3, :3] = self.rotation
        return motion


def rectification(
    calibration: dict[str, Any], K: NDArray[np.float64], size: tuple[int, int], file: Path
) -> Rectification:
    """The rectification of views of `size` (width, height), `K` (3, 3) being the left camera's, centres at +0.5.

    `calibration` holds `translation_mm` (3), and may hold `rotation` (3 x 3), `right` with fx, fy, cx, cy and
    distortion, and the left camera's `distortion`, all as OpenCV's stereoCalibrate returns them: x_right = R x_left +
    T, distortion k1 k2 p1 p2 [k3 ...]. Bouguet's method (cv2.stereoRectify), zoomed so that no pixel is empty. Raises
    InputError, naming `file`, for entries of another shape, cameras above each other, and a right camera on the left.
    """
    import cv2

    half = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    right = calibration.get("right", {})
    if not isinstance(right, dict):
        raise InputError(f"{file}: right must be an object with fx, fy, cx, cy of the right camera: correct it.")
    K_right = K.copy()
    for name, at in {"fx": (0, 0), "fy": (1, 1), "cx": (0, 2), "cy": (1, 2)}.items():
        if name in right:
            K_right[at] = numbers(right, name, (), file)
    distortions = [
        numbers(source, "distortion", None, file).ravel() if "distortion" in source else np.zeros(5)
        for source in (calibration, right)
    ]
    R = numbers(calibration, "rotation", (3, 3), file) if "rotation" in calibration else np.eye(3)
    T = numbers(calibration, "translation_mm", (3,), file)
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-3 or np.linalg.det(R) < 0:
        raise InputError(f"{file}: rotation is no rotation matrix (orthonormal, right-handed): correct it.")
    if abs(T[1]) > abs(T[0]):
        raise InputError(f"{file}: translation_mm puts the cameras above each other: only side by side is supported.")
    cameras = (K - half, distortions[0]), (K_right - half, distortions[1])
    R1, R2, P1, P2 = stereo_rectify(*cameras, size, R, T, file, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0)
    check_cameras(np.stack([K, K_right]), *size, file)
    baseline = float(-P2[0, 3] / P2[0, 0])
    if not 0 < baseline < np.inf:
        raise InputError(
            f"{file}: translation_mm puts the right camera on the left (x_right = R x_left + T, so its x is "
            "negative for a right camera): exchange the views or correct the sign."
        )
    check_baseline(baseline, file)
    maps = [
        cv2.initUndistortRectifyMap(camera - half, distortion, rotation, P[:, :3], size, cv2.CV_32FC1)
        for camera, distortion, rotation, P in zip((K, K_right), distortions, (R1, R2), (P1, P2), strict=True)
    ]
    new_K = P1[:, :3] + half
    x = (np.arange(size[0]) + 0.5 - new_K[0, 2]) / new_K[0, 0]
    y = (np.arange(size[1]) + 0.5 - new_K[1, 2]) / new_K[1, 1]
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], np.ones((1, 1))), -1)
    factor = 1 / (rays @ R1[:, 2])  # the old z of R1^T ray is ray . R1[:, 2]
    left, right_maps = ((np.asarray(m[0], np.float32), np.asarray(m[1], np.float32)) for m in maps)
    return Rectification(
        left, right_maps, new_K, R1, baseline, factor.astype(np.float32), odd_cameras(K, K_right, size)
    )


def odd_cameras(K: Array, K_right: Array, size: tuple[int, int]) -> tuple[str, ...]:
    """Notes about the cameras (3, 3) of a pair with views of `size` (width, height), before they are rectified."""
    notes = camera_notes(K, *size)
    right = [f"{note[:-1]} (this is the right camera)." for note in camera_notes(K_right, *size)]
    return (*notes, *([] if notes else right))


def stereo_rectify(
    left: Pinhole, right: Pinhole, size: tuple[int, int], R: Array, T: Array, file: Path, **settings: Any
) -> tuple[Array, Array, Array, Array]:
    """cv2.stereoRectify of cameras of `size` (width, height), each its K (3, 3), centres at integers, and distortion.

    x_right = `R` (3, 3) x_left + `T` (3 numbers); `settings` are OpenCV's. Returns the rotations (3, 3) of both views
    and their projections (3, 4). Raises InputError, naming `file`, for focal lengths that are not positive, distortions
    of another length than OpenCV knows, cameras at one place, and whatever else OpenCV refuses.
    """
    import cv2

    for side, (K, distortion) in (("left", left), ("right", right)):
        if not min(K[0, 0], K[1, 1]) > 0:
            raise InputError(f"{file}: focal lengths of the {side} camera must be positive: correct them.")
        if distortion.size not in DISTORTION_SIZES:
            raise InputError(
                f"{file}: the {side} camera's distortion must hold 4, 5, 8, 12 or 14 numbers, as OpenCV orders them: "
                "correct it."
            )
    if not np.linalg.norm(T) > 0:
        raise InputError(f"{file}: the translation puts both cameras at the same place: correct it.")
    try:
        found = cv2.stereoRectify(*left, *right, size, R, T.reshape(3, 1), **settings)
    except cv2.error as error:
        raise InputError(f"{file}: OpenCV cannot rectify these cameras ({error.err}): correct them.") from error
    R1, R2, P1, P2 = (np.asarray(matrix, np.float64) for matrix in found[:4])
    if not all(np.isfinite(matrix).all() for matrix in (R1, R2, P1, P2)) or not (P1[0, 0] > 0 and P2[0, 0] > 0):
        raise InputError(f"{file}: these cameras cannot be rectified: correct their rotation and translation.")
    return R1, R2, P1, P2


class RectifiedImages:
    """Colour images, rectified when read."""

    def __init__(self, frames: FrameReader, maps: Maps) -> None:
        self.frames, self.maps = frames, maps

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB."""
        import cv2

        return np.asarray(cv2.remap(self.frames.read(index), *self.maps, cv2.INTER_LINEAR), np.uint8)


class RectifiedMasks:
    """Tissue masks, rectified when read; what lies outside the original is not tissue."""

    def __init__(self, frames: FrameReader, maps: Maps) -> None:
        self.frames, self.maps = frames, maps
        self.meaning = str(getattr(frames, "meaning", ""))
        """What the files hold, where their reader says it."""

    def read(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where tissue is seen."""
        return nearest(self.frames.read(index), self.maps)


class RectifiedDepths:
    """Depth maps, rectified when read: another camera axis means another z."""

    def __init__(self, frames: FrameReader, maps: Maps, factor: NDArray[np.float32]) -> None:
        self.frames, self.maps, self.factor = frames, maps, factor

    def read(self, index: int) -> NDArray[np.float32]:
        """float32 (H, W) in the files' units, 0 = unknown."""
        return nearest(self.frames.read(index).astype(np.float32), self.maps) * self.factor


def rectified(recording: Recording, turned: Rectification, how: str) -> Recording:
    """A recording of both views with its frames, masks, depth and poses rectified, and a note `how`.

    K and the baseline are left to the caller.
    """
    assert recording.right_images is not None
    masks, depths = recording.masks, recording.depths
    return replace(
        recording,
        images=RectifiedImages(recording.images, turned.left),
        right_images=RectifiedImages(recording.right_images, turned.right),
        masks=None if masks is None else RectifiedMasks(masks, turned.left),
        depths=None if depths is None else RectifiedDepths(depths, turned.left, turned.depth_factor),
        world_to_camera=turned.turn @ recording.world_to_camera,
        turn=turned.turn,
        framed={},
        notes=[*recording.notes, how, *turned.notes],
    )


def nearest(values: NDArray[Any], maps: Maps) -> NDArray[Any]:
    """Values (H, W) of the nearest original pixels, zero outside: labels and depth must not be mixed."""
    column, row = (np.rint(m).astype(int) for m in maps)
    height, width = values.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    picked = values[row.clip(0, height - 1), column.clip(0, width - 1)]
    return np.where(inside, picked, np.zeros((), values.dtype))


def numbers(source: dict[str, Any], name: str, shape: tuple[int, ...] | None, file: Path) -> NDArray[np.float64]:
    """The finite numbers under `name`, of `shape`, or of any when it is None; InputError naming `file`."""
    found = json_numbers(source.get(name))
    if not np.isfinite(found).all() or (shape is not None and found.shape != shape):
        wanted = "numbers" if shape is None else "a number" if shape == () else " x ".join(map(str, shape)) + " numbers"
        raise InputError(f"{file}: {name} must hold {wanted}: correct it.")
    return found
